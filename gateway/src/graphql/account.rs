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
}

object!(Account as "Account", |account| {
    "id" => *account.id.as_str(),
    "role" => account.role,
    "name" => account.name,
    "createdAt" => account.created_at,
});

impl From<accounts::Account> for Account {
    fn from(account: accounts::Account) -> Self {
        Self {
            id: account.id.into(),
            role: account.role.into(),
            name: account.name,
            created_at: DateTime(account.created_at),
        }
    }
}

/// A new API key. The key itself is returned only here and cannot be read again.
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
