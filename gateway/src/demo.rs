//! Example data: the demo market with fixed ids and public API keys, and an example market with random keys.
//!
//! README, the tests and GraphiQL rely on the ids and keys of the demo, so they must not change.

mod deals;
mod example;
mod seed;

use backbone::Error;
use backbone::accounts::{KeyHash, Role};
use backbone::ids::{BuyerId, SellerId};
use seller_core::{MutationContext, Refusal};
use uuid::{Uuid, uuid};

use crate::backends::Backends;
use seed::accounts;

pub use deals::DEAL;
pub use example::complete as complete_example;
pub use seed::SeedError;

/// Name of the demo in the table `seeding`.
const SEEDING: &str = "demo";

const SELLER: Uuid = uuid!("90d57fe0-0fa1-4dae-a51c-917cc82bcdda");
const BUYER: Uuid = uuid!("90d57fe0-0fa1-4dae-a51c-917cc82bcddc");
const OTHER_SELLER: Uuid = uuid!("4d1f0d52-4c1b-4f0e-9a0e-6a8ad1c6a101");
const OTHER_BUYER: Uuid = uuid!("4d1f0d52-4c1b-4f0e-9a0e-6a8ad1c6a102");

/// Public API key of the first seller.
pub const SELLER_KEY: &str = "some-secret-api-key";
/// Public API key of the buyer that the first seller has granted access.
pub const BUYER_KEY: &str = "90d57fe0-0fa1-4dae-a51c-917cc82bcddc";

/// Accounts of the demo: role, id, name and public API key.
const ACCOUNTS: [(Role, Uuid, &str, &str); 4] = [
    (Role::Seller, SELLER, "Demo seller", SELLER_KEY),
    (Role::Buyer, BUYER, "Demo buyer", BUYER_KEY),
    (
        Role::Seller,
        OTHER_SELLER,
        "Second seller",
        "second-seller-api-key",
    ),
    (
        Role::Buyer,
        OTHER_BUYER,
        "Second buyer",
        "second-buyer-api-key",
    ),
];

/// Text that lists the demo's accounts and keys on the terminal.
pub const KEYS: &str = "\
Demo market (its API keys are public):
  seller         90d57fe0-0fa1-4dae-a51c-917cc82bcdda   x-api-key: some-secret-api-key
  buyer          90d57fe0-0fa1-4dae-a51c-917cc82bcddc   x-api-key: 90d57fe0-0fa1-4dae-a51c-917cc82bcddc
  second seller  4d1f0d52-4c1b-4f0e-9a0e-6a8ad1c6a101   x-api-key: second-seller-api-key
  second buyer   4d1f0d52-4c1b-4f0e-9a0e-6a8ad1c6a102   x-api-key: second-buyer-api-key
The buyer has access to the first seller's deals. The second buyer has access to none.";

/// Returns the hashes of the demo's API keys, which are public.
pub fn public_keys() -> Vec<KeyHash> {
    ACCOUNTS
        .iter()
        .map(|(_, _, _, key)| KeyHash::of(key))
        .collect()
}

/// Returns whether any of the demo's public API keys is valid in this market.
///
/// # Errors
/// A database that does not answer.
pub async fn is_present(backends: &Backends) -> Result<bool, Error> {
    for (role, _, _, key) in ACCOUNTS {
        let holder = accounts(backends, role).holder(KeyHash::of(key)).await?;
        if holder.is_some() {
            return Ok(true);
        }
    }

    Ok(false)
}

/// Creates the demo in an embedded market that is empty, or completes one that was begun. Returns whether the market
/// holds the demo.
///
/// # Errors
/// A store that fails, or a refused mutation.
pub async fn fill(backends: &Backends) -> Result<bool, SeedError> {
    match backends.sellers.seeding(SEEDING).await? {
        Some(true) => Ok(true),
        None if !is_empty(backends).await? => Ok(false),
        // The market is empty, or a process died while it filled it: what that began is completed.
        _ => {
            complete(backends).await?;
            Ok(true)
        }
    }
}

async fn is_empty(backends: &Backends) -> Result<bool, Error> {
    // The first event of a log is `market.opened`, which is there even when nobody has written.
    if backends.log.head().await? > 1 {
        return Ok(false);
    }

    let seller = backends.sellers.accounts().first_of(Role::Seller).await?;
    let buyer = backends.buyers.accounts().first_of(Role::Buyer).await?;
    Ok(seller.is_none() && buyer.is_none())
}

/// Creates those parts of the demo that do not exist yet.
///
/// # Errors
/// A store that fails, or a refused mutation.
pub async fn complete(backends: &Backends) -> Result<(), SeedError> {
    // Begun and ended around everything else: a process that dies in between is recognised at the next start.
    backends.sellers.begin_seeding(SEEDING).await?;
    for (role, id, name, key) in ACCOUNTS {
        let accounts = accounts(backends, role);
        accounts.create(Some(id), role, name).await?;
        accounts.store_key(id, Some("demo"), key).await?;
    }

    // Before the deals: access holds from its place in the log, and the buyer is to see how they
    // were created.
    backends
        .sellers
        .grant_access(SellerId(SELLER), BuyerId(BUYER), MutationContext::default())
        .await?;
    for (seller, deal) in deals::of_demo(SELLER, OTHER_SELLER) {
        let created = backends
            .sellers
            .create_deal(SellerId(seller), deal, MutationContext::default())
            .await;
        match created {
            // A deal that exists but differs was changed by someone who tried the demo, as they should.
            Ok(_) | Err(Refusal::AlreadyExists) => {}
            Err(refusal) => return Err(refusal.into()),
        }
    }

    backends.sellers.end_seeding(SEEDING).await?;
    Ok(())
}
