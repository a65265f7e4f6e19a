//! Secrets of endpoints, and the signature that receivers verify, as [Standard Webhooks] defines
//! them.
//!
//! [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

use std::fmt;
use std::ops::RangeInclusive;

use backbone::random;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// Beginning of a secret as text.
const PREFIX: &str = "whsec_";
/// Numbers of bytes that an imported secret may have, as Standard Webhooks recommends.
const IMPORTED_BYTES: RangeInclusive<usize> = 24..=64;
/// Largest number of characters of an imported secret: the prefix and 64 bytes in base64.
const MAX_TEXT: usize = PREFIX.len() + 88;

/// Secret shared with an endpoint's receiver: 32 random bytes, or the 24 to 64 bytes that its owner
/// imported. `Debug` does not show it; [`reveal`](Self::reveal) does.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// Text of a secret to import, not checked yet. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

/// Text that is not a secret of Standard Webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {PREFIX} followed by 24 to 64 bytes in base64")]
pub struct NotASecret;

impl SecretText {
    /// Wraps a text that a caller gave.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Parses the form that [`Secret::reveal`] returns.
    ///
    /// # Errors
    /// [`NotASecret`], which does not repeat the text, since it may be a mistyped secret.
    pub fn parse(&self) -> Result<Secret, NotASecret> {
        // Before decoding, so that a long text costs nothing.
        if self.0.len() > MAX_TEXT {
            return Err(NotASecret);
        }

        let encoded = self.0.strip_prefix(PREFIX).ok_or(NotASecret)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| NotASecret)?;

        if IMPORTED_BYTES.contains(&bytes.len()) {
            Ok(Secret(bytes))
        } else {
            Err(NotASecret)
        }
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText")
    }
}

impl Secret {
    /// Generates a new secret.
    pub fn generate() -> Self {
        Self(random::random_bytes::<32>().to_vec())
    }

    /// Wraps a secret that was generated or imported before.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Returns the key of the signature.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the form that the receiver is given: `whsec_` and base64.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
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

    #[test]
    fn imported_secret_has_24_to_64_bytes_and_is_never_shown() {
        let text = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        let parsed = |text: &str| SecretText::new(text.to_owned()).parse();

        for bytes in [24, 25, 32, 63, 64] {
            let secret = parsed(&text(bytes)).unwrap();
            assert_eq!(secret.reveal(), text(bytes));
            assert_eq!(
                sign(std::slice::from_ref(&secret), "a-b", AT, BODY),
                reference(&secret)
            );
        }

        let good = text(32);
        let unpadded = good.trim_end_matches('=');
        for wrong in [
            "",
            "whsec_",
            &text(23),
            &text(65),
            &text(66),
            &good[6..],
            &good.replace("whsec_", "WHSEC_"),
            unpadded,
            &format!("{good} "),
            &format!("whsec_{}", "é".repeat(32)),
        ] {
            assert_eq!(parsed(wrong).unwrap_err(), NotASecret, "{wrong}");
        }
        assert_eq!(format!("{:?}", SecretText::new(good)), "SecretText");
    }
}
