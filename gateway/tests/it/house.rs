//! The rules of the house that a machine can check: length, air and comments of the pages, how documentation begins, and no
//! circles of imports.
//!
//! They hold for the `src` folders of all crates, up to the unit tests at the end of a file; the length of a file is limited
//! everywhere.

mod modules;
mod paths;
mod scan;
mod source;
mod statements;

use std::fs;
use std::path::{Path, PathBuf};

use modules::Modules;
use source::{Source, files};

/// Most lines of a file, of tests as well.
const FILE_LINES: usize = 500;
/// Most lines of a function, from its signature to its closing brace.
const FUNCTION_LINES: usize = 60;
/// Fewest blank lines in 100 lines of the bodies of a crate's functions.
const BLANK_LINES: f64 = 5.0;
/// Smallest share of lines with an inline comment, in percent, in each of [`SUBTLE`].
const INLINE_COMMENTS: f64 = 3.0;

/// Places where the reasons are harder to see than the code, by what the paths of their files begin with.
const SUBTLE: [(&str, &[&str]); 4] = [
    ("live engine", &["live/src/", "gateway/src/live"]),
    ("webhooks", &["webhooks/src/", "buyer-core/src/webhooks"]),
    ("WebSockets", &["sockets/src/shard"]),
    ("write path", &["backbone/src/write_path"]),
];

/// First words that make documentation the second half of a sentence whose first half nobody has written.
const BAD_BEGINNINGS: [&str; 25] = [
    "at", "by", "for", "from", "how", "in", "it", "its", "of", "on", "that", "their", "they",
    "this", "to", "what", "when", "where", "whether", "which", "who", "whom", "whose", "why",
    "with",
];

/// A member of the workspace with the sources of its `src` folder.
struct Crate {
    name: String,
    sources: Vec<Source>,
}

impl Crate {
    fn all() -> Vec<Self> {
        let crates = members().into_iter().map(|name| {
            let sources = files(&root(), &format!("{name}/src"))
                .iter()
                .filter(|(path, _)| !path.ends_with("/tests.rs") && !path.contains("/tests/"))
                .map(|(path, text)| Source::new(path, text))
                .collect();
            Self { name, sources }
        });
        crates.collect()
    }

    /// Blank lines in 100 lines of function bodies.
    fn blank_lines(&self) -> f64 {
        let functions: Vec<_> = self.sources.iter().flat_map(Source::functions).collect();
        let blank = functions.iter().map(|function| function.blank).sum();
        percent(blank, functions.iter().map(|function| function.body).sum())
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is in the workspace")
        .to_owned()
}

/// Names of the workspace's members, which are also their folders.
fn members() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("there is a manifest");
    let (_, list) = manifest
        .split_once("members = [")
        .expect("the workspace lists its members");
    let (list, _) = list.split_once(']').expect("a list has an end");
    list.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

fn inline_comments<'a>(sources: impl Iterator<Item = &'a Source> + Clone) -> f64 {
    let comments = sources.clone().map(Source::inline_comments).sum();
    percent(comments, sources.map(Source::lines).sum())
}

/// Fails with one line for each fault.
fn assert_none(rule: &str, faults: &[String]) {
    assert!(
        faults.is_empty(),
        "{rule}; {} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn files_are_short() {
    let mut faults = Vec::new();
    for folder in members() {
        for (path, text) in files(&root(), &folder) {
            let lines = text.lines().count();
            if lines > FILE_LINES {
                faults.push(format!("{path} has {lines} lines"));
            }
        }
    }

    assert_none("a file has at most 500 lines: split it by meaning", &faults);
}

#[test]
fn functions_are_short() {
    let mut faults = Vec::new();
    for source in Crate::all().iter().flat_map(|each| &each.sources) {
        for function in source.functions() {
            if function.lines > FUNCTION_LINES {
                let place = format!("{}:{}", source.path, function.line);
                let lines = function.lines;
                faults.push(format!("{place} {}: {lines} lines", function.name));
            }
        }
    }

    assert_none("a function has at most 60 lines", &faults);
}

#[test]
fn functions_have_paragraphs() {
    let mut faults = Vec::new();
    for each in Crate::all() {
        let blank = each.blank_lines();
        if blank < BLANK_LINES {
            faults.push(format!("{}: {blank:.1}", each.name));
        }
    }

    assert_none(
        "blank lines part a function into steps: at least 5 in 100 lines of function bodies",
        &faults,
    );
}

#[test]
fn subtle_code_says_why() {
    let crates = Crate::all();
    let mut faults = Vec::new();
    for (place, prefixes) in SUBTLE {
        let sources = crates
            .iter()
            .flat_map(|each| &each.sources)
            .filter(|source| {
                prefixes
                    .iter()
                    .any(|prefix| source.path.starts_with(prefix))
            });
        assert!(
            sources.clone().next().is_some(),
            "no file begins with any of {prefixes:?}"
        );

        let share = inline_comments(sources);
        if share < INLINE_COMMENTS {
            faults.push(format!("{place}: {share:.1} %"));
        }
    }

    assert_none(
        "at least 3 % of the lines hold a comment that says why",
        &faults,
    );
}

#[test]
fn documentation_begins_with_a_noun_or_a_verb() {
    let mut faults = Vec::new();
    for source in Crate::all().iter().flat_map(|each| &each.sources) {
        for (line, text) in source.docs() {
            let first = text
                .split([' ', ',', '.', ':', ';', '\'', '’'])
                .next()
                .unwrap_or_default();
            if BAD_BEGINNINGS.contains(&first.to_lowercase().as_str()) {
                faults.push(format!("{}:{line} {text}", source.path));
            }
        }
    }

    assert_none(
        "documentation begins with a noun phrase or a verb in the third person",
        &faults,
    );
}

#[test]
fn one_let_binds_one_value() {
    let mut faults = Vec::new();
    for source in Crate::all().iter().flat_map(|each| &each.sources) {
        let lines = source.tuple_lets().into_iter();
        faults.extend(lines.map(|line| format!("{}:{line}", source.path)));
    }

    assert_none(
        "`let (a, b) = (x, y);` is two statements in one: write two",
        &faults,
    );
}

#[test]
fn modules_import_in_one_direction() {
    let mut faults = Vec::new();
    for each in Crate::all() {
        let root = format!("{}/src", each.name);
        faults.extend(Modules::of(&root, &each.sources).circles());
    }

    assert_none(
        "modules of a crate import in one direction, a parent's re-exports apart",
        &faults,
    );
}

/// Circles of a crate that consists of these files.
fn circles(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<Source> = files
        .iter()
        .map(|(path, text)| Source::new(&format!("a/src/{path}"), text))
        .collect();
    Modules::of("a/src", &sources).circles()
}

#[test]
fn module_circles_are_found_through_reexports() {
    let found = circles(&[
        ("lib.rs", "mod deal;\nmod log;\npub use deal::id::Id;"),
        ("deal.rs", "pub mod id;\npub struct Deal;"),
        ("deal/id.rs", "use crate::log::{Log, self};\npub struct Id;"),
        ("log.rs", "pub struct Log;\nfn f(id: crate::Id) {}"),
    ]);

    let expected = [
        "circle of 2 files: a/src/deal/id.rs, a/src/log.rs",
        "    a/src/deal/id.rs → a/src/log.rs: crate::log in line 1, crate::log::Log in line 1",
        "    a/src/log.rs → a/src/deal/id.rs: crate::Id in line 2",
    ];
    assert_eq!(found, [expected.join("\n")]);
}

#[test]
fn module_circles_need_more_than_reexports_rooms_and_comments() {
    let found = circles(&[
        ("lib.rs", "pub mod deal;\nmod error;\npub use deal::Deal;"),
        (
            "deal.rs",
            "mod id;\npub struct Deal(id::Id, crate::error::Error);",
        ),
        (
            "deal/id.rs",
            "use super::Deal;\nconst TEXT: &str = \"crate::log\";",
        ),
        (
            "error.rs",
            "// crate::deal::Deal\n#[cfg(test)]\nuse crate::deal::Deal;",
        ),
    ]);

    assert_eq!(found, [""; 0]);
}

#[test]
fn source_rules_see_code_and_not_what_looks_like_it() {
    let text = "\
//! Rules.
/// Of which.
pub(crate) fn packed<'a>(text: &'a str) -> char {
    let (a, b) = (text, 'b'); // Why.

    let (c, d) = r#\"let (a, b) = (1, 2); // not \" this\"#.split_at(1);
    '\\''
}

#[cfg(test)]
mod tests {
    // Not counted.
}
";
    let source = Source::new("a.rs", text);
    let functions = source.functions();

    assert_eq!(source.code.len(), source.text.len());
    assert_eq!(source.docs(), [(1, "Rules."), (2, "Of which.")]);
    assert_eq!(source.inline_comments(), 1);
    assert_eq!(source.tuple_lets(), [4]);
    assert_eq!(
        (functions[0].name.as_str(), functions[0].line),
        ("packed", 3)
    );
    assert_eq!(
        (functions[0].lines, functions[0].body, functions[0].blank),
        (6, 4, 1)
    );
}
