//! Jobs as they are requested, stored and shown.

use backbone::db::{Db, Tx};
use backbone::ids::{BuyerId, DealId, WebhookId};
use backbone::time::Timestamp;
use backbone::{Error, on_db, on_tx};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use crate::kinds::{DeliveryState, WebhookEvent};

/// Largest number of replays that are listed.
const LISTED: i64 = 100;

const FIND: &str = include_str!("find.sql");
const LIST: &str = include_str!("list.sql");
const LOCK_POSTGRES: &str = include_str!("lock.postgres.sql");
const BY_KEY: &str = include_str!("by_key.sql");
const TAKE_POSTGRES: &str = include_str!("take.postgres.sql");
const TAKE_SQLITE: &str = include_str!("take.sqlite.sql");
const SAVE: &str = include_str!("save.sql");

/// Deliveries to send again, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayRequest {
    /// Endpoint whose deliveries are sent.
    pub webhook: WebhookId,
    /// State of the deliveries: delivered or dead.
    pub state: DeliveryState,
    /// Earliest time of creation; `None` means the oldest that are kept.
    pub since: Option<Timestamp>,
    /// Latest time of creation; `None` means now.
    pub until: Option<Timestamp>,
    /// Kinds of event; `None` means all.
    pub events: Option<Vec<WebhookEvent>>,
    /// Deal of the deliveries; `None` means every deal.
    pub deal: Option<DealId>,
    /// `true` counts the deliveries and sends nothing.
    pub dry_run: bool,
    /// Deliveries a second, 1 to 100; `None` means 10.
    pub rate_per_second: Option<i32>,
}

/// Job that sends deliveries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Identity of the job.
    pub id: Uuid,
    /// Endpoint whose deliveries are sent.
    pub webhook_id: WebhookId,
    /// Progress of the job.
    pub state: ReplayState,
    /// Deliveries that the job selected when it was requested.
    pub matched: u64,
    /// Deliveries of them that were called at least once since.
    pub sent: u64,
    /// Time of the request.
    pub created_at: Timestamp,
}

/// Progress of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayState {
    /// Replay that only counted.
    DryRun,
    /// Replay that sends.
    Running,
    /// Replay that has called all its deliveries at least once.
    Done,
    /// Replay that its buyer ended, or whose endpoint was deleted.
    Cancelled,
}

impl ReplayState {
    /// Returns the name that tables and the public contract use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DryRun => "DRY_RUN",
            Self::Running => "RUNNING",
            Self::Done => "DONE",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl TryFrom<String> for ReplayState {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        [Self::DryRun, Self::Running, Self::Done, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or_else(|| format!("{name:?} is not a known state of a replay"))
    }
}

/// Row of table `webhook_replay`.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Job {
    pub(super) id: Uuid,
    pub(super) webhook_id: WebhookId,
    #[sqlx(try_from = "String")]
    pub(super) state: ReplayState,
    #[sqlx(try_from = "String")]
    pub(super) delivery_state: DeliveryState,
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    pub(super) events: Option<Json<Vec<WebhookEvent>>>,
    pub(super) deal_id: Option<DealId>,
    pub(super) rate_per_second: i32,
    pub(super) matched: i64,
    pub(super) sent: i64,
    pub(super) at_epoch: i64,
    pub(super) at_sequence: i64,
    pub(super) at_index: i32,
    pub(super) exhausted: bool,
    pub(super) request: String,
    pub(super) created_at: Timestamp,
}

impl Job {
    /// Returns the job as the public API shows it.
    pub(super) fn shown(&self) -> Replay {
        Replay {
            id: self.id,
            webhook_id: self.webhook_id,
            state: self.state,
            matched: self.matched.unsigned_abs(),
            sent: self.sent.unsigned_abs(),
            created_at: self.created_at,
        }
    }

    /// Keeps the progress. A job that has ended takes no further step.
    pub(super) async fn save(
        &self,
        tx: &mut Tx,
        now: Timestamp,
        next_step_at: Timestamp,
    ) -> Result<(), Error> {
        let finished_at = (self.state != ReplayState::Running).then_some(now);

        on_tx!(
            tx,
            connection => sqlx::query(SAVE)
                .bind(self.id)
                .bind(self.state.as_str())
                .bind(self.sent)
                .bind(self.at_epoch)
                .bind(self.at_sequence)
                .bind(self.at_index)
                .bind(self.exhausted)
                .bind(next_step_at)
                .bind(finished_at)
                .execute(connection)
                .await
                .map(|_| ())
        )
    }
}

/// Returns the newest replays of a buyer's endpoint, newest first.
pub(crate) async fn list(
    db: &Db,
    buyer: BuyerId,
    webhook: WebhookId,
) -> Result<Vec<Replay>, Error> {
    let jobs: Result<Vec<Job>, Error> = on_db!(
        db.read(),
        pool => sqlx::query_as(LIST)
            .bind(buyer)
            .bind(webhook)
            .bind(LISTED)
            .fetch_all(pool)
            .await
    );
    Ok(jobs?.iter().map(Job::shown).collect())
}

/// Finds a job of a buyer and locks it.
pub(super) async fn lock(tx: &mut Tx, buyer: BuyerId, id: Uuid) -> Result<Option<Job>, Error> {
    // SQLite's one writer is alone.
    let statement = if tx.is_postgres() {
        LOCK_POSTGRES
    } else {
        FIND
    };

    on_tx!(
        tx,
        connection => sqlx::query_as(statement)
            .bind(buyer)
            .bind(id)
            .fetch_optional(connection)
            .await
    )
}

/// Finds the job that a buyer requested with an idempotency key.
pub(super) async fn by_key(tx: &mut Tx, buyer: BuyerId, key: &str) -> Result<Option<Job>, Error> {
    on_tx!(
        tx,
        connection => sqlx::query_as(BY_KEY)
            .bind(buyer)
            .bind(key)
            .fetch_optional(connection)
            .await
    )
}

/// Takes a job whose next step is due, for the time of a transaction.
pub(super) async fn take(tx: &mut Tx, now: Timestamp) -> Result<Option<Job>, Error> {
    let statement = if tx.is_postgres() {
        TAKE_POSTGRES
    } else {
        TAKE_SQLITE
    };

    on_tx!(
        tx,
        connection => sqlx::query_as(statement).bind(now).fetch_optional(connection).await
    )
}
