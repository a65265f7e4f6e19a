//! Pages of documentation that repeat what the code says: they must say the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use gateway::commands::settings_reference;
use gateway::error::Code;

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("docs/{name}: {error}"))
}

#[test]
fn docs_settings_are_what_the_command_line_takes() {
    assert!(
        page("settings.md") == settings_reference(),
        "docs/settings.md is stale: cargo run -- settings-reference > docs/settings.md"
    );
}

#[test]
fn docs_settings_have_a_section_each() {
    let reference = settings_reference();

    assert!(
        reference.contains("`DEALWIRE_PING_SECONDS` | 1 to 60 | `12` |"),
        "{reference}"
    );
    assert!(
        !reference.contains("## Other settings"),
        "a setting has no section: give it one in gateway/src/commands/settings_reference.rs"
    );
}

#[test]
fn docs_errors_list_every_code() {
    let page = page("errors.md");
    let rows: BTreeMap<&str, Vec<&str>> = page
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim().split('|').map(str::trim).collect();
            let name = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
            Some((name, cells))
        })
        .collect();

    let mut faults = Vec::new();
    for code in Code::ALL {
        let status = code.status().as_u16().to_string();
        let retryable = if code.retryable() { "yes" } else { "no" };
        match rows.get(code.as_str()).map(Vec::as_slice) {
            Some([_, _, told, again, meaning, ..])
                if *told == status && *again == retryable && !meaning.is_empty() => {}
            Some(row) => faults.push(format!("{}, but {row:?}", row_of(code))),
            None => faults.push(format!("{} is missing", row_of(code))),
        }
    }
    let known = |name: &&&str| Code::parse(name).is_some();
    let codes_of_none = rows
        .keys()
        .filter(|name| name.contains('_') && !known(name));
    faults.extend(codes_of_none.map(|name| format!("`{name}` is not a code of the API")));

    assert!(faults.is_empty(), "docs/errors.md:\n{}", faults.join("\n"));
}

/// Beginning of the row that a code has in docs/errors.md.
fn row_of(code: Code) -> String {
    let retryable = if code.retryable() { "yes" } else { "no" };
    format!(
        "| `{}` | {} | {retryable} |",
        code.as_str(),
        code.status().as_u16()
    )
}
