//! Everything that requests are answered with: both sides, the API keys and the event log. One value, shared by every
//! transport.

use std::sync::Arc;
use std::time::Duration;

use backbone::accounts::Role;
use backbone::event_log::EventLog;
use backbone::lifecycle::Lifecycle;
use backbone::position::Position;
use buyer_core::BuyerSide;
use live::{Feed, Reads};
use seller_core::SellerSide;
use tokio::time::timeout;
use webhooks::Webhooks;

use crate::accounts::MarketAccounts;
use crate::admission::{Admission, Permit};
use crate::auth::{KeyRing, Principal};
use crate::error::{Code, Problem};
use crate::origin::Origin;
use crate::rates::{Charge, Payer, Rates};
use crate::seller_position::SellerPosition;

/// Time after which a read is given up and its database counts as unavailable.
const READ_TIMEOUT: Duration = Duration::from_secs(3);

/// Time after which a write to a database is given up, and its outcome is unknown.
const WRITE_TIMEOUT: Duration = Duration::from_secs(3);

/// Parts behind the public API.
#[derive(Clone)]
pub struct Services {
    /// Seller side: deals as their sellers see them, and all mutations.
    pub sellers: SellerSide,
    /// Buyer side: deals as buyers see them, access, and the feed.
    pub buyers: BuyerSide,
    /// Reads of buyers, from memory where possible.
    pub reads: Reads,
    /// Webhook endpoints of buyers, and their deliveries.
    pub webhooks: Webhooks,
    /// Live feed, which subscriptions and pulls read.
    pub feed: Arc<Feed>,
    /// Operations under way.
    pub admission: Admission,
    /// Rate limits of callers.
    pub rates: Rates,
    /// Checkpoint of the seller tables, which reads wait for.
    pub seller_position: SellerPosition,
    /// Tasks of the process, for writes that must come to their end.
    pub lifecycle: Lifecycle,
    /// Event log, read for its head and its epoch.
    pub log: EventLog,
    /// API keys in use.
    pub keys: KeyRing,
    /// Accounts of the market, in both databases.
    pub accounts: MarketAccounts,
}

impl Services {
    /// Admits an operation of a caller: charges its rate limit, and counts it among those under way.
    ///
    /// # Errors
    /// RATE_LIMITED.
    pub fn admit(
        &self,
        caller: Option<&Principal>,
        origin: &Origin,
        charge: Charge,
    ) -> Result<Permit, Problem> {
        let standing = self.rates.charge(Payer::of(caller, origin), charge)?;
        let permit = self.admission.enter(caller)?;

        Ok(permit.with_standing(standing))
    }

    /// Runs a read under a time limit, so that a database that hangs does not hold its callers.
    ///
    /// # Errors
    /// UNAVAILABLE after 3 s; otherwise the error of the read.
    pub async fn read<T, E>(&self, read: impl Future<Output = Result<T, E>>) -> Result<T, Problem>
    where
        Problem: From<E>,
    {
        match timeout(READ_TIMEOUT, read).await {
            Ok(result) => result.map_err(|error| Problem::from(error).of_read()),
            Err(_) => Err(Problem::new(
                Code::Unavailable,
                "The database did not answer in time; try again later",
            )),
        }
    }

    /// Runs a write to a database under a time limit.
    ///
    /// # Errors
    /// UNKNOWN_OUTCOME after 3 s, since the write may be carried out all the same; otherwise the error of the write.
    pub async fn write<T, E>(&self, write: impl Future<Output = Result<T, E>>) -> Result<T, Problem>
    where
        Problem: From<E>,
    {
        match timeout(WRITE_TIMEOUT, write).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(Problem::unconfirmed("database", "no answer in time")),
        }
    }

    /// Waits until the tables that this caller reads have reached `position`, an encoded [`Position`]. Returns at
    /// once when there is none.
    ///
    /// # Errors
    /// POSITION_NOT_REACHED after a second; BAD_USER_INPUT when the text is not a position of this market.
    pub async fn reach(&self, caller: &Principal, position: Option<&str>) -> Result<(), Problem> {
        self.reach_position(caller, min_position(position)?).await
    }

    /// Waits as [`Services::reach`] does for a position that is decoded.
    ///
    /// # Errors
    /// Those of [`Services::reach`].
    pub async fn reach_position(
        &self,
        caller: &Principal,
        position: Option<Position>,
    ) -> Result<(), Problem> {
        let Some(position) = position else {
            return Ok(());
        };

        match caller.role() {
            Role::Buyer => self.read(self.reads.reach(position)).await,
            Role::Seller | Role::Admin => self.reach_on_seller_side(position).await,
        }
    }

    async fn reach_on_seller_side(&self, position: Position) -> Result<(), Problem> {
        // Both sides follow the same log at about the same distance, and the feed tells when it moves.
        let feed_reaches = self.reads.await_feed(position);
        let reached = self.seller_position.reach(position, feed_reaches);

        self.read(reached).await
    }
}

/// Size of a page of changes, and the time that it waits for one.
#[derive(Clone, Copy, Debug)]
pub struct PullWindow {
    /// Most changes, 1 to 500.
    pub first: usize,
    /// Time that a page waits for a change, at most 30 s.
    pub wait: Duration,
}

impl PullWindow {
    /// Checks the arguments `first` (100 if it is not given) and `wait` (in seconds, 0 if it is not given).
    ///
    /// # Errors
    /// BAD_USER_INPUT with the first of them that is out of range.
    pub fn check(first: Option<i64>, wait: Option<i64>) -> Result<Self, Problem> {
        let first = first.unwrap_or(100);
        if !(1..=500).contains(&first) {
            return Err(Problem::input("first", "must be between 1 and 500"));
        }

        let wait = wait.unwrap_or(0);
        if !(0..=30).contains(&wait) {
            return Err(Problem::input("wait", "must be between 0 and 30 seconds"));
        }

        Ok(Self {
            first: first as usize,
            wait: Duration::from_secs(wait as u64),
        })
    }
}

/// Name of the argument that makes a read wait.
const MIN_POSITION: &str = "minPosition";

/// Decodes the argument `minPosition`.
///
/// # Errors
/// BAD_USER_INPUT when the text is not a position.
pub fn min_position(text: Option<&str>) -> Result<Option<Position>, Problem> {
    let position = text.map(|text| {
        Position::decode(text).ok_or_else(|| {
            Problem::input(MIN_POSITION, "must be a position that this API returned")
        })
    });

    position.transpose()
}
