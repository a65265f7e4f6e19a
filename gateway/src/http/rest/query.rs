//! Parameters of query strings.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::error::{Code, Problem};

/// Name and value of a parameter.
pub(super) type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Splits a query string into its parameters. Those that are not `repeatable` may be given once.
///
/// # Errors
/// BAD_REQUEST for a text that is not percent-encoded UTF-8; BAD_USER_INPUT for a parameter that is given twice, since
/// one of the two values would be ignored.
pub(super) fn parameters<'a>(
    query: Option<&'a str>,
    repeatable: &[&str],
) -> Result<Vec<Parameter<'a>>, Problem> {
    let query = query.unwrap_or_default();
    if !is_percent_encoded(query) {
        return Err(Problem::new(
            Code::BadRequest,
            "The query string is not percent-encoded UTF-8",
        ));
    }

    let mut parameters: Vec<Parameter<'a>> = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let is_known = parameters.iter().any(|(known, _)| *known == name);
        if is_known && !repeatable.contains(&name.as_ref()) {
            return Err(Problem::input(name, "must be given once"));
        }
        parameters.push((name, value));
    }

    Ok(parameters)
}

/// Returns the problem of a parameter that a path does not have. It is refused rather than ignored: a misspelt `after`
/// would return the first page again, and a misspelt filter would show what nobody asked for.
pub(super) fn unknown(name: &str) -> Problem {
    Problem::input(name, "is not a parameter of this path")
}

fn is_percent_encoded(text: &str) -> bool {
    let is_hexadecimal = |digits: &str| {
        let digits = digits.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };

    text.split('%').skip(1).all(is_hexadecimal) && percent_decode_str(text).decode_utf8().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(query: &str) -> Option<Code> {
        parameters(Some(query), &["status"])
            .err()
            .map(|problem| problem.code)
    }

    #[test]
    fn query_that_is_not_percent_encoded_is_refused() {
        for good in ["", "a=%41+b&status=%C3%BC&status=1&&c", "a=b=c"] {
            assert_eq!(code(good), None, "{good}");
        }
        for bad in ["a=%", "a=%4", "a=%zz", "%FF=1", "a=%C3"] {
            assert_eq!(code(bad), Some(Code::BadRequest), "{bad}");
        }
        assert_eq!(code("a=1&%61=2"), Some(Code::BadUserInput));
    }
}
