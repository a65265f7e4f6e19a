//! Pages of documentation that repeat what the code says: they must say the same.

use std::fs;
use std::path::Path;

use gateway::commands::settings_reference;

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
