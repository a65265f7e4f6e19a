//! Standard Webhooks: secrets, and the signature that receivers verify. It refuses to keep or to send anything.

use std::fmt;

use backbone::random;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// What an endpoint's receiver and we share: 32 random bytes. It never prints; [`reveal`](Self::reveal) shows it.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A new one.
    pub fn generate() -> Self {
        Self(random::random_bytes())
    }

    /// One that was made before.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What is signed with.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `whsec_` and base64: what a receiver is given, once.
    pub fn reveal(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The value of `webhook-signature`: one signature for each secret, so that a receiver who knows any of them is
/// served. `id` is the value of `webhook-id` and holds no dot; `timestamp` that of `webhook-timestamp`, in seconds
/// since the Unix epoch.
pub fn sign(secrets: &[Secret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signed = |secret: &Secret| {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &secret.0));
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
    fn the_reference_library_signs_the_same() {
        let (one, other) = (Secret::generate(), Secret::from_bytes([0xff; 32]));
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
            "the first is the first"
        );
    }

    #[test]
    fn each_part_is_signed() {
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
    fn a_secret_shows_only_when_it_is_revealed() {
        let secret = Secret::from_bytes([7; 32]);
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_eq!(
            secret.reveal(),
            "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
        );
        assert_ne!(Secret::generate().bytes(), Secret::generate().bytes());
    }
}
