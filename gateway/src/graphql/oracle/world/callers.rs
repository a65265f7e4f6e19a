//! Accounts and API keys of the world.

use backbone::accounts;
use backbone::time::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use super::World;
use crate::graphql::account::{Account, ApiKey, IssuedApiKey, Role};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorldAccount {
    id: Uuid,
    role: Role,
    name: String,
    created_at: Timestamp,
    disabled_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorldApiKey {
    id: Uuid,
    account_id: Uuid,
    label: Option<String>,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorldIssuedKey {
    id: Uuid,
    account_id: Uuid,
    key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorldRevokedKey {
    id: Uuid,
    revoked_at: Timestamp,
}

impl World {
    pub(in crate::graphql::oracle) fn account(&self, index: usize) -> Account {
        let account = &self.accounts[index];
        accounts::Account {
            id: account.id,
            role: account.role.into(),
            name: account.name.clone(),
            created_at: account.created_at,
            disabled_at: account.disabled_at,
        }
        .into()
    }

    pub(in crate::graphql::oracle) fn api_keys(&self) -> Option<Vec<ApiKey>> {
        let keys = self.api_keys.iter().map(|key| {
            ApiKey::from(accounts::ApiKey {
                id: key.id,
                account_id: key.account_id,
                label: key.label.clone(),
                created_at: key.created_at,
                last_used_at: key.last_used_at,
                expires_at: key.expires_at,
                revoked_at: key.revoked_at,
            })
        });
        Some(keys.collect())
    }

    pub(in crate::graphql::oracle) fn issued_key(&self) -> IssuedApiKey {
        let issued = &self.issued_keys[0];
        accounts::IssuedKey {
            id: issued.id,
            account_id: issued.account_id,
            key: issued.key.clone(),
        }
        .into()
    }

    pub(in crate::graphql::oracle) fn revoked_key(&self) -> (Uuid, Timestamp) {
        let revoked = &self.revoked_keys[0];
        (revoked.id, revoked.revoked_at)
    }
}
