//! Parts that the demo and the example market share.

use backbone::Error;
use backbone::accounts::{Accounts, Role};
use seller_core::Refusal;

use crate::backends::Backends;

/// Failure to create example data.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// A store failed.
    #[error(transparent)]
    Store(#[from] Error),
    /// The seller side refused a mutation.
    #[error("cannot create the example data: {0}")]
    Refused(#[from] Refusal),
}

/// Returns the accounts of the database that holds this role.
pub(super) fn accounts(backends: &Backends, role: Role) -> &Accounts {
    match role {
        Role::Buyer => backends.buyers.accounts(),
        Role::Seller | Role::Admin => backends.sellers.accounts(),
    }
}
