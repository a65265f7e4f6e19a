//! API keys in the headers of requests and in the payload of `connection_init`.

use axum::http::HeaderMap;

use crate::error::Problem;

/// Returns the API key in a request's headers: `x-api-key`, or `Authorization: Bearer` (RFC 6750, section 2.1).
///
/// # Errors
/// UNAUTHENTICATED when a header is not readable text, or when the two hold different keys.
pub fn key_in(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| {
                value.to_str().map_err(|_| {
                    Problem::unauthenticated("The API key must consist of visible ASCII characters")
                })
            })
            .transpose()
    };

    one_key(text("x-api-key")?, text("authorization")?)
}

/// Returns the API key that one or both of the two values hold. `authorization` is of the form `Bearer <key>`.
///
/// # Errors
/// UNAUTHENTICATED when `authorization` has another form, or when the two hold different keys.
pub fn one_key(
    plain: Option<&str>,
    authorization: Option<&str>,
) -> Result<Option<String>, Problem> {
    let bearer = authorization
        .map(|text| match text.split_once(' ') {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Ok(key.trim()),
            _ => Err(Problem::unauthenticated(
                "The authorization must have the form: Bearer <API key>",
            )),
        })
        .transpose()?;

    match (plain.map(str::trim), bearer) {
        // Choosing one of them silently would hide a misconfigured client or proxy.
        (Some(one), Some(other)) if one != other => Err(Problem::unauthenticated(
            "x-api-key and authorization hold different API keys; send one of them",
        )),
        (one, other) => Ok(one.or(other).map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn an_api_key_is_read_from_either_value_but_not_from_two_that_differ() {
        let key =
            |plain, authorization| one_key(plain, authorization).map_err(|problem| problem.code);
        assert_eq!(key(None, None), Ok(None));
        assert_eq!(key(Some(" k "), None), Ok(Some("k".to_owned())));
        assert_eq!(key(None, Some("bearer k")), Ok(Some("k".to_owned())));
        assert_eq!(key(Some("k"), Some("Bearer k")), Ok(Some("k".to_owned())));

        for (plain, authorization) in [
            (Some("k"), Some("Bearer other")),
            (None, Some("Basic k")),
            (None, Some("k")),
        ] {
            assert_eq!(key(plain, authorization), Err(Code::Unauthenticated));
        }
    }
}
