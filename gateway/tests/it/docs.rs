//! Pages of documentation that repeat what the code says: they must say the same.

use std::fs;
use std::path::Path;

use gateway::commands::{errors_reference, limits_reference, settings_reference};
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
fn docs_errors_are_the_table_of_codes() {
    assert!(
        page("errors.md") == errors_reference(),
        "docs/errors.md is stale: cargo run -- errors-reference > docs/errors.md"
    );
    for code in Code::ALL {
        assert!(errors_reference().contains(&format!("| `{}` |", code.as_str())));
    }
}

#[test]
fn docs_limits_are_those_of_the_code() {
    assert!(
        page("limits.md") == limits_reference(),
        "docs/limits.md is stale: cargo run -- limits-reference > docs/limits.md"
    );
}
