//! API keys and tokens in the headers of requests and in the payload of `connection_init`.

use axum::http::{HeaderMap, header};

use crate::error::Problem;

/// Returns the credential in a request's headers: an API key in `x-api-key`, or a key or token in `Authorization:
/// Bearer` (RFC 6750, section 2.1). Other schemes of `Authorization` are those of a proxy in front, and count only if
/// nothing else is there.
///
/// # Errors
/// UNAUTHENTICATED when a header is not readable text, when the two hold different credentials, or when the only one is
/// of another scheme.
pub fn key_in(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let texts = |name| {
        let values = headers.get_all(name).iter();
        let texts = values.map(|value| {
            value.to_str().map_err(|_| {
                Problem::unauthenticated("The API key must consist of visible ASCII characters")
            })
        });
        texts.collect::<Result<Vec<&str>, Problem>>()
    };

    let plain = texts(header::HeaderName::from_static("x-api-key"))?;
    let authorizations = texts(header::AUTHORIZATION)?;
    // A client's own line is told from the one that its proxy adds by the scheme.
    let bearer = authorizations.iter().find(|text| is_bearer(text));
    let authorization = bearer.or(authorizations.first());

    one_key(plain.first().copied(), authorization.copied())
}

/// Returns the credential that one or both of the two values hold. `authorization` is of the form `Bearer <credential>`;
/// another scheme is ignored beside `plain`.
///
/// # Errors
/// UNAUTHENTICATED when `authorization` alone has another form, or when the two hold different credentials.
pub fn one_key(
    plain: Option<&str>,
    authorization: Option<&str>,
) -> Result<Option<String>, Problem> {
    let plain = plain.map(str::trim);
    let bearer = match authorization {
        Some(text) if is_bearer(text) => Some(bearer_credential(text)?),
        Some(_) if plain.is_none() => return Err(not_bearer()),
        _ => None,
    };

    match (plain, bearer) {
        // Choosing one of them silently would hide a misconfigured client or proxy.
        (Some(one), Some(other)) if one != other => Err(Problem::unauthenticated(
            "x-api-key and authorization hold different credentials; send one of them",
        )),
        (one, other) => Ok(one.or(other).map(str::to_owned)),
    }
}

fn is_bearer(authorization: &str) -> bool {
    let scheme = authorization.split(' ').next().unwrap_or_default();

    scheme.eq_ignore_ascii_case("bearer")
}

fn bearer_credential(authorization: &str) -> Result<&str, Problem> {
    let credential = authorization
        .split_once(' ')
        .map(|(_, credential)| credential.trim());

    credential
        .filter(|credential| !credential.is_empty())
        .ok_or_else(not_bearer)
}

fn not_bearer() -> Problem {
    Problem::unauthenticated("The authorization must have the form: Bearer <API key or token>")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

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
            (Some("k"), Some("Bearer ")),
            (None, Some("Bearer")),
            (None, Some("Basic k")),
            (None, Some("k")),
        ] {
            assert_eq!(key(plain, authorization), Err(Code::Unauthenticated));
        }
    }

    #[test]
    fn another_scheme_is_ignored_beside_a_key() {
        let key = |plain, authorization| {
            one_key(Some(plain), Some(authorization)).map_err(|problem| problem.code)
        };

        for scheme in ["Basic dTpw", "Negotiate", "Digest username=\"u\"", "k"] {
            assert_eq!(key("k", scheme), Ok(Some("k".to_owned())), "{scheme}");
        }
    }

    #[test]
    fn a_key_is_found_beside_the_authorization_of_a_proxy() {
        let mut headers = HeaderMap::new();
        headers.append("authorization", HeaderValue::from_static("Basic dTpw"));
        assert_eq!(
            key_in(&headers).map_err(|problem| problem.code),
            Err(Code::Unauthenticated)
        );

        headers.append("authorization", HeaderValue::from_static("Bearer k"));
        let found = key_in(&headers).map_err(|problem| problem.code);
        assert_eq!(found, Ok(Some("k".to_owned())));
    }
}
