//! What requests are answered with: both sides, the keys, the live feed. One value, shared by every transport.

use std::time::Duration;

use backbone::Error;
use backbone::accounts::Role;
use backbone::event_log::EventLog;
use backbone::position::Position;
use backbone::projection::Checkpoint;
use buyer_core::BuyerSide;
use seller_core::SellerSide;
use tokio::time::{Instant, sleep, timeout};
use webhooks::Webhooks;

use crate::accounts::MarketAccounts;
use crate::auth::{KeyRing, Principal};
use crate::error::{Code, Problem};

/// How long a read may take before its store counts as away.
const READ: Duration = Duration::from_secs(3);
/// How long a read waits for the tables to reach `minPosition`.
const REACH: Duration = Duration::from_secs(1);
const REACH_LOOK: Duration = Duration::from_millis(10);

/// The parts behind the public API.
#[derive(Clone)]
pub struct Services {
    /// The seller side.
    pub sellers: SellerSide,
    /// The buyer side.
    pub buyers: BuyerSide,
    /// Buyers' endpoints.
    pub webhooks: Webhooks,
    /// The log, for its head and its identity.
    pub log: EventLog,
    /// Who calls.
    pub keys: KeyRing,
    /// Who may call.
    pub accounts: MarketAccounts,
}

impl Services {
    /// Bounds a read: a database that hangs is away.
    pub async fn read<T, E>(&self, read: impl Future<Output = Result<T, E>>) -> Result<T, Problem>
    where
        Problem: From<E>,
    {
        match timeout(READ, read).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(Problem::new(
                Code::Unavailable,
                "the database does not answer",
            )),
        }
    }

    /// Waits until the tables that this caller reads have reached a position.
    ///
    /// # Errors
    /// POSITION_NOT_REACHED after a second; BAD_USER_INPUT when it is no position of this market.
    pub async fn reach(&self, caller: &Principal, position: Option<&str>) -> Result<(), Problem> {
        let Some(text) = position else { return Ok(()) };
        let path = "minPosition";
        let position =
            Position::decode(text).ok_or_else(|| Problem::input(path, "is no position"))?;
        let deadline = Instant::now() + REACH;
        loop {
            let checkpoint = self.read(self.checkpoint(caller)).await?;
            if checkpoint.epoch.0 != 0 && checkpoint.epoch != position.epoch {
                return Err(Problem::input(path, "is a position of another market"));
            }
            if checkpoint.position >= position.sequence {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Problem::new(
                    Code::PositionNotReached,
                    "the tables have not reached minPosition yet",
                ));
            }
            sleep(REACH_LOOK).await;
        }
    }

    async fn checkpoint(&self, caller: &Principal) -> Result<Checkpoint, Error> {
        match caller.role() {
            Role::Buyer => self.buyers.checkpoint().await,
            Role::Seller | Role::Admin => self.sellers.checkpoint().await,
        }
    }
}
