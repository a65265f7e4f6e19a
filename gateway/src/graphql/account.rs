//! Accounts and keys in GraphQL.

use async_graphql::{Enum, ID, SimpleObject};
use backbone::accounts;

use super::scalars::DateTime;

#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "accounts::Role")]
pub(super) enum Role {
    Seller,
    Buyer,
    Admin,
}

/// Whose key the request came with
#[derive(SimpleObject)]
pub(super) struct Viewer {
    pub(super) role: Role,
    pub(super) id: ID,
    pub(super) name: String,
}

#[derive(SimpleObject)]
pub(super) struct Account {
    id: ID,
    role: Role,
    name: String,
    created_at: DateTime,
}

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

/// The key itself is shown this once
#[derive(SimpleObject)]
pub(super) struct IssuedApiKey {
    id: ID,
    account_id: ID,
    key: String,
}

impl From<accounts::IssuedKey> for IssuedApiKey {
    fn from(issued: accounts::IssuedKey) -> Self {
        Self {
            id: issued.id.into(),
            account_id: issued.account_id.into(),
            key: issued.key,
        }
    }
}

#[derive(SimpleObject)]
pub(super) struct RevokedApiKey {
    pub(super) id: ID,
    pub(super) revoked_at: DateTime,
}
