//! Endpoints' secrets at rest: sealed with a key that the database does not hold. What is sealed for one endpoint
//! does not open as another's.

use std::fmt;

use backbone::{Error, random};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use uuid::Uuid;

use super::signature::Secret;

/// The key of all secrets at rest: 32 bytes, which never print.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

/// The text is not 32 bytes in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not 32 bytes in base64")]
pub struct NotASealKey;

/// How what follows is sealed, so that another way can come.
const VERSION: u8 = 1;

impl SealKey {
    /// A new one.
    pub fn generate() -> Self {
        Self(random::random_bytes())
    }

    /// Reads what [`to_base64`](Self::to_base64) wrote.
    ///
    /// # Errors
    /// [`NotASealKey`], which does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, NotASealKey> {
        let bytes = STANDARD.decode(text).map_err(|_| NotASealKey)?;
        bytes.try_into().map(Self).map_err(|_| NotASealKey)
    }

    /// The key's text, for whoever keeps it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Seals an endpoint's secret: never twice the same bytes.
    pub fn seal(&self, owner: Uuid, secret: &Secret) -> Vec<u8> {
        let nonce = random::random_bytes::<NONCE_LEN>();
        let mut kept = secret.bytes().to_vec();
        self.key()
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(owner.as_bytes()),
                &mut kept,
            )
            .expect("a secret is far below the cipher's limit");
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut kept);
        sealed
    }

    /// Opens what was sealed for this owner.
    ///
    /// # Errors
    /// [`Error::Broken`] when it was sealed with another key or for another owner, or was changed.
    pub fn open(&self, owner: Uuid, sealed: &[u8]) -> Result<Secret, Error> {
        let broken = || {
            Error::broken(
                "a webhook's secret",
                "it does not open with the key that is set",
            )
        };
        let (VERSION, rest) = sealed
            .split_first()
            .map(|(version, rest)| (*version, rest))
            .ok_or_else(broken)?
        else {
            return Err(broken());
        };
        let (nonce, kept) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(broken)?;
        let mut kept = kept.to_vec();
        let opened = self
            .key()
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(owner.as_bytes()),
                &mut kept,
            )
            .map_err(|_| broken())?;
        let bytes: [u8; 32] = (&*opened).try_into().map_err(|_| broken())?;
        Ok(Secret::from_bytes(bytes))
    }

    fn key(&self) -> LessSafeKey {
        LessSafeKey::new(
            UnboundKey::new(&AES_256_GCM, &self.0).expect("32 bytes are a key of this cipher"),
        )
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Uuid = Uuid::from_u128(1);
    const BOB: Uuid = Uuid::from_u128(2);

    #[test]
    fn a_secret_opens_for_its_owner_with_its_key_alone() {
        let (key, secret) = (SealKey::generate(), Secret::generate());
        let sealed = key.seal(ANN, &secret);
        assert_eq!(key.open(ANN, &sealed).unwrap().bytes(), secret.bytes());
        for refused in [
            key.open(BOB, &sealed),
            SealKey::generate().open(ANN, &sealed),
        ] {
            assert!(matches!(refused, Err(Error::Broken { .. })), "{refused:?}");
        }
    }

    #[test]
    fn no_byte_of_it_can_be_changed_or_left_out() {
        let key = SealKey::generate();
        let sealed = key.seal(ANN, &Secret::generate());
        assert_eq!(sealed.len(), 61);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(ANN, &changed).is_err(), "byte {at}");
            assert!(
                key.open(ANN, &sealed[..at]).is_err(),
                "the first {at} bytes"
            );
        }
        assert!(key.open(ANN, &[&sealed[..], &[0]].concat()).is_err());
    }

    #[test]
    fn the_same_secret_is_sealed_differently_each_time_and_never_shows() {
        let (key, secret) = (SealKey::generate(), Secret::generate());
        let (one, other) = (key.seal(ANN, &secret), key.seal(ANN, &secret));
        assert_ne!(one[1..13], other[1..13]);
        assert_ne!(one[13..45], other[13..45]);
        assert!(
            !one.windows(8)
                .any(|part| secret.bytes().windows(8).any(|hidden| part == hidden))
        );
    }

    #[test]
    fn a_key_survives_its_text_and_only_32_bytes_are_one() {
        let key = SealKey::generate();
        assert_eq!(SealKey::parse(&key.to_base64()).unwrap().0, key.0);
        assert_eq!(format!("{key:?}"), "SealKey");
        let hex = "00".repeat(32);
        for wrong in [
            "",
            "c2hvcnQ=",
            &STANDARD.encode([0; 31]),
            &STANDARD.encode([0; 33]),
            &hex,
            "no base64!",
        ] {
            assert_eq!(SealKey::parse(wrong).unwrap_err(), NotASealKey, "{wrong}");
        }
    }
}
