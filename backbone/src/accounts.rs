//! Accounts and their API keys: the tables that the seller database (sellers and admins) and the
//! buyer database (buyers) both have. A key is stored as its SHA-256 and shown only once.

mod calls;
mod keys;

use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use crate::clock::Clock;
use crate::db::Db;
use crate::time::Timestamp;
use crate::{Error, on_db, random};

pub use calls::{CallName, KeptCall};
pub use keys::{ApiKey, IssuedKey, KeyBytes, KeyHash, KeyHolder, KeyTerms, NewKey};

const INSERT_ACCOUNT: &str = include_str!("accounts/insert_account.sql");
const ACCOUNT: &str = include_str!("accounts/account.sql");
const FIRST_OF_ROLE: &str = include_str!("accounts/first_of_role.sql");
const ANY_ACCOUNT: &str = include_str!("accounts/any_account.sql");
const DISABLE_ACCOUNT: &str = include_str!("accounts/disable_account.sql");
const ENABLE_ACCOUNT: &str = include_str!("accounts/enable_account.sql");
const ENABLED_POSTGRES: &str = include_str!("accounts/enabled_accounts.postgres.sql");
const ENABLED_SQLITE: &str = include_str!("accounts/enabled_accounts.sqlite.sql");

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
    /// Time since which the account's keys and tokens are refused; `None` while it is enabled.
    pub disabled_at: Option<Timestamp>,
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

    /// Reads the oldest account of a role, an enabled one if there is any.
    pub async fn first_of(&self, role: Role) -> Result<Option<Account>, Error> {
        on_db!(self.db.read(), pool =>
            sqlx::query_as(FIRST_OF_ROLE).bind(role.as_str()).fetch_optional(pool).await)
    }

    /// Returns whether the database has any account.
    pub async fn any(&self) -> Result<bool, Error> {
        // EXISTS stops at the first row, however many accounts there are.
        on_db!(self.db.read(), pool => sqlx::query_scalar(ANY_ACCOUNT).fetch_one(pool).await)
    }

    /// Disables an account: its keys are valid no longer, until it is enabled. Returns the account,
    /// `None` if the database has no such account.
    pub async fn disable(&self, id: Uuid) -> Result<Option<Account>, Error> {
        on_db!(self.db.write_with_outcome(), pool => sqlx::query_as(DISABLE_ACCOUNT)
            .bind(id).bind(self.clock.now()).fetch_optional(pool).await)
    }

    /// Enables an account, whose keys are then valid as before. Returns the account, `None` if the
    /// database has no such account.
    pub async fn enable(&self, id: Uuid) -> Result<Option<Account>, Error> {
        on_db!(self.db.write_with_outcome(), pool =>
            sqlx::query_as(ENABLE_ACCOUNT).bind(id).fetch_optional(pool).await)
    }

    /// Returns those of these accounts that exist and are enabled.
    pub async fn still_enabled(&self, ids: &[Uuid]) -> Result<Vec<Uuid>, Error> {
        on_db!(self.db.read(), postgres(pool) => {
            sqlx::query_scalar(ENABLED_POSTGRES).bind(ids).fetch_all(pool).await
        }, sqlite(pool) => {
            // SQLite binds no arrays; ids are blobs there, and JSON has none, hence hexadecimal.
            let ids: Vec<String> = ids.iter().map(|id| hex::encode(id.as_bytes())).collect();
            sqlx::query_scalar(ENABLED_SQLITE).bind(Json(ids)).fetch_all(pool).await
        })
    }

    /// Returns the time of day that ends of keys are compared with.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
