//! Claims of a token that tell its account, the account's role and the token's end.

use std::time::Duration;

use backbone::accounts::Role;
use backbone::time::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::JwtSettings;
use crate::error::Problem;

/// Names of claims. A name that begins with `/` is a JSON pointer (RFC 6901) into the claims.
#[derive(Clone, Debug)]
pub struct ClaimNames {
    /// Claim with the id of the account.
    pub account: String,
    /// Claim with the role, or with a list that holds it.
    pub role: String,
}

/// Values of the claim of the role.
#[derive(Clone, Debug)]
pub struct RoleValues {
    /// Value of sellers.
    pub seller: String,
    /// Value of buyers.
    pub buyer: String,
    /// Value of administrators; `None` if no token makes one.
    pub admin: Option<String>,
}

/// Returns the account that a token names, and its role.
///
/// # Errors
/// UNAUTHENTICATED when a claim is missing, or names no id, no role or several roles.
pub(super) fn account(
    claims: &Map<String, Value>,
    settings: &JwtSettings,
) -> Result<(Uuid, Role), Problem> {
    let names = &settings.claims;
    let id = claim(claims, &names.account).and_then(Value::as_str);
    let id = id.and_then(|id| id.parse().ok()).ok_or_else(|| {
        let message = format!(
            "The token's claim {} must be an account's id",
            names.account
        );
        Problem::unauthenticated(&message)
    })?;

    let role = claim(claims, &names.role).and_then(|value| settings.roles.read(value));
    let role = role.ok_or_else(|| {
        let message = format!("The token's claim {} must name one role", names.role);
        Problem::unauthenticated(&message)
    })?;
    Ok((id, role))
}

impl RoleValues {
    /// Returns the one role that a claim names, a text or a list of texts.
    fn read(&self, claim: &Value) -> Option<Role> {
        let values = match claim {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        let names = |role: &str| values.iter().any(|value| value.as_str() == Some(role));

        let roles = [
            (Role::Seller, Some(&self.seller)),
            (Role::Buyer, Some(&self.buyer)),
            (Role::Admin, self.admin.as_ref()),
        ];
        let mut named = roles
            .into_iter()
            .filter(|(_, value)| value.is_some_and(|value| names(value)));
        let (role, _) = named.next()?;

        // Whoever is several at once cannot be told apart by a request.
        named.next().is_none().then_some(role)
    }
}

/// Returns the time from which a token is refused: that of its claim `exp`, and the leeway.
pub(super) fn end(claims: &Map<String, Value>, leeway: Duration) -> Timestamp {
    // The claim is a number, or the token would have been refused; it may have a fraction.
    let seconds = claims.get("exp").and_then(Value::as_f64).unwrap_or(0.0);
    let micros = (seconds + leeway.as_secs_f64()) * 1e6;

    // A cast saturates, which is as good as no end.
    Timestamp::from_micros(micros as i64)
}

fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let Some(path) = name.strip_prefix('/') else {
        return claims.get(name);
    };

    let (first, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    claims.get(&unescaped(first))?.pointer(rest)
}

/// Returns the name of a member as it is in the object (RFC 6901, section 4).
fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(admin: Option<&str>) -> RoleValues {
        RoleValues {
            seller: "seller".to_owned(),
            buyer: "buyer".to_owned(),
            admin: admin.map(str::to_owned),
        }
    }

    #[test]
    fn role_is_the_only_one_that_the_claim_names() {
        let read = |claim| values(Some("root")).read(&claim);
        assert_eq!(read(json!("seller")), Some(Role::Seller));
        assert_eq!(read(json!(["users", "buyer"])), Some(Role::Buyer));
        assert_eq!(read(json!("root")), Some(Role::Admin));

        for none in [
            json!(["seller", "buyer"]),
            json!("SELLER"),
            json!([]),
            json!(7),
            json!({}),
        ] {
            assert_eq!(read(none.clone()), None, "{none}");
        }
    }

    #[test]
    fn role_is_admin_only_if_its_value_is_set() {
        for value in ["admin", "ADMIN", "root", ""] {
            assert_eq!(values(None).read(&json!(value)), None);
        }
    }

    #[test]
    fn claims_are_found_by_name_and_by_pointer() {
        let claims = json!({
            "https://example.com/role": "a", "realm": { "roles": ["b"] }, "a/b": { "c~d": "e" }
        });
        let claims = claims.as_object().expect("an object");

        assert_eq!(claim(claims, "https://example.com/role"), Some(&json!("a")));
        assert_eq!(claim(claims, "/realm/roles"), Some(&json!(["b"])));
        assert_eq!(claim(claims, "/a~1b/c~0d"), Some(&json!("e")));
        assert_eq!(claim(claims, "/realm/none"), None);
        assert_eq!(claim(claims, "realm.roles"), None);
    }

    #[test]
    fn end_is_the_claim_and_the_leeway() {
        let end = |exp| {
            let claims = json!({ "exp": exp });
            end(
                claims.as_object().expect("an object"),
                Duration::from_secs(5),
            )
            .as_micros()
        };
        assert_eq!(end(json!(10)), 15_000_000);
        assert_eq!(end(json!(10.5)), 15_500_000);
        assert_eq!(end(json!(u64::MAX)), i64::MAX);
    }
}
