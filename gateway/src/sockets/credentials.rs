//! API keys of websocket clients: in the payload of `connection_init`, or in the headers of the upgrade.

use serde_json::{Map, Value};

use crate::auth::{KeyRing, Principal, one_key};
use crate::error::Problem;
use crate::origin::Origin;

/// Credentials that the upgrade's headers carried: a key, none, or the fault in them.
pub type HeaderKey = Result<Option<String>, Problem>;

/// Credentials and origin of the upgrade that opened a socket.
pub struct Credentials {
    /// Key in the headers.
    pub key: HeaderKey,
    /// Network and client that the upgrade came from.
    pub origin: Origin,
}

/// Authenticates a client by the payload of its `connection_init`, or by the upgrade's headers if the payload holds no
/// key. Browsers cannot set headers on a websocket, hence the payload.
///
/// # Errors
/// UNAUTHENTICATED for a missing, malformed or unknown key, UNAVAILABLE when keys cannot be confirmed now.
pub(super) async fn authenticate(
    keys: &KeyRing,
    payload: Option<&Map<String, Value>>,
    header_key: &HeaderKey,
) -> Result<Principal, Problem> {
    let x_api_key = entry(payload, "x-api-key");
    let authorization = entry(payload, "authorization");

    // The payload wins: it is what the page chose, while headers may come from a proxy or a shared client.
    let key = match one_key(x_api_key, authorization) {
        Ok(None) => header_key.clone(),
        from_payload => from_payload,
    };

    match key? {
        Some(key) => keys.authenticate(&key).await,
        None => Err(Problem::unauthenticated("An API key is required")),
    }
}

/// Returns a text entry of the payload. Names are compared as header names are, without regard to case.
fn entry<'a>(payload: Option<&'a Map<String, Value>>, name: &str) -> Option<&'a str> {
    let (_, value) = payload?
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    value.as_str()
}
