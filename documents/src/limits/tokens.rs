//! Count of a document's tokens and depth of its brackets, before the parser sees it.
//!
//! The parser recurses once per bracket, without a bound of its own in values and types, so a text that nests deeper than
//! a stack can bear must not reach it. Syntax is not judged here: whatever is not a token of GraphQL counts as one and is
//! left to the parser.

use super::Limits;
use crate::error::{DocumentError, Location};
use crate::lexer::Lexer;

/// Checks the number of tokens and the depth of brackets, reading no further than the first excess.
///
/// # Errors
/// [`TooComplex`](crate::ErrorKind::TooComplex), with the position of the token that exceeds a limit.
pub(crate) fn check(text: &str, limits: &Limits) -> Result<(), DocumentError> {
    let mut depth = 0_usize;

    for (index, token) in Lexer::new(text).enumerate() {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            // Unbalanced brackets are for the parser to report.
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }

        // Checked at each token, so that a text of millions of them costs no more than the limit allows.
        let over = |what, limit| {
            let at = Location::in_text(text, token.start);
            Err(DocumentError::over_limit(what, limit, Some(at)))
        };
        if index >= limits.tokens {
            return over("tokens", limits.tokens);
        }
        if depth > limits.nesting {
            return over("levels of nested brackets", limits.nesting);
        }
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

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
