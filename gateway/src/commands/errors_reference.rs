//! The reference of all error codes as a page of Markdown, made from the table in the code.

use crate::error::{Code, CodeRow, Effect, Scope};

/// Page around the table.
const PAGE: &str = include_str!("errors_reference.md");

/// Place of the table in the page.
const PLACE: &str = "<!-- codes -->\n";

const HEAD: &str = "\
| code | status | retry | written | message | meaning |
|---|---|---|---|---|---|
";

/// Returns `docs/errors.md`: every code with everything that clients are told about it.
pub fn errors_reference() -> String {
    let rows: String = Code::ALL.into_iter().map(|code| row(code.row())).collect();

    PAGE.replacen(PLACE, &format!("{HEAD}{rows}"), 1)
}

fn row(code: &CodeRow) -> String {
    let retry = if code.retryable { "yes" } else { "no" };
    let written = match code.effect {
        Effect::None => "no",
        Effect::Unknown => "unknown",
    };
    let message = match code.scope {
        Scope::Request => "`error`",
        Scope::Field => "`next`",
        Scope::Both => "`error`, `next`",
    };
    let close = code
        .close
        .map_or_else(String::new, |code| format!(", {code}"));

    format!(
        "| `{}` | {} | {retry} | {written} | {message}{close} | {} |\n",
        code.name,
        code.status.as_u16(),
        code.meaning
    )
}
