//! Count of a document's tokens and depth of its brackets, before the parser sees it.
//!
//! The parser recurses once per bracket, without a bound of its own in values and types, so a text that nests deeper than
//! a stack can bear must not reach it. Syntax is not judged here: whatever is not a token of GraphQL counts as one and is
//! left to the parser.

use super::Limits;
use crate::error::{DocumentError, Location};

/// Checks the number of tokens and the depth of brackets, reading no further than the first excess.
///
/// # Errors
/// [`TooComplex`](crate::ErrorKind::TooComplex), with the position of the token that exceeds a limit.
pub(crate) fn check(text: &str, limits: &Limits) -> Result<(), DocumentError> {
    let mut tokens = 0;
    let mut depth = 0_usize;
    let mut at = 0;

    while let Some(start) = next_token(text.as_bytes(), at) {
        tokens += 1;
        match text.as_bytes()[start] {
            b'{' | b'(' | b'[' => depth += 1,
            // Unbalanced brackets are for the parser to report.
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }

        // Checked at each token, so that a text of millions of them costs no more than the limit allows.
        if tokens > limits.tokens {
            return Err(DocumentError::over_limit(
                "tokens",
                limits.tokens,
                Some(position(text, start)),
            ));
        }
        if depth > limits.nesting {
            let what = "levels of nested brackets";
            return Err(DocumentError::over_limit(
                what,
                limits.nesting,
                Some(position(text, start)),
            ));
        }

        at = end_of_token(text.as_bytes(), start);
    }

    Ok(())
}

/// Returns the index at which the next token starts, past white space, commas, byte order marks and comments.
fn next_token(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => at += 1,
            b'#' => {
                at += bytes[at..]
                    .iter()
                    .position(|b| matches!(b, b'\n' | b'\r'))?
            }
            0xef if bytes[at..].starts_with("\u{feff}".as_bytes()) => at += 3,
            _ => return Some(at),
        }
    }
}

fn end_of_token(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start..];
    let run =
        |accepts: fn(&u8) -> bool| start + 1 + rest[1..].iter().take_while(|b| accepts(b)).count();

    match rest[0] {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => run(|b| b.is_ascii_alphanumeric() || *b == b'_'),
        b'0'..=b'9' | b'-' => {
            run(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
        }
        b'.' if rest.starts_with(b"...") => start + 3,
        b'"' if rest.starts_with(b"\"\"\"") => start + block_string(rest).unwrap_or(2),
        b'"' => start + string(rest),
        0x80.. => run(|b| *b >= 0x80),
        _ => start + 1,
    }
}

/// Returns the length of the block string at the start of `bytes`; `None` if it never ends. The parser then takes its
/// first two quotes for an empty string.
fn block_string(bytes: &[u8]) -> Option<usize> {
    let mut at = 3;
    while at < bytes.len() {
        // The only escape of a block string: \""" stands for three quotes.
        if bytes[at..].starts_with(b"\\\"\"\"") {
            at += 4;
        } else if bytes[at..].starts_with(b"\"\"\"") {
            return Some(at + 3);
        } else {
            at += 1;
        }
    }

    None
}

/// Returns the length of the string at the start of `bytes`. An unfinished one ends with its line.
fn string(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\n' | b'\r' => return at,
            // Whatever is escaped, a quote above all, does not end the string.
            b'\\' => at += 2,
            _ => at += 1,
        }
    }

    bytes.len()
}

fn position(text: &str, at: usize) -> Location {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Location {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn tokens(text: &str) -> Vec<&str> {
        let mut at = 0;
        let mut found = Vec::new();

        while let Some(start) = next_token(text.as_bytes(), at) {
            at = end_of_token(text.as_bytes(), start);
            found.push(&text[start..at]);
        }

        found
    }

    #[test]
    fn lexer_splits_texts_into_the_tokens_of_graphql() {
        let rows: [(&str, &[&str]); 14] = [
            ("", &[]),
            (" ,\t\r\n\u{feff}", &[]),
            ("# { a } \" no end", &[]),
            ("{a}# x\n b # y\r c", &["{", "a", "}", "b", "c"]),
            (
                "query Q($a:[Int!]!=-1.5e+3)",
                &[
                    "query", "Q", "(", "$", "a", ":", "[", "Int", "!", "]", "!", "=", "-1.5e+3",
                    ")",
                ],
            ),
            ("...F ... on X@d", &["...", "F", "...", "on", "X", "@", "d"]),
            (r#""a # \" } b" c"#, &[r#""a # \" } b""#, "c"]),
            (
                r#""""a " "" \""" { """ c"#,
                &[r#""""a " "" \""" { """"#, "c"],
            ),
            (r#""" c"#, &[r#""""#, "c"]),
            ("\"open\n{", &["\"open", "{"]),
            (r#""""open {"#, &[r#""""#, r#""open {"#]),
            (r#""end\"#, &[r#""end\"#]),
            ("é\u{1f980}x", &["é\u{1f980}", "x"]),
            (". ~", &[".", "~"]),
        ];

        for (text, expected) in rows {
            assert_eq!(tokens(text), expected, "{text}");
        }
    }

    #[test]
    fn lexer_ignores_brackets_in_strings_and_comments() {
        let limits = Limits {
            nesting: 2,
            ..Limits::default()
        };

        assert_eq!(check("{ a(x: \"{{{[[[\") } # {{{", &limits), Ok(()));
        let error = check("{ a {\n  é(x: 1) } }", &limits).unwrap_err();

        assert_eq!(error.locations, [Location { line: 2, column: 4 }]);
        assert_eq!(check("}}}}{{", &limits), Ok(()));
    }

    #[test]
    fn lexer_counts_tokens_up_to_the_limit() {
        let limits = Limits {
            tokens: 3,
            ..Limits::default()
        };

        assert_eq!(check("{a,,,,}", &limits), Ok(()));
        let error = check("{a}\n!", &limits).unwrap_err();

        assert_eq!(
            (error.kind, &*error.locations),
            (
                ErrorKind::TooComplex,
                &[Location { line: 2, column: 1 }][..]
            )
        );
    }
}
