//! Example market: a seller, a buyer with access and some deals, with random API keys. Created by `dealwire seed`.

use backbone::accounts::Role;
use backbone::contract::DealStatus::{self, Available, Reserved, Sold};
use backbone::ids::{BuyerId, SellerId};
use seller_core::MutationContext;
use uuid::{Uuid, uuid};

use super::deals::of_one_item;
use super::seed::{SeedError, accounts};
use crate::backends::Backends;

/// Name of the example in the table `seeding`.
const SEEDING: &str = "example";

/// Namespace of the example's ids (UUIDv5).
const NAMESPACE: Uuid = uuid!("0f0bd1c5-5b0e-4d35-8e0b-6d8a0c1f5a77");

const SELLER: &str = "Example seller";
const BUYER: &str = "Example buyer";

/// Deals of the example: name, price in minor units and status.
const DEALS: [(&str, i64, DealStatus); 3] = [
    ("Two pallets of tiles", 84_000, Available),
    ("Oak boards", 129_900, Reserved),
    ("Copper pipe", 45_550, Sold),
];

/// Creates those parts of the example that do not exist yet. Returns the lines to print: the accounts, and their keys
/// if they were created now.
///
/// # Errors
/// A store that fails, or a refused mutation.
pub async fn complete(backends: &Backends) -> Result<Vec<String>, SeedError> {
    // Ids derive from the identity of the market, so that an interrupted run is completed by the next one.
    let epoch = backends.log.epoch().await?;
    let id = |name: &str| Uuid::new_v5(&NAMESPACE, format!("{}/{name}", epoch.0).as_bytes());
    let parties = [
        (Role::Seller, SELLER, id(SELLER)),
        (Role::Buyer, BUYER, id(BUYER)),
    ];

    // Keys cannot be shown again: only their hashes are stored.
    if backends.sellers.seeding(SEEDING).await? == Some(true) {
        let mut lines: Vec<String> = parties
            .iter()
            .map(|(_, name, id)| format!("{name} {id}"))
            .collect();
        lines.push(
            "The example exists already; for another API key run: \
             dealwire admin issue-key --account ID"
                .to_owned(),
        );
        return Ok(lines);
    }

    backends.sellers.begin_seeding(SEEDING).await?;
    for (role, name, id) in parties {
        accounts(backends, role)
            .create(Some(id), role, name)
            .await?;
    }
    create_deals(backends, SellerId(id(SELLER)), BuyerId(id(BUYER))).await?;

    // Keys come last: an interrupted run issues none, or some that nobody has seen.
    let mut lines = Vec::new();
    for (role, name, id) in parties {
        let issued = accounts(backends, role).issue(id, Some("seed")).await?;
        lines.push(format!(
            "{name} {}  x-api-key: {}",
            issued.account_id, issued.key
        ));
    }
    backends.sellers.end_seeding(SEEDING).await?;
    Ok(lines)
}

async fn create_deals(
    backends: &Backends,
    seller: SellerId,
    buyer: BuyerId,
) -> Result<(), SeedError> {
    backends
        .sellers
        .grant_access(seller, buyer, MutationContext::default())
        .await?;

    for (number, (name, price, status)) in DEALS.into_iter().enumerate() {
        // The idempotency key makes a repeated run return the deal of the first.
        let context = MutationContext {
            key: Some(format!("example {number}")),
            trace: None,
        };
        backends
            .sellers
            .create_deal(seller, of_one_item(None, name, price, status), context)
            .await?;
    }
    Ok(())
}
