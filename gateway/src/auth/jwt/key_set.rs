//! Set of public keys that tokens are signed with (RFC 7517, section 5).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use backbone::accounts::KeyHash;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Algorithms that a token may be signed with. Each needs a private key that the gateway does not have.
pub(super) const ALGORITHMS: [Algorithm; 3] =
    [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// Most keys of a set that are looked at.
const MAX_KEYS: usize = 100;

/// A public key for one algorithm.
pub(super) struct PublicKey {
    /// SHA-256 of the key as the set describes it.
    pub(super) id: KeyHash,
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

/// The usable keys of a set.
pub(super) struct KeySet {
    named: HashMap<(String, Algorithm), Arc<PublicKey>>,
    all: Vec<Arc<PublicKey>>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a set. Keys of other kinds and for other uses are passed over.
    ///
    /// # Errors
    /// The text is not a set, or holds no usable key.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(text)
            .map_err(|error| format!("it is not a set of keys in JSON: {error}"))?;
        let mut set = Self {
            named: HashMap::new(),
            all: Vec::new(),
        };

        for value in document.keys.iter().take(MAX_KEYS) {
            // A set may hold keys of a kind that is newer than this version.
            let Ok(jwk) = Jwk::deserialize(value) else {
                continue;
            };
            let Some(key) = public_key(value, &jwk) else {
                continue;
            };

            let key = Arc::new(key);
            if let Some(name) = jwk.common.key_id {
                set.named.insert((name, key.algorithm), Arc::clone(&key));
            }
            set.all.push(key);
        }
        if set.all.is_empty() {
            return Err("it holds no key for RS256, ES256 or EdDSA".to_owned());
        }
        Ok(set)
    }

    /// Returns the key of this name for an algorithm. A token without a name may be signed by the only key for its
    /// algorithm.
    pub(super) fn find(&self, name: Option<&str>, algorithm: Algorithm) -> Option<Arc<PublicKey>> {
        if let Some(name) = name {
            return self.named.get(&(name.to_owned(), algorithm)).cloned();
        }

        // Trying several would let a caller multiply the work of a request.
        let mut fitting = self.all.iter().filter(|key| key.algorithm == algorithm);
        let only = fitting.next()?;
        fitting.next().is_none().then(|| Arc::clone(only))
    }

    /// Returns the identities of all keys.
    pub(super) fn ids(&self) -> HashSet<KeyHash> {
        self.all.iter().map(|key| key.id).collect()
    }
}

fn public_key(value: &Value, jwk: &Jwk) -> Option<PublicKey> {
    let is_for_signatures = matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    let is_named = jwk.common.key_algorithm.is_none_or(|name| name == named);

    (is_for_signatures && is_named).then_some(())?;
    Some(PublicKey {
        id: KeyHash::of(&value.to_string()),
        algorithm,
        decoding: DecodingKey::from_jwk(jwk).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ec(kid: &str) -> Value {
        let half = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": half, "y": half })
    }

    fn parse(keys: Value) -> Result<KeySet, String> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn key_is_found_by_its_name_and_for_its_algorithm_only() {
        let set = parse(json!([ec("a"), ec("b")])).expect("a set");

        assert!(set.find(Some("a"), Algorithm::ES256).is_some());
        assert!(set.find(Some("a"), Algorithm::RS256).is_none());
        assert!(set.find(Some("a"), Algorithm::HS256).is_none());
        assert!(set.find(Some("c"), Algorithm::ES256).is_none());
        assert!(set.find(None, Algorithm::ES256).is_none(), "two would fit");

        let set = parse(json!([ec("a")])).expect("a set");
        assert!(set.find(None, Algorithm::ES256).is_some());
    }

    #[test]
    fn keys_for_other_uses_and_kinds_are_passed_over() {
        let changed = |name: &str, value: &str| {
            let mut key = ec("a");
            key[name] = json!(value);
            key
        };
        let oct = json!({ "kty": "oct", "kid": "a", "k": "c2VjcmV0" });

        for unusable in [
            changed("use", "enc"),
            changed("alg", "ES384"),
            changed("crv", "P-384"),
            changed("kty", "new"),
            changed("x", "!"),
            oct,
            json!(7),
        ] {
            assert!(parse(json!([unusable])).is_err(), "{unusable}");
            let set = parse(json!([unusable, ec("b")])).expect("the other one is usable");
            assert_eq!(set.ids().len(), 1, "{unusable}");
        }
        assert!(KeySet::parse(b"<html>").is_err());
        assert!(KeySet::parse(b"{}").is_err());
    }
}
