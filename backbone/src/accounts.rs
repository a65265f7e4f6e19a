//! Accounts and their API keys: the tables that the seller database (sellers, admins) and the buyer database
//! (buyers) both keep. A key is stored as its SHA-256 and shown once.

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

const INSERT_ACCOUNT: &str = "
    INSERT INTO account (id, role, name, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING";
const ACCOUNT: &str = "SELECT id, role, name, created_at FROM account WHERE id = $1";
const FIRST_OF_ROLE: &str = "SELECT id, role, name, created_at FROM account WHERE role = $1 ORDER BY created_at, id LIMIT 1";
const ANY_ACCOUNT: &str = "SELECT EXISTS (SELECT 1 FROM account)";
const INSERT_KEY: &str = "
    INSERT INTO api_key (id, account_id, hash, label, created_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (hash) DO UPDATE SET hash = excluded.hash
    RETURNING id";
const REVOKE_KEY: &str = "
    UPDATE api_key SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1 RETURNING revoked_at";
const HOLDER: &str = "
    SELECT k.id AS key_id, a.id AS account_id, a.role, a.name
      FROM api_key k JOIN account a ON a.id = k.account_id
     WHERE k.hash = $1 AND k.revoked_at IS NULL";
const VALID_POSTGRES: &str = "SELECT hash FROM api_key WHERE hash = ANY($1) AND revoked_at IS NULL";
const VALID_SQLITE: &str = "
    SELECT hash FROM api_key
     WHERE hash IN (SELECT unhex(value) FROM json_each($1)) AND revoked_at IS NULL";

/// What an account may do.
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
    /// The name that tables and the contract use.
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
            .ok_or_else(|| format!("{text} is no role"))
    }
}

/// Somebody who may hold keys.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Account {
    /// Unique over the market.
    pub id: Uuid,
    /// What it may do.
    #[sqlx(try_from = "String")]
    pub role: Role,
    /// 1 … 200 characters.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The SHA-256 of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// Of the key's text.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

/// A key that was just made: the only time that its text is there.
#[derive(Clone, Debug)]
pub struct IssuedKey {
    /// Names the key when it is revoked.
    pub id: Uuid,
    /// Who may use it.
    pub account_id: Uuid,
    /// The secret.
    pub key: String,
}

/// Whose key it is.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct KeyHolder {
    /// The key.
    pub key_id: Uuid,
    /// Its account.
    pub account_id: Uuid,
    /// What the account may do.
    #[sqlx(try_from = "String")]
    pub role: Role,
    /// The account's name.
    pub name: String,
}

/// The accounts of one database.
#[derive(Clone)]
pub struct Accounts {
    db: Db,
    clock: Clock,
}

impl Accounts {
    /// Over tables `account` and `api_key` of this database.
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// Makes an account. With an id that exists, the account as it stands, whatever its role and name.
    pub async fn create(&self, id: Option<Uuid>, role: Role, name: &str) -> Result<Account, Error> {
        let now = self.clock.now();
        let id = id.unwrap_or_else(|| random::row_id(now.as_micros()));
        on_db!(self.db.write(), pool => sqlx::query(INSERT_ACCOUNT)
            .bind(id).bind(role.as_str()).bind(name).bind(now).execute(pool).await.map(|_| ()))?;
        on_db!(self.db.write(), pool => sqlx::query_as(ACCOUNT).bind(id).fetch_one(pool).await)
    }

    /// The account with this id.
    pub async fn find(&self, id: Uuid) -> Result<Option<Account>, Error> {
        on_db!(self.db.read(), pool => sqlx::query_as(ACCOUNT).bind(id).fetch_optional(pool).await)
    }

    /// The oldest account of a role.
    pub async fn first_of(&self, role: Role) -> Result<Option<Account>, Error> {
        on_db!(self.db.read(), pool =>
            sqlx::query_as(FIRST_OF_ROLE).bind(role.as_str()).fetch_optional(pool).await)
    }

    /// Whether there is any account at all.
    pub async fn any(&self) -> Result<bool, Error> {
        on_db!(self.db.read(), pool => sqlx::query_scalar(ANY_ACCOUNT).fetch_one(pool).await)
    }

    /// Makes a random key for an account that exists.
    pub async fn issue(&self, account_id: Uuid, label: Option<&str>) -> Result<IssuedKey, Error> {
        let key = format!(
            "dw_{}",
            URL_SAFE_NO_PAD.encode(random::random_bytes::<32>())
        );
        let id = self.keep(account_id, label, &key).await?;
        Ok(IssuedKey {
            id,
            account_id,
            key,
        })
    }

    /// Keeps a key whose text is known already, and returns its id: only for examples with public keys. A second time
    /// changes nothing.
    pub async fn keep(
        &self,
        account_id: Uuid,
        label: Option<&str>,
        key: &str,
    ) -> Result<Uuid, Error> {
        let now = self.clock.now();
        let id = random::row_id(now.as_micros());
        let hash = KeyHash::of(key);
        on_db!(self.db.write(), pool => sqlx::query_scalar(INSERT_KEY)
            .bind(id).bind(account_id).bind(&hash.0[..]).bind(label).bind(now)
            .fetch_one(pool).await)
    }

    /// Revokes a key, once for all; `None` when there is no such key here.
    pub async fn revoke(&self, key_id: Uuid) -> Result<Option<Timestamp>, Error> {
        on_db!(self.db.write(), pool => sqlx::query_scalar(REVOKE_KEY)
            .bind(key_id).bind(self.clock.now()).fetch_optional(pool).await)
    }

    /// Whose key this is, if it is one and not revoked.
    pub async fn holder(&self, hash: KeyHash) -> Result<Option<KeyHolder>, Error> {
        on_db!(self.db.read(), pool =>
            sqlx::query_as(HOLDER).bind(&hash.0[..]).fetch_optional(pool).await)
    }

    /// Which of these are keys of this database and not revoked.
    pub async fn still_valid(&self, hashes: &[KeyHash]) -> Result<Vec<KeyHash>, Error> {
        let valid: Result<Vec<Vec<u8>>, _> = on_db!(self.db.read(), postgres(pool) => {
            let hashes: Vec<&[u8]> = hashes.iter().map(|hash| &hash.0[..]).collect();
            sqlx::query_scalar(VALID_POSTGRES)
                .bind(hashes)
                .fetch_all(pool)
                .await
        }, sqlite(pool) => {
            let hashes: Vec<String> = hashes.iter().map(|hash| hex::encode(hash.0)).collect();
            sqlx::query_scalar(VALID_SQLITE)
                .bind(Json(hashes))
                .fetch_all(pool)
                .await
        });
        let valid = valid?;
        Ok(valid
            .into_iter()
            .filter_map(|hash| hash.try_into().ok().map(KeyHash))
            .collect())
    }
}
