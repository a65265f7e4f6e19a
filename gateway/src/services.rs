//! Everything that requests are answered with: both sides, the API keys and the event log. One value, shared by every
//! transport.

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

/// Time after which a read is given up and its database counts as unavailable.
const READ_TIMEOUT: Duration = Duration::from_secs(3);

/// Time that a read waits for the tables to reach `minPosition`.
const POSITION_TIMEOUT: Duration = Duration::from_secs(1);

/// Pause between two looks at the tables' checkpoint. Projections commit about every 5 ms, so a shorter one would only
/// load the database.
const POSITION_POLL: Duration = Duration::from_millis(10);

/// Parts behind the public API.
#[derive(Clone)]
pub struct Services {
    /// Seller side: deals as their sellers see them, and all mutations.
    pub sellers: SellerSide,
    /// Buyer side: deals as buyers see them, access, and the feed.
    pub buyers: BuyerSide,
    /// Webhook endpoints of buyers, and their deliveries.
    pub webhooks: Webhooks,
    /// Event log, read for its head and its epoch.
    pub log: EventLog,
    /// API keys in use.
    pub keys: KeyRing,
    /// Accounts of the market, in both databases.
    pub accounts: MarketAccounts,
}

impl Services {
    /// Runs a read under a time limit, so that a database that hangs does not hold its callers.
    ///
    /// # Errors
    /// UNAVAILABLE after 3 s; otherwise the error of the read.
    pub async fn read<T, E>(&self, read: impl Future<Output = Result<T, E>>) -> Result<T, Problem>
    where
        Problem: From<E>,
    {
        match timeout(READ_TIMEOUT, read).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(Problem::new(
                Code::Unavailable,
                "The database did not answer in time; try again later",
            )),
        }
    }

    /// Waits until the tables that this caller reads have reached `position`, an encoded [`Position`]. Returns at
    /// once when there is none.
    ///
    /// # Errors
    /// POSITION_NOT_REACHED after a second; BAD_USER_INPUT when the text is not a position of this market.
    pub async fn reach(&self, caller: &Principal, position: Option<&str>) -> Result<(), Problem> {
        let Some(text) = position else { return Ok(()) };
        let path = "minPosition";
        let position = Position::decode(text)
            .ok_or_else(|| Problem::input(path, "must be a position that this API returned"))?;

        let deadline = Instant::now() + POSITION_TIMEOUT;
        loop {
            let checkpoint = self.read(self.checkpoint(caller)).await?;
            // Epoch 0: the projection has read nothing yet, so it cannot tell whether the position is of its market.
            if checkpoint.epoch.0 != 0 && checkpoint.epoch != position.epoch {
                return Err(Problem::input(path, "is a position of another market"));
            }
            if checkpoint.position >= position.sequence {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Problem::new(
                    Code::PositionNotReached,
                    "The data has not reached minPosition yet; try again shortly",
                ));
            }

            // Polled, since the projection may run in another process.
            sleep(POSITION_POLL).await;
        }
    }

    async fn checkpoint(&self, caller: &Principal) -> Result<Checkpoint, Error> {
        match caller.role() {
            Role::Buyer => self.buyers.checkpoint().await,
            Role::Seller | Role::Admin => self.sellers.checkpoint().await,
        }
    }
}
