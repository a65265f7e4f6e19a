//! The reference of all limits as a page of Markdown: values are those of the code and of the command line.

mod rows;
mod value;

use rows::{Row, SECTIONS};
use value::Defaults;

const INTRODUCTION: &str = "\
# Limits

What Dealwire accepts, and what happens beyond it. The values are those of this version; those that an operator can
change are marked with their setting. Codes are explained in [errors.md](errors.md), close codes in
[subscriptions.md](subscriptions.md#websocket-graphql-transport-ws).

This page is generated: `cargo run -- limits-reference > docs/limits.md`.
";

const END: &str = "
## What is not limited yet

- deliveries that collect at a paused or disabled endpoint
- keys of an account
";

/// Returns `docs/limits.md`: every limit with its value and what happens beyond it.
pub fn limits_reference() -> String {
    let defaults = Defaults::of_command_line();
    let mut page = INTRODUCTION.to_owned();

    for section in SECTIONS {
        let mut text = format!("\n## {}\n\n", section.heading);
        if !section.introduction.is_empty() {
            text += section.introduction.trim_end();
            text += "\n\n";
        }
        text += "| limit | value | what happens beyond |\n|---|---|---|\n";
        for row in section.rows {
            text += &line(row, &defaults);
        }
        page += &text;
    }

    page + END
}

fn line(row: &Row, defaults: &Defaults) -> String {
    let value = row.value.write(defaults);

    format!("| {} | {value} | {} |\n", row.what, row.beyond)
}
