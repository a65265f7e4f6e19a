//! Rules of SQL: statements of production name their columns, so that a column which a newer version adds changes the
//! result of no statement that an older process beside it runs, and released migrations stay as they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{assert_none, members, root};

/// Every file below a folder whose name ends with one of these, sorted.
fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(root().join(folder)) else {
        return found;
    };

    for entry in entries {
        let name = entry.expect("a folder can be read").file_name();
        let path = format!("{folder}/{}", name.to_str().expect("file names are UTF-8"));
        if root().join(&path).is_dir() {
            found.extend(files(&path, endings));
        } else if endings.iter().any(|ending| path.ends_with(ending)) {
            let text = fs::read_to_string(root().join(&path)).expect("the file can be read");
            found.push((path, text));
        }
    }

    found.sort();
    found
}

/// Whether a line of SQL, or of Rust with SQL in it, asks for all columns.
fn asks_for_all_columns(line: &str) -> bool {
    let code = line.split("--").next().unwrap_or_default();
    let words: Vec<&str> = code.split_whitespace().collect();
    let star = |word: &str| {
        let word = word.trim_start_matches(['"', '(']);
        // `d.*`, and not a glob or a comment.
        let (name, rest) = word.split_once(".*").unwrap_or_default();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        is_name && rest.chars().all(|c| matches!(c, ',' | ')' | ';'))
    };

    let after = |word: &str| {
        let pairs = words.windows(2).filter(|pair| {
            let first = pair[0].trim_start_matches(['"', '(']);
            first.eq_ignore_ascii_case(word) && pair[1].starts_with('*')
        });
        pairs.count() > 0
    };

    after("SELECT") || after("RETURNING") || words.iter().any(|word| star(word))
}

#[test]
fn statements_name_their_columns() {
    let mut faults = Vec::new();
    for member in members().iter().filter(|name| *name != "loadgen") {
        let folder = format!("{member}/src");
        for (path, text) in files(&folder, &[".sql", ".rs"]) {
            let lines = text.lines().enumerate();
            let rust = path.ends_with(".rs");
            let bad = lines.filter(|(_, line)| {
                // Comments and patterns of Rust use the same signs.
                let quoted = !rust || line.contains('"');
                quoted && !line.trim_start().starts_with("//") && asks_for_all_columns(line)
            });
            faults.extend(bad.map(|(at, line)| format!("{path}:{} {}", at + 1, line.trim())));
        }
    }

    assert_none("a statement names its columns, never `*`", &faults);
}

#[test]
fn statements_that_ask_for_all_columns_are_found() {
    let bad = [
        "SELECT * FROM deal",
        "SELECT *",
        "sql.text(\"SELECT d.* FROM (\");",
        "SELECT p.epoch, d.*, e.id FROM deal d",
        "DELETE FROM deal RETURNING *;",
        "  (SELECT * FROM deal)",
    ];
    let good = [
        "SELECT count(*) FROM deal",
        "SELECT a * b FROM deal",
        "-- SELECT * is forbidden",
        "SELECT price * 2 FROM deal",
    ];

    assert!(bad.iter().all(|line| asks_for_all_columns(line)));
    assert!(!good.iter().any(|line| asks_for_all_columns(line)));
}

#[test]
fn released_migrations_stay_as_they_are() {
    let list =
        fs::read_to_string(root().join("migrations/released.txt")).expect("the list is there");
    let released: BTreeMap<&str, &str> = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once("  ").expect("a digest and a path"))
        .map(|(digest, path)| (path, digest))
        .collect();

    let mut faults = Vec::new();
    for (path, digest) in &released {
        let found =
            fs::read(Path::new(&root()).join(path)).map(|text| hex::encode(Sha256::digest(text)));
        if found.as_deref().ok() != Some(digest) {
            faults.push((*path).to_owned());
        }
    }

    assert!(released.len() > 10, "the list has an entry for each file");
    assert_none(
        "a released migration never changes, since databases know its digest: write a new one",
        &faults,
    );
}
