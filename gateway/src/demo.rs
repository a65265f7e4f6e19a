//! The demo market, with fixed ids and public keys, and an example market with random ones.

use backbone::Error;
use backbone::accounts::{Accounts, KeyHash, Role};
use backbone::contract::DealStatus::{self, Available, Reserved, Sold};
use backbone::ids::{BuyerId, DealId, ItemId, SellerId};
use seller_core::{MutationContext, NewDeal, NewDiscount, NewItem, Refusal};
use uuid::{Uuid, uuid};

use crate::backends::Backends;

/// What the demo is called in table `seeding`.
const NAME: &str = "demo";
const EXAMPLE: &str = "example";

const SELLER: Uuid = uuid!("90d57fe0-0fa1-4dae-a51c-917cc82bcdda");
const BUYER: Uuid = uuid!("90d57fe0-0fa1-4dae-a51c-917cc82bcddc");
const OTHER_SELLER: Uuid = uuid!("4d1f0d52-4c1b-4f0e-9a0e-6a8ad1c6a101");
const OTHER_BUYER: Uuid = uuid!("4d1f0d52-4c1b-4f0e-9a0e-6a8ad1c6a102");

/// The first seller's public key.
pub const SELLER_KEY: &str = "some-secret-api-key";
/// The public key of the buyer that the first seller lets in.
pub const BUYER_KEY: &str = "90d57fe0-0fa1-4dae-a51c-917cc82bcddc";
/// A deal of the first seller.
pub const DEAL: Uuid = uuid!("56c5e92a-683b-430e-8466-5721c7cacb90");

/// Accounts and their public keys.
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

/// The keys, for the terminal.
pub const KEYS: &str = "\
Demo market, its keys are public:
  seller         90d57fe0-0fa1-4dae-a51c-917cc82bcdda   x-api-key: some-secret-api-key
  buyer          90d57fe0-0fa1-4dae-a51c-917cc82bcddc   x-api-key: 90d57fe0-0fa1-4dae-a51c-917cc82bcddc
  second seller  4d1f0d52-4c1b-4f0e-9a0e-6a8ad1c6a101   x-api-key: second-seller-api-key
  second buyer   4d1f0d52-4c1b-4f0e-9a0e-6a8ad1c6a102   x-api-key: second-buyer-api-key
The first seller has granted the first buyer access; the second ones see nothing of each other.";

/// Returns the hashes of the demo's keys, which are public.
pub fn public_keys() -> Vec<KeyHash> {
    ACCOUNTS
        .iter()
        .map(|(_, _, _, key)| KeyHash::of(key))
        .collect()
}

/// Whether any of the public keys is a key of this market.
pub async fn is_there(backends: &Backends) -> Result<bool, Error> {
    for (role, _, _, key) in ACCOUNTS {
        if accounts(backends, role)
            .holder(KeyHash::of(key))
            .await?
            .is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Fills an embedded market that is empty, or completes what was begun. Whether the demo is there.
pub async fn fill(backends: &Backends) -> Result<bool, Failed> {
    let empty = backends.log.head().await? <= 1
        && backends
            .sellers
            .accounts()
            .first_of(Role::Seller)
            .await?
            .is_none()
        && backends
            .buyers
            .accounts()
            .first_of(Role::Buyer)
            .await?
            .is_none();
    match backends.sellers.seeding(NAME).await? {
        Some(true) => Ok(true),
        None if !empty => Ok(false),
        _ => complete(backends).await.map(|()| true),
    }
}

/// Makes whatever of the demo is not there yet.
pub async fn complete(backends: &Backends) -> Result<(), Failed> {
    backends.sellers.begin_seeding(NAME).await?;
    for (role, id, name, key) in ACCOUNTS {
        let accounts = accounts(backends, role);
        accounts.create(Some(id), role, name).await?;
        accounts.store_key(id, Some("demo"), key).await?;
    }
    backends
        .sellers
        .grant_access(SellerId(SELLER), BuyerId(BUYER), MutationContext::default())
        .await?;
    for (seller, deal) in deals() {
        match backends
            .sellers
            .create_deal(SellerId(seller), deal, MutationContext::default())
            .await
        {
            // Somebody has changed it since, which is what it is there for.
            Ok(_) | Err(Refusal::AlreadyExists) => {}
            Err(refusal) => return Err(refusal.into()),
        }
    }
    backends.sellers.end_seeding(NAME).await?;
    Ok(())
}

/// An example market with random keys; what to print. When it has been made before, only who is in it.
pub async fn example(backends: &Backends) -> Result<Vec<String>, Failed> {
    // The ids follow from the market's identity, so that a run that was cut off is completed by the next.
    let epoch = backends.log.epoch().await?;
    let id = |name: &str| Uuid::new_v5(&EXAMPLE_IDS, format!("{}/{name}", epoch.0).as_bytes());
    let parties = [
        (Role::Seller, "Example seller"),
        (Role::Buyer, "Example buyer"),
    ];
    if backends.sellers.seeding(EXAMPLE).await? == Some(true) {
        let who = parties
            .iter()
            .map(|(_, name)| format!("{name} {}", id(name)));
        let how =
            "the example is there already; for another key: dealwire admin issue-key --account ID";
        return Ok(who.chain([how.to_owned()]).collect());
    }
    backends.sellers.begin_seeding(EXAMPLE).await?;
    for (role, name) in parties {
        accounts(backends, role)
            .create(Some(id(name)), role, name)
            .await?;
    }
    let (seller, buyer) = (SellerId(id(parties[0].1)), BuyerId(id(parties[1].1)));
    backends
        .sellers
        .grant_access(seller, buyer, MutationContext::default())
        .await?;
    for (number, (name, price, status)) in EXAMPLE_DEALS.into_iter().enumerate() {
        let asked = MutationContext {
            key: Some(format!("example {number}")),
            trace: None,
        };
        backends
            .sellers
            .create_deal(seller, simple(None, name, price, status), asked)
            .await?;
    }
    let mut told = Vec::new();
    for (role, name) in parties {
        let issued = accounts(backends, role)
            .issue(id(name), Some("seed"))
            .await?;
        told.push(format!(
            "{name} {}  x-api-key: {}",
            issued.account_id, issued.key
        ));
    }
    backends.sellers.end_seeding(EXAMPLE).await?;
    Ok(told)
}

/// The namespace of the example's ids.
const EXAMPLE_IDS: Uuid = uuid!("0f0bd1c5-5b0e-4d35-8e0b-6d8a0c1f5a77");

const EXAMPLE_DEALS: [(&str, i64, DealStatus); 3] = [
    ("Two pallets of tiles", 84_000, Available),
    ("Oak boards", 129_900, Reserved),
    ("Copper pipe", 45_550, Sold),
];

/// Why examples were not made.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// A store.
    #[error(transparent)]
    Store(#[from] Error),
    /// A mutation.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

fn accounts(backends: &Backends, role: Role) -> &Accounts {
    match role {
        Role::Buyer => backends.buyers.accounts(),
        Role::Seller | Role::Admin => backends.sellers.accounts(),
    }
}

fn deals() -> [(Uuid, NewDeal); 5] {
    let id = |id: Uuid| Some(DealId(id));
    let mut first = simple(id(DEAL), "john doe", 122_300, Available);
    first.discount = Some(NewDiscount::Flat(1_234));
    let mut boards = simple(
        id(uuid!("b3f1a3c6-5d43-4f0e-8c55-0f1b8c9d2e01")),
        "Oak boards",
        129_900,
        Available,
    );
    boards.discount = Some(NewDiscount::Percentage(12.5));
    [
        (SELLER, first),
        (SELLER, boards),
        (
            SELLER,
            simple(
                id(uuid!("b3f1a3c6-5d43-4f0e-8c55-0f1b8c9d2e02")),
                "Copper pipe",
                45_550,
                Reserved,
            ),
        ),
        (
            SELLER,
            simple(
                id(uuid!("b3f1a3c6-5d43-4f0e-8c55-0f1b8c9d2e03")),
                "Roof tiles",
                84_000,
                Sold,
            ),
        ),
        (
            OTHER_SELLER,
            simple(
                id(uuid!("b3f1a3c6-5d43-4f0e-8c55-0f1b8c9d2e04")),
                "Not for every eye",
                99_900,
                Available,
            ),
        ),
    ]
}

/// A deal of one item.
fn simple(id: Option<DealId>, name: &str, price: i64, status: DealStatus) -> NewDeal {
    // Of a deal with a fixed id the item's id is fixed as well, so that making it again is the same request.
    let item = id.map(|deal| ItemId(Uuid::new_v5(&deal.0, b"item")));
    NewDeal {
        id,
        name: name.to_owned(),
        total_price: price,
        currency: "GBP".to_owned(),
        status,
        discount: None,
        items: vec![NewItem {
            id: item,
            name: name.to_owned(),
            price,
        }],
    }
}
