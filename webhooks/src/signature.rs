//! Secrets of endpoints, and the signature that receivers verify, as [Standard Webhooks] defines
//! them.
//!
//! [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

use std::fmt;

use backbone::random;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// Secret shared with an endpoint's receiver: 32 random bytes. `Debug` does not show it;
/// [`reveal`](Self::reveal) does.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Generates a new secret.
    pub fn generate() -> Self {
        Self(random::random_bytes())
    }

    /// Wraps a secret that was generated before.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the key of the signature.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the form that the receiver is given: `whsec_` and base64.
    pub fn reveal(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Returns the value of the header `webhook-signature`: one signature for each secret, so that a
/// receiver that knows any of them can verify the call. `id` is the value of `webhook-id`, without
/// a dot; `timestamp` is that of `webhook-timestamp`, in seconds since the Unix epoch.
pub fn sign(secrets: &[Secret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signed = |secret: &Secret| {
        // Fed in parts, so that the body is not copied in front of its own signature.
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &secret.0));
        // The dots delimit the parts, so the same bytes cannot be split into another id and time.
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    };

    secrets.iter().map(signed).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use standardwebhooks::Webhook;

    use super::*;

    const BODY: &[u8] = br#"{"type":"deal.updated"}"#;
    const AT: i64 = 1_700_000_000;

    fn reference(secret: &Secret) -> String {
        Webhook::new(&secret.reveal())
            .unwrap()
            .sign("a-b", AT, BODY)
            .unwrap()
    }

    #[test]
    fn signature_matches_the_reference_library() {
        let one = Secret::generate();
        let other = Secret::from_bytes([0xff; 32]);
        for secret in [&one, &other] {
            assert_eq!(
                sign(std::slice::from_ref(secret), "a-b", AT, BODY),
                reference(secret)
            );
        }

        let both = sign(&[one.clone(), other.clone()], "a-b", AT, BODY);
        assert_eq!(
            both,
            format!("{} {}", reference(&one), reference(&other)),
            "signatures come in the order of the secrets"
        );
    }

    #[test]
    fn signature_covers_id_time_and_body() {
        let secrets = [Secret::generate()];
        let signature = sign(&secrets, "a-b", AT, BODY);

        for other in [
            sign(&secrets, "a-c", AT, BODY),
            sign(&secrets, "a-b", AT + 1, BODY),
            sign(&secrets, "a-b", AT, &BODY[1..]),
            sign(&[Secret::generate()], "a-b", AT, BODY),
        ] {
            assert_ne!(other, signature);
        }
    }

    #[test]
    fn secret_shows_only_when_it_is_revealed() {
        let secret = Secret::from_bytes([7; 32]);
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_eq!(
            secret.reveal(),
            "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
        );
        assert_ne!(Secret::generate().bytes(), Secret::generate().bytes());
    }
}
