//! Accounts and their API keys: the tables that the seller database (sellers and admins) and the
//! buyer database (buyers) both have. A key is stored as its SHA-256 and shown only once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use crate::clock::Clock;
use crate::db::Db;
use crate::time::Timestamp;
use crate::{Error, on_db, random};

const INSERT_ACCOUNT: &str = include_str!("accounts/insert_account.sql");
const ACCOUNT: &str = include_str!("accounts/account.sql");
const FIRST_OF_ROLE: &str = include_str!("accounts/first_of_role.sql");
const ANY_ACCOUNT: &str = include_str!("accounts/any_account.sql");
const INSERT_KEY: &str = include_str!("accounts/insert_key.sql");
const REVOKE_KEY: &str = include_str!("accounts/revoke_key.sql");
const HOLDER: &str = include_str!("accounts/holder.sql");
const VALID_POSTGRES: &str = include_str!("accounts/valid_keys.postgres.sql");
const VALID_SQLITE: &str = include_str!("accounts/valid_keys.sqlite.sql");

/// Role of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Creates and updates deals.
    Seller,
    /// Sees deals of sellers that granted access.
    Buyer,
    /// Creates accounts, issues and revokes keys.
    Admin,
}

impl Role {
    /// Returns the name that tables and the public contract use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seller => "SELLER",
            Self::Buyer => "BUYER",
            Self::Admin => "ADMIN",
        }
    }
}

impl TryFrom<String> for Role {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        [Self::Seller, Self::Buyer, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("unknown role {text}"))
    }
}

/// An account, which may have any number of keys.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Account {
    /// Id, unique within the market.
    pub id: Uuid,
    /// Role, which decides what the account may do.
    #[sqlx(try_from = "String")]
    pub role: Role,
    /// Name, 1 to 200 characters.
    pub name: String,
    /// Time of creation.
    pub created_at: Timestamp,
}

/// SHA-256 digest of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// Computes the digest of a key's text.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

/// A newly issued key. Its text is not stored and cannot be read again.
#[derive(Clone, Debug)]
pub struct IssuedKey {
    /// Id, by which the key is revoked.
    pub id: Uuid,
    /// Account that the key authenticates.
    pub account_id: Uuid,
    /// Text of the key: a secret.
    pub key: String,
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
}

/// The accounts of one database.
#[derive(Clone)]
pub struct Accounts {
    db: Db,
    clock: Clock,
}

impl Accounts {
    /// Builds a handle of tables `account` and `api_key` of `db`.
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// Creates an account. If `id` exists, returns that account unchanged, whatever its role and
    /// name.
    pub async fn create(&self, id: Option<Uuid>, role: Role, name: &str) -> Result<Account, Error> {
        let now = self.clock.now();
        // Row ids are ordered by time, so that inserts touch only the end of the index.
        let id = id.unwrap_or_else(|| random::row_id(now.as_micros()));
        on_db!(self.db.write_with_outcome(), pool => sqlx::query(INSERT_ACCOUNT)
            .bind(id).bind(role.as_str()).bind(name).bind(now).execute(pool).await.map(|_| ()))?;

        // Read back, since the id may have been there before.
        on_db!(self.db.write(), pool => sqlx::query_as(ACCOUNT).bind(id).fetch_one(pool).await)
            .map_err(Error::after_write)
    }

    /// Reads an account by id.
    pub async fn find(&self, id: Uuid) -> Result<Option<Account>, Error> {
        on_db!(self.db.read(), pool => sqlx::query_as(ACCOUNT).bind(id).fetch_optional(pool).await)
    }

    /// Reads the oldest account of a role.
    pub async fn first_of(&self, role: Role) -> Result<Option<Account>, Error> {
        on_db!(self.db.read(), pool =>
            sqlx::query_as(FIRST_OF_ROLE).bind(role.as_str()).fetch_optional(pool).await)
    }

    /// Returns whether the database has any account.
    pub async fn any(&self) -> Result<bool, Error> {
        // EXISTS stops at the first row, however many accounts there are.
        on_db!(self.db.read(), pool => sqlx::query_scalar(ANY_ACCOUNT).fetch_one(pool).await)
    }

    /// Issues a random key for an existing account.
    pub async fn issue(&self, account_id: Uuid, label: Option<&str>) -> Result<IssuedKey, Error> {
        let key = format!(
            "dw_{}",
            URL_SAFE_NO_PAD.encode(random::random_bytes::<32>())
        );

        let id = self.store_key(account_id, label, &key).await?;
        Ok(IssuedKey {
            id,
            account_id,
            key,
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
        let now = self.clock.now();
        let id = random::row_id(now.as_micros());
        // Issued keys are long and random, so a fast hash without a salt cannot be searched.
        let hash = KeyHash::of(key);

        on_db!(self.db.write_with_outcome(), pool => sqlx::query_scalar(INSERT_KEY)
            .bind(id).bind(account_id).bind(&hash.0[..]).bind(label).bind(now)
            .fetch_one(pool).await)
    }

    /// Revokes a key for good and returns when it was first revoked, `None` if the database has no
    /// such key.
    pub async fn revoke(&self, key_id: Uuid) -> Result<Option<Timestamp>, Error> {
        on_db!(self.db.write_with_outcome(), pool => sqlx::query_scalar(REVOKE_KEY)
            .bind(key_id).bind(self.clock.now()).fetch_optional(pool).await)
    }

    /// Reads the account that a key authenticates, `None` if the key is unknown or revoked.
    pub async fn holder(&self, hash: KeyHash) -> Result<Option<KeyHolder>, Error> {
        on_db!(self.db.read(), pool =>
            sqlx::query_as(HOLDER).bind(&hash.0[..]).fetch_optional(pool).await)
    }

    /// Returns those of these keys that exist and are not revoked.
    pub async fn still_valid(&self, hashes: &[KeyHash]) -> Result<Vec<KeyHash>, Error> {
        let valid: Result<Vec<Vec<u8>>, _> = on_db!(self.db.read(), postgres(pool) => {
            let hashes: Vec<&[u8]> = hashes.iter().map(|hash| &hash.0[..]).collect();
            sqlx::query_scalar(VALID_POSTGRES)
                .bind(hashes)
                .fetch_all(pool)
                .await
        }, sqlite(pool) => {
            // SQLite binds no arrays; digests are blobs there, and JSON has none, hence
            // hexadecimal.
            let hashes: Vec<String> = hashes.iter().map(|hash| hex::encode(hash.0)).collect();
            sqlx::query_scalar(VALID_SQLITE)
                .bind(Json(hashes))
                .fetch_all(pool)
                .await
        });

        Ok(valid?
            .into_iter()
            .filter_map(|hash| hash.try_into().ok().map(KeyHash))
            .collect())
    }
}
