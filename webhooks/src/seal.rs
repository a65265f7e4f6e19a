//! Encryption of secrets at rest, with a key that is not in the database: those of endpoints, and API keys while they
//! can be shown again. A secret sealed for one owner does not open as another's.

use std::fmt;

use backbone::{Error, random};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use uuid::Uuid;

use crate::signature::Secret;

/// First byte of a sealed secret: the format of the rest, so that another one can be introduced.
const VERSION: u8 = 1;

/// Key that encrypts all secrets at rest: 32 bytes, which `Debug` does not show.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

/// Text that is not 32 bytes in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 32 bytes in base64, such as openssl rand -base64 32 prints")]
pub struct NotASealKey;

impl SealKey {
    /// Generates a new key.
    pub fn generate() -> Self {
        Self(random::random_bytes())
    }

    /// Parses the text that [`to_base64`](Self::to_base64) returns.
    ///
    /// # Errors
    /// [`NotASealKey`], which does not repeat the text, since it may be a mistyped key.
    pub fn parse(text: &str) -> Result<Self, NotASealKey> {
        let bytes = STANDARD.decode(text).map_err(|_| NotASealKey)?;
        bytes.try_into().map(Self).map_err(|_| NotASealKey)
    }

    /// Returns the key as text, to be stored.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Encrypts an endpoint's secret, as [`seal_bytes`](Self::seal_bytes) does.
    pub fn seal(&self, owner: Uuid, secret: &Secret) -> Vec<u8> {
        self.encrypt(owner, secret.bytes())
    }

    /// Encrypts a secret with AES-256-GCM: a version byte, a random nonce, the ciphertext and its
    /// tag.
    pub fn seal_bytes(&self, owner: Uuid, secret: &[u8; 32]) -> Vec<u8> {
        self.encrypt(owner, secret)
    }

    fn encrypt(&self, owner: Uuid, secret: &[u8]) -> Vec<u8> {
        // Random nonces of 96 bits are safe for 2^32 secrets under one key (NIST SP 800-38D, 8.3).
        let nonce = random::random_bytes::<NONCE_LEN>();
        let mut encrypted = secret.to_vec();
        self.key()
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(owner.as_bytes()),
                &mut encrypted,
            )
            .expect("a secret is far below the cipher's limit");

        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut encrypted);
        sealed
    }

    /// Decrypts an endpoint's secret.
    ///
    /// # Errors
    /// As [`open_bytes`](Self::open_bytes).
    pub fn open(&self, owner: Uuid, sealed: &[u8]) -> Result<Secret, Error> {
        self.decrypt(owner, sealed)
            .map(Secret::from_bytes)
            .ok_or_else(|| broken("webhook secret"))
    }

    /// Decrypts a secret that was sealed for this owner. `what` names it in the error.
    ///
    /// # Errors
    /// [`Error::Broken`] when the secret was sealed with another key or for another owner, or was
    /// altered.
    pub fn open_bytes(
        &self,
        what: &'static str,
        owner: Uuid,
        sealed: &[u8],
    ) -> Result<[u8; 32], Error> {
        let opened = self.decrypt(owner, sealed);
        opened
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| broken(what))
    }

    /// Decrypts what was sealed for this owner.
    // `None` for every failure: which byte was wrong would help only somebody who is guessing.
    fn decrypt(&self, owner: Uuid, sealed: &[u8]) -> Option<Vec<u8>> {
        let (&version, rest) = sealed.split_first()?;
        if version != VERSION {
            return None;
        }
        let (nonce, encrypted) = rest.split_first_chunk::<NONCE_LEN>()?;

        // The owner is authenticated with the ciphertext: a row copied to another endpoint does not
        // open.
        let mut encrypted = encrypted.to_vec();
        let opened = self
            .key()
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(owner.as_bytes()),
                &mut encrypted,
            )
            .ok()?;

        Some(opened.to_vec())
    }

    fn key(&self) -> LessSafeKey {
        LessSafeKey::new(
            UnboundKey::new(&AES_256_GCM, &self.0).expect("32 bytes are a key of this cipher"),
        )
    }
}

fn broken(what: &'static str) -> Error {
    Error::broken(what, "it cannot be decrypted with the configured key")
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
    fn secret_opens_only_for_its_owner_and_with_its_key() {
        let key = SealKey::generate();
        let secret = Secret::generate();
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
    fn imported_secret_of_any_length_opens_as_it_was() {
        let key = SealKey::generate();

        for length in [24, 64] {
            let secret = Secret::from_bytes(vec![7; length]);
            let opened = key.open(ANN, &key.seal(ANN, &secret)).unwrap();
            assert_eq!(opened.bytes(), secret.bytes());
        }
    }

    #[test]
    fn sealed_secret_opens_only_unaltered_and_complete() {
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
    fn sealed_secret_differs_each_time_and_hides_the_secret() {
        let key = SealKey::generate();
        let secret = Secret::generate();

        let one = key.seal(ANN, &secret);
        let other = key.seal(ANN, &secret);

        assert_ne!(one[1..13], other[1..13]);
        assert_ne!(one[13..45], other[13..45]);
        assert!(
            !one.windows(8)
                .any(|part| secret.bytes().windows(8).any(|hidden| part == hidden))
        );
    }

    #[test]
    fn key_round_trips_through_text_and_must_have_32_bytes() {
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
