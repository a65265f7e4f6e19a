//! Jobs of a dispatcher: calls and work in the database, as futures that run side by side in the
//! dispatcher's task.
//!
//! At most one job of each kind of database work runs at a time. What comes in meanwhile goes into
//! the next one, so a busy dispatcher works in large batches and a quiet one without delay.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use backbone::ids::{DeliveryId, WebhookId};
use backbone::{Error, random};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::call::CallContext;
use crate::claim::{self, Claim, ClaimRequest, ClaimedDelivery};
use crate::outcome::CompletedCall;
use crate::record::{self, RecordSummary};
use crate::retry_policy::JITTER;

/// Pause after a recording that failed because the database is unavailable.
const RECORD_PAUSE: Duration = Duration::from_millis(500);
/// Largest variation of that pause, as a fraction of it, so that the dispatchers of a market do not
/// all come back to a database that has just restarted at the same instant.
const RECORD_PAUSE_JITTER: f64 = 0.2;

// Boxed, because the jobs of one set must have one type and each kind of future has its own.
type Job<'a> = Pin<Box<dyn Future<Output = Finished> + Send + 'a>>;

/// Job that has finished, with its result.
pub(super) enum Finished {
    FindDue(Result<Vec<WebhookId>, Error>),
    Claim {
        requests: Vec<ClaimRequest>,
        /// Time at which the claim was requested, from which its lease is counted.
        requested_at: Instant,
        result: Result<Claim, Error>,
    },
    Call {
        delivery: DeliveryId,
        webhook: WebhookId,
        /// Call to be recorded; `None` if it was not made.
        completed: Option<CompletedCall>,
    },
    Record {
        calls: Vec<CompletedCall>,
        result: Result<RecordSummary, Error>,
    },
    /// Pause after a failed recording: another one may start.
    RecordPause,
    Renew(Result<(), Error>),
    Release(Result<(), Error>),
}

/// Jobs under way.
pub(super) struct Jobs<'a> {
    context: &'a CallContext,
    running: FuturesUnordered<Job<'a>>,
    finding_due: bool,
    claiming: bool,
    recording: bool,
    renewing: bool,
}

impl<'a> Jobs<'a> {
    pub(super) fn new(context: &'a CallContext) -> Self {
        Self {
            context,
            running: FuturesUnordered::new(),
            finding_due: false,
            claiming: false,
            recording: false,
            renewing: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    pub(super) fn is_finding_due(&self) -> bool {
        self.finding_due
    }

    pub(super) fn is_claiming(&self) -> bool {
        self.claiming
    }

    /// Returns whether a recording, or the pause after a failed one, is under way.
    pub(super) fn is_recording(&self) -> bool {
        self.recording
    }

    pub(super) fn is_renewing(&self) -> bool {
        self.renewing
    }

    /// Waits for the next job to finish; for ever while there is none. Dropping the future loses
    /// nothing.
    pub(super) async fn next(&mut self) -> Finished {
        // An empty FuturesUnordered yields None at once, which would make the caller's loop spin.
        let Some(finished) = self.running.next().await else {
            return std::future::pending().await;
        };

        match &finished {
            Finished::FindDue(_) => self.finding_due = false,
            Finished::Claim { .. } => self.claiming = false,
            Finished::Record { result: Ok(_), .. } | Finished::RecordPause => {
                self.recording = false;
            }
            Finished::Renew(_) => self.renewing = false,
            // A failed recording stays "under way" until the pause after it is over.
            Finished::Record { result: Err(_), .. }
            | Finished::Call { .. }
            | Finished::Release(_) => {}
        }
        finished
    }

    // Jobs read the clock when they start, not when the database gets to them: everything they
    // write is then consistent with the state that started them.
    pub(super) fn find_due(&mut self) {
        let context = self.context;
        let now = context.webhooks.clock.now();

        self.finding_due = true;
        self.start(
            async move { Finished::FindDue(claim::find_due(&context.webhooks.db, now).await) },
        );
    }

    pub(super) fn claim(
        &mut self,
        requests: Vec<ClaimRequest>,
        concurrency: u32,
        requested_at: Instant,
    ) {
        let context = self.context;
        let now = context.webhooks.clock.now();

        self.claiming = true;
        self.start(async move {
            let result = claim::claim(&context.webhooks.db, &requests, concurrency, now).await;
            Finished::Claim {
                requests,
                requested_at,
                result,
            }
        });
    }

    pub(super) fn call(&mut self, claimed: ClaimedDelivery, lease: Uuid, leased_until: Instant) {
        let context = self.context;
        let delivery = claimed.id;
        let webhook = claimed.webhook_id;

        self.start(async move {
            let completed = context.call(claimed, lease, leased_until).await;
            Finished::Call {
                delivery,
                webhook,
                completed,
            }
        });
    }

    pub(super) fn record(&mut self, calls: Vec<CompletedCall>) {
        let context = self.context;
        let now = context.webhooks.clock.now();

        self.recording = true;
        self.start(async move {
            // The calls travel with the job and come back with its result: if the database is away,
            // they are recorded later.
            let jitter = |wait| random::jitter(wait, JITTER);
            let result = record::record(&context.webhooks.db, &calls, now, jitter).await;
            Finished::Record { calls, result }
        });
    }

    pub(super) fn pause_recording(&mut self) {
        self.start(async {
            sleep(random::jitter(RECORD_PAUSE, RECORD_PAUSE_JITTER)).await;
            Finished::RecordPause
        });
    }

    pub(super) fn renew(&mut self, leases: HashMap<DeliveryId, Uuid>) {
        let context = self.context;
        let now = context.webhooks.clock.now();

        self.renewing = true;
        self.start(async move {
            Finished::Renew(claim::renew(&context.webhooks.db, &leases, now).await)
        });
    }

    // Neither calls nor releases are limited in number here: the limiter bounds the one, and the
    // other happens once, when the dispatcher closes.
    pub(super) fn release(&mut self, claim: Claim) {
        let context = self.context;
        let ids: Vec<DeliveryId> = claim.deliveries.iter().map(|claimed| claimed.id).collect();

        self.start(async move {
            Finished::Release(claim::release(&context.webhooks.db, claim.lease, &ids).await)
        });
    }

    fn start(&mut self, job: impl Future<Output = Finished> + Send + 'a) {
        self.running.push(Box::pin(job));
    }
}
