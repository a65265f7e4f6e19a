//! Accounts and API keys in GraphQL.

use async_graphql::{Enum, ID, SimpleObject};
use backbone::accounts;
use documents::object;
use serde::{Deserialize, Serialize};

use super::scalars::{DateTime, render_enums};

/// Kind of an account.
#[derive(Clone, Copy, PartialEq, Eq, Enum, Deserialize, Serialize)]
#[graphql(remote = "accounts::Role")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Role {
    /// Offers deals and grants access to them.
    Seller,
    /// Sees the deals of sellers that granted access.
    Buyer,
    /// Administers accounts, API keys and access.
    Admin,
}

render_enums!(Role);

/// Account whose API key the request was made with.
#[derive(SimpleObject)]
pub(super) struct Viewer {
    /// Kind of the account.
    pub(super) role: Role,
    /// Id of the account.
    pub(super) id: ID,
    /// Name of the account.
    pub(super) name: String,
}

object!(Viewer as "Viewer", |viewer| {
    "role" => viewer.role,
    "id" => *viewer.id.as_str(),
    "name" => viewer.name,
});

/// A seller, a buyer or an administrator.
#[derive(SimpleObject)]
pub(super) struct Account {
    /// UUID of the account.
    id: ID,
    /// Kind of the account.
    role: Role,
    /// Name, 1 to 200 characters.
    name: String,
    /// Time at which the account was created.
    created_at: DateTime,
    /// Time since which the account's API keys and tokens are refused; null while it is enabled.
    disabled_at: Option<DateTime>,
}

object!(Account as "Account", |account| {
    "id" => *account.id.as_str(),
    "role" => account.role,
    "name" => account.name,
    "createdAt" => account.created_at,
    "disabledAt" => account.disabled_at,
});

impl From<accounts::Account> for Account {
    fn from(account: accounts::Account) -> Self {
        Self {
            id: account.id.into(),
            role: account.role.into(),
            name: account.name,
            created_at: DateTime(account.created_at),
            disabled_at: account.disabled_at.map(DateTime),
        }
    }
}

/// An API key. The key itself is never shown again.
#[derive(SimpleObject)]
pub(super) struct ApiKey {
    /// Id of the key, by which it is revoked.
    id: ID,
    /// Account that the key authenticates.
    account_id: ID,
    /// Note to recognise the key by.
    label: Option<String>,
    /// Time at which the key was issued.
    created_at: DateTime,
    /// Time of the last request that was made or connection that was opened with the key, to the minute; null if it was
    /// never used.
    last_used_at: Option<DateTime>,
    /// Time from which the key is refused; null if it has no end.
    expires_at: Option<DateTime>,
    /// Time at which the key was revoked for the first time; null if it was not.
    revoked_at: Option<DateTime>,
}

object!(ApiKey as "ApiKey", |key| {
    "id" => *key.id.as_str(),
    "accountId" => *key.account_id.as_str(),
    "label" => key.label,
    "createdAt" => key.created_at,
    "lastUsedAt" => key.last_used_at,
    "expiresAt" => key.expires_at,
    "revokedAt" => key.revoked_at,
});

impl From<accounts::ApiKey> for ApiKey {
    fn from(key: accounts::ApiKey) -> Self {
        Self {
            id: key.id.into(),
            account_id: key.account_id.into(),
            label: key.label,
            created_at: DateTime(key.created_at),
            last_used_at: key.last_used_at.map(DateTime),
            expires_at: key.expires_at.map(DateTime),
            revoked_at: key.revoked_at.map(DateTime),
        }
    }
}

/// A new API key. The key itself is returned only here, and to a repeat of the mutation with the same idempotencyKey.
#[derive(SimpleObject)]
pub(super) struct IssuedApiKey {
    /// Id of the key, by which it is revoked.
    id: ID,
    /// Account that the key authenticates.
    account_id: ID,
    /// The key, to be sent as the header x-api-key or as a bearer token.
    key: String,
}

object!(IssuedApiKey as "IssuedApiKey", |issued| {
    "id" => *issued.id.as_str(),
    "accountId" => *issued.account_id.as_str(),
    "key" => issued.key,
});

impl From<accounts::IssuedKey> for IssuedApiKey {
    fn from(issued: accounts::IssuedKey) -> Self {
        Self {
            id: issued.id.into(),
            account_id: issued.account_id.into(),
            key: issued.key,
        }
    }
}

/// An API key that no longer authenticates anybody.
#[derive(SimpleObject)]
pub(super) struct RevokedApiKey {
    /// Id of the key.
    pub(super) id: ID,
    /// Time at which the key was revoked for the first time.
    pub(super) revoked_at: DateTime,
}

object!(RevokedApiKey as "RevokedApiKey", |revoked| {
    "id" => *revoked.id.as_str(),
    "revokedAt" => revoked.revoked_at,
});
