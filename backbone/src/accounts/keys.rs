//! API keys of accounts.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Accounts, Role};
use crate::time::Timestamp;
use crate::{Error, on_db, random};

const INSERT_KEY: &str = include_str!("insert_key.sql");
const ISSUE_KEY: &str = include_str!("issue_key.sql");
const REVOKE_KEY: &str = include_str!("revoke_key.sql");
const HOLDER: &str = include_str!("holder.sql");
const VALID_POSTGRES: &str = include_str!("valid_keys.postgres.sql");
const VALID_SQLITE: &str = include_str!("valid_keys.sqlite.sql");
const KEYS_OF_ACCOUNT: &str = include_str!("keys_of_account.sql");
const NOTE_USES_POSTGRES: &str = include_str!("note_uses.postgres.sql");
const NOTE_USES_SQLITE: &str = include_str!("note_uses.sqlite.sql");

/// SHA-256 digest of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// Computes the digest of a key's text.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

/// Random part of an issued key: 32 bytes, which `Debug` does not show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyBytes(pub [u8; 32]);

impl KeyBytes {
    /// Generates the random part of a new key.
    pub fn generate() -> Self {
        Self(random::random_bytes())
    }

    /// Returns the text of the key: `dw_` and base64url.
    pub fn text(&self) -> String {
        format!("dw_{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyBytes")
    }
}

/// Terms that a key is issued on.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyTerms<'a> {
    /// Note to recognise the key by, 1 to 200 characters.
    pub label: Option<&'a str>,
    /// Time from which the key is refused; `None` if it has no end.
    pub expires_at: Option<Timestamp>,
}

/// A key to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewKey<'a> {
    /// Id, by which the key is revoked.
    pub id: Uuid,
    /// Account that the key authenticates.
    pub account_id: Uuid,
    /// Random part of its text.
    pub bytes: KeyBytes,
    /// Terms that it is issued on.
    pub terms: KeyTerms<'a>,
}

/// A newly issued key. Its text is not stored and cannot be read again.
#[derive(Clone)]
pub struct IssuedKey {
    /// Id, by which the key is revoked.
    pub id: Uuid,
    /// Account that the key authenticates.
    pub account_id: Uuid,
    /// Text of the key: a secret, which `Debug` does not show.
    pub key: String,
}

impl fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedKey")
            .field("id", &self.id)
            .field("account_id", &self.account_id)
            .finish_non_exhaustive()
    }
}

/// The account that a key authenticates.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct KeyHolder {
    /// Id of the key.
    pub key_id: Uuid,
    /// Id of the account.
    pub account_id: Uuid,
    /// Role of the account.
    #[sqlx(try_from = "String")]
    pub role: Role,
    /// Name of the account.
    pub name: String,
    /// Time from which the key is refused; `None` if it has no end.
    pub expires_at: Option<Timestamp>,
}

/// A key as its account may see it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ApiKey {
    /// Id, by which the key is revoked.
    pub id: Uuid,
    /// Account that the key authenticates.
    pub account_id: Uuid,
    /// Note to recognise the key by.
    pub label: Option<String>,
    /// Time of issue.
    pub created_at: Timestamp,
    /// Time of the last use, to the minute; `None` if the key was never used.
    pub last_used_at: Option<Timestamp>,
    /// Time from which the key is refused; `None` if it has no end.
    pub expires_at: Option<Timestamp>,
    /// Time of its first revocation; `None` if it was never revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Accounts {
    /// Issues a random key without an end for an existing account.
    pub async fn issue(&self, account_id: Uuid, label: Option<&str>) -> Result<IssuedKey, Error> {
        let terms = KeyTerms {
            label,
            expires_at: None,
        };

        self.issue_on(account_id, terms).await
    }

    /// Issues a random key for an existing account.
    pub async fn issue_on(
        &self,
        account_id: Uuid,
        terms: KeyTerms<'_>,
    ) -> Result<IssuedKey, Error> {
        let key = NewKey {
            id: self.new_id(),
            account_id,
            bytes: KeyBytes::generate(),
            terms,
        };

        self.put_key(key).await
    }

    /// Stores a key that was decided on before. Storing it again changes nothing, even if it has
    /// been revoked since.
    pub async fn put_key(&self, key: NewKey<'_>) -> Result<IssuedKey, Error> {
        let NewKey {
            id,
            account_id,
            bytes,
            terms,
        } = key;
        let text = bytes.text();
        // Issued keys are long and random, so a fast hash without a salt cannot be searched.
        let hash = KeyHash::of(&text);

        on_db!(self.db.write_with_outcome(), pool => sqlx::query(ISSUE_KEY)
            .bind(id).bind(account_id).bind(&hash.0[..]).bind(terms.label).bind(self.clock.now())
            .bind(terms.expires_at).execute(pool).await.map(|_| ()))?;
        Ok(IssuedKey {
            id,
            account_id,
            key: text,
        })
    }

    /// Stores a key whose text is already known and returns its id: only for examples with public
    /// keys. Storing it again changes nothing.
    pub async fn store_key(
        &self,
        account_id: Uuid,
        label: Option<&str>,
        key: &str,
    ) -> Result<Uuid, Error> {
        let hash = KeyHash::of(key);

        on_db!(self.db.write_with_outcome(), pool => sqlx::query_scalar(INSERT_KEY)
            .bind(self.new_id()).bind(account_id).bind(&hash.0[..]).bind(label)
            .bind(self.clock.now()).fetch_one(pool).await)
    }

    /// Returns a new id for an account or a key, ordered by time.
    pub fn new_id(&self) -> Uuid {
        random::row_id(self.clock.now_micros())
    }

    /// Revokes a key for good and returns when it was first revoked, `None` if the database has no
    /// such key.
    pub async fn revoke(&self, key_id: Uuid) -> Result<Option<Timestamp>, Error> {
        on_db!(self.db.write_with_outcome(), pool => sqlx::query_scalar(REVOKE_KEY)
            .bind(key_id).bind(self.clock.now()).fetch_optional(pool).await)
    }

    /// Reads the account that a key authenticates, `None` if the key is unknown, revoked or over,
    /// or if its account is disabled.
    pub async fn holder(&self, hash: KeyHash) -> Result<Option<KeyHolder>, Error> {
        on_db!(self.db.read(), pool => sqlx::query_as(HOLDER)
            .bind(&hash.0[..]).bind(self.clock.now()).fetch_optional(pool).await)
    }

    /// Returns those of these keys that authenticate an account now.
    pub async fn still_valid(&self, hashes: &[KeyHash]) -> Result<Vec<KeyHash>, Error> {
        let now = self.clock.now();
        let valid: Result<Vec<Vec<u8>>, _> = on_db!(self.db.read(), postgres(pool) => {
            let hashes: Vec<&[u8]> = hashes.iter().map(|hash| &hash.0[..]).collect();
            sqlx::query_scalar(VALID_POSTGRES)
                .bind(hashes)
                .bind(now)
                .fetch_all(pool)
                .await
        }, sqlite(pool) => {
            // SQLite binds no arrays; digests are blobs there, and JSON has none, hence
            // hexadecimal.
            let hashes: Vec<String> = hashes.iter().map(|hash| hex::encode(hash.0)).collect();
            sqlx::query_scalar(VALID_SQLITE)
                .bind(Json(hashes))
                .bind(now)
                .fetch_all(pool)
                .await
        });

        Ok(valid?
            .into_iter()
            .filter_map(|hash| hash.try_into().ok().map(KeyHash))
            .collect())
    }

    /// Reads the newest keys of an account, at most 1,000, newest first.
    pub async fn keys_of(&self, account_id: Uuid) -> Result<Vec<ApiKey>, Error> {
        on_db!(self.db.read(), pool =>
            sqlx::query_as(KEYS_OF_ACCOUNT).bind(account_id).fetch_all(pool).await)
    }

    /// Notes when keys were used. What was noted within the minute before stays as it is.
    pub async fn note_uses(&self, uses: &[(Uuid, Timestamp)]) -> Result<(), Error> {
        on_db!(self.db.write(), postgres(pool) => {
            let (ids, times): (Vec<Uuid>, Vec<Timestamp>) = uses.iter().copied().unzip();
            sqlx::query(NOTE_USES_POSTGRES).bind(ids).bind(times).execute(pool).await.map(|_| ())
        }, sqlite(pool) => {
            let uses: Vec<(String, i64)> = uses
                .iter()
                .map(|(id, at)| (hex::encode(id.as_bytes()), at.as_micros()))
                .collect();
            sqlx::query(NOTE_USES_SQLITE).bind(Json(uses)).execute(pool).await.map(|_| ())
        })
    }
}
