//! What a dispatcher has in hand: calls under way, outcomes to be recorded, and at most one of each kind of work in the
//! database at a time. What comes in meanwhile makes the next one, so a busy dispatcher works in large batches and a
//! quiet one without delay.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use backbone::health::Part;
use backbone::ids::{DeliveryId, WebhookId};
use backbone::live_bus::BusEvent;
use backbone::{Error, random};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::Dispatcher;
use super::limiter::Rooms;
use crate::claim::{self, Claim, Claimed, LEASE, Wish};
use crate::record::{self, Ended, Recorded};
use crate::retry_policy::JITTER;
use crate::sender::Call;
use crate::signature::Secret;
use buyer_core::notification;

/// How long a database that is away is left alone.
const RETRY: Duration = Duration::from_millis(500);

type Job<'a> = Pin<Box<dyn Future<Output = Done> + Send + 'a>>;

/// Work that has ended.
pub(super) enum Done {
    Looked(Result<Vec<WebhookId>, Error>),
    Claimed {
        wishes: Vec<Wish>,
        began: Instant,
        claim: Result<Claim, Error>,
    },
    /// `None`: the call was not made.
    Called {
        delivery: DeliveryId,
        webhook: WebhookId,
        ended: Option<Ended>,
    },
    Recorded {
        batch: Vec<Ended>,
        outcome: Result<Recorded, Error>,
    },
    Renewed(Result<(), Error>),
    Released(Result<(), Error>),
    /// The database was away, and may be asked again.
    Rested,
}

/// What a claim brought of one endpoint.
#[derive(Default)]
struct Got {
    rows: u32,
    /// Those of them that make a call.
    calls: u32,
    /// As many rows could have come.
    room: u32,
}

/// Work in the database of which there is at most one at a time.
#[derive(Default)]
struct Busy {
    looking: bool,
    claiming: bool,
    recording: bool,
    renewing: bool,
}

/// The state of a dispatcher that runs.
pub(super) struct Desk<'a> {
    of: &'a Dispatcher,
    /// `None` in a dispatcher of one round, which hands every error to its caller.
    health: Option<Part>,
    jobs: FuturesUnordered<Job<'a>>,
    busy: Busy,
    rooms: Rooms,
    look: bool,
    /// Under which lease each delivery is held that is under way or not recorded yet.
    held: HashMap<DeliveryId, Uuid>,
    calls: usize,
    ended: Vec<Ended>,
    recorded: usize,
    closing: bool,
}

impl<'a> Desk<'a> {
    /// One that goes on until it is closed.
    pub(super) fn new(of: &'a Dispatcher, health: Part) -> Self {
        Self::open(of, Some(health))
    }

    /// One that claims once.
    pub(super) fn for_one_round(of: &'a Dispatcher) -> Self {
        Self::open(of, None)
    }

    fn open(of: &'a Dispatcher, health: Option<Part>) -> Self {
        Self {
            of,
            health,
            jobs: FuturesUnordered::new(),
            busy: Busy::default(),
            rooms: Rooms::new(of.limits, Instant::now()),
            look: true,
            held: HashMap::new(),
            calls: 0,
            ended: Vec::new(),
            recorded: 0,
            closing: false,
        }
    }

    /// Begins whatever can begin. False: it is closed, and nothing is left.
    pub(super) fn begin(&mut self) -> bool {
        if !self.busy.recording && !self.ended.is_empty() {
            self.record();
        }
        if !self.closing {
            self.begin_to_claim();
        }
        self.of.meters.in_flight(self.calls);
        !self.closing || !self.jobs.is_empty()
    }

    /// The next work that ends; never, while there is none.
    pub(super) async fn next(&mut self) -> Done {
        match self.jobs.next().await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }

    /// No more is claimed.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    /// Outcomes in the tables.
    pub(super) fn recorded(&self) -> usize {
        self.recorded
    }

    /// The tables are to be looked at.
    pub(super) fn look(&mut self) {
        self.look = true;
    }

    pub(super) fn hear(&mut self, event: BusEvent) {
        match event {
            BusEvent::Message(message) => match notification::webhooks_of(&message) {
                Some(named) if named.is_empty() => self.look = true,
                Some(named) => named
                    .into_iter()
                    .for_each(|webhook| self.rooms.add(webhook)),
                None => {}
            },
            BusEvent::Gap | BusEvent::Subscribed => self.look = true,
            BusEvent::Disconnected => {}
        }
    }

    /// Keeps what is held.
    pub(super) fn renew(&mut self) {
        if self.busy.renewing || self.held.is_empty() {
            return;
        }
        self.busy.renewing = true;
        let (of, held) = (self.of, self.held.clone());
        self.jobs.push(Box::pin(async move {
            Done::Renewed(claim::renew(&of.webhooks.db, &held, of.webhooks.clock.now()).await)
        }));
    }

    /// Takes what work came to.
    ///
    /// # Errors
    /// What waiting does not help against; in a dispatcher of one round every error.
    pub(super) fn take(&mut self, done: Done) -> Result<(), Error> {
        match done {
            Done::Looked(found) => {
                self.busy.looking = false;
                for webhook in self.answer(found)?.unwrap_or_default() {
                    self.rooms.add(webhook);
                }
                self.closing |= self.health.is_none() && !self.rooms.is_anything_due();
            }
            Done::Claimed {
                wishes,
                began,
                claim,
            } => {
                self.busy.claiming = false;
                match self.answer(claim)? {
                    Some(claim) if self.closing => self.release(claim),
                    Some(claim) => self.call(wishes, began, claim),
                    None => {}
                }
                self.closing |= self.health.is_none();
            }
            Done::Called {
                delivery,
                webhook,
                ended,
            } => self.called(delivery, webhook, ended),
            Done::Recorded { batch, outcome } => match self.answer(outcome)? {
                Some(recorded) => self.settled(batch, recorded),
                None => {
                    self.ended.splice(0..0, batch);
                    self.jobs.push(Box::pin(async {
                        sleep(random::jitter(RETRY, 0.2)).await;
                        Done::Rested
                    }));
                }
            },
            Done::Renewed(renewed) => {
                self.busy.renewing = false;
                self.answer(renewed)?;
            }
            Done::Released(released) => {
                self.answer(released)?;
            }
            Done::Rested => self.busy.recording = false,
        }
        Ok(())
    }

    /// What the database said; `None` when it is away.
    fn answer<T>(&self, answer: Result<T, Error>) -> Result<Option<T>, Error> {
        match (answer, &self.health) {
            (Ok(value), health) => {
                health.iter().for_each(Part::up);
                Ok(Some(value))
            }
            (Err(error @ Error::Unavailable { .. }), Some(health)) => {
                health.away(&error);
                Ok(None)
            }
            (Err(error), health) => {
                health.iter().for_each(|health| health.down(&error));
                Err(error)
            }
        }
    }

    fn begin_to_claim(&mut self) {
        let Dispatcher {
            webhooks, limits, ..
        } = self.of;
        if self.look && !self.busy.looking {
            (self.look, self.busy.looking) = (false, true);
            let now = webhooks.clock.now();
            self.jobs.push(Box::pin(async move {
                Done::Looked(claim::look(&webhooks.db, now).await)
            }));
        }
        if self.busy.claiming || !self.rooms.is_anything_due() {
            return;
        }
        // What cannot be recorded for a while must not pile up either.
        let unrecorded = (2 * limits.in_flight).saturating_sub(self.held.len());
        let free = limits.in_flight.saturating_sub(self.calls).min(unrecorded);
        let began = Instant::now();
        let wishes = self.rooms.wishes(free, began);
        if wishes.is_empty() {
            return;
        }
        self.busy.claiming = true;
        self.jobs.push(Box::pin(async move {
            let claim = claim::claim(
                &webhooks.db,
                &wishes,
                limits.per_endpoint,
                webhooks.clock.now(),
            )
            .await;
            Done::Claimed {
                wishes,
                began,
                claim,
            }
        }));
    }

    /// Begins the calls of a claim, which holds for a lease's time from when it was asked for.
    fn call(&mut self, wishes: Vec<Wish>, began: Instant, claim: Claim) {
        let Claim { lease, deliveries } = claim;
        let mut got: HashMap<WebhookId, Got> = HashMap::new();
        for claimed in deliveries {
            let got = got.entry(claimed.webhook_id).or_default();
            (got.rows, got.room) = (got.rows + 1, claimed.room.unsigned_abs());
            // Ours already, under a lease that ran out: the call that is under way goes on under this one.
            if self.held.insert(claimed.id, lease).is_some() {
                continue;
            }
            got.calls += 1;
            self.calls += 1;
            let (of, delivery, webhook) = (self.of, claimed.id, claimed.webhook_id);
            self.jobs.push(Box::pin(async move {
                let ended = of.call(claimed, lease, began + LEASE).await;
                Done::Called {
                    delivery,
                    webhook,
                    ended,
                }
            }));
        }
        for Wish { webhook, .. } in wishes {
            let Got { rows, calls, room } = got.remove(&webhook).unwrap_or_default();
            self.rooms.claimed(webhook, calls, rows > 0 && rows >= room);
        }
    }

    fn release(&mut self, claim: Claim) {
        let (of, ids): (_, Vec<DeliveryId>) = (
            self.of,
            claim.deliveries.iter().map(|claimed| claimed.id).collect(),
        );
        self.jobs.push(Box::pin(async move {
            Done::Released(claim::release(&of.webhooks.db, claim.lease, &ids).await)
        }));
    }

    /// The room of a failed call is free again when its failure is known to everyone.
    fn called(&mut self, delivery: DeliveryId, webhook: WebhookId, ended: Option<Ended>) {
        self.calls -= 1;
        match ended {
            Some(ended) => {
                if ended.outcome.error.is_none() {
                    self.rooms.over(webhook);
                }
                self.ended.push(ended);
            }
            None => {
                self.held.remove(&delivery);
                self.rooms.over(webhook);
            }
        }
    }

    fn record(&mut self) {
        self.busy.recording = true;
        let mut batch = std::mem::take(&mut self.ended);
        for ended in &mut batch {
            ended.lease = self
                .held
                .get(&ended.delivery)
                .copied()
                .unwrap_or(ended.lease);
        }
        let Dispatcher { webhooks, .. } = self.of;
        self.jobs.push(Box::pin(async move {
            let jitter = |wait| random::jitter(wait, JITTER);
            let outcome = record::record(&webhooks.db, &batch, webhooks.clock.now(), jitter).await;
            Done::Recorded { batch, outcome }
        }));
    }

    fn settled(&mut self, batch: Vec<Ended>, recorded: Recorded) {
        self.busy.recording = false;
        for ended in batch {
            self.held.remove(&ended.delivery);
            if ended.outcome.error.is_some() {
                self.rooms.over(ended.webhook);
            }
        }
        self.of.meters.recorded(&recorded);
        self.recorded += recorded.count();
        recorded
            .due
            .into_iter()
            .for_each(|webhook| self.rooms.add(webhook));
    }
}

impl Dispatcher {
    /// Makes one call, unless its lease is over. `None`: it was not made.
    async fn call(&self, claimed: Claimed, lease: Uuid, until: Instant) -> Option<Ended> {
        if Instant::now() >= until {
            self.meters.came_too_late();
            return None;
        }
        let secrets = match self.secrets(&claimed) {
            Ok(secrets) => secrets,
            Err(error) => {
                // It comes again when its lease has run out: maybe to a dispatcher that has the key.
                tracing::error!(webhook = %claimed.webhook_id, %error, "a webhook's secret cannot be opened");
                return None;
            }
        };
        let at = self.webhooks.clock.now();
        if claimed.attempts == 0 && !claimed.replay {
            let waited = at
                .as_micros()
                .saturating_sub(claimed.created_at.as_micros())
                .max(0);
            self.meters
                .first_attempt(Duration::from_micros(waited.unsigned_abs()));
        }
        let call = Call {
            url: &claimed.url,
            id: claimed.id.0,
            at,
            secrets: &secrets,
            body: Bytes::from(claimed.body),
            trace: claimed
                .trace
                .as_deref()
                .and_then(|trace| trace.parse().ok()),
            replay: claimed.replay,
        };
        let outcome = self.sender.send(&call).await;
        Some(Ended {
            delivery: claimed.id,
            webhook: claimed.webhook_id,
            lease,
            at,
            outcome,
        })
    }

    /// What signs: the newest first.
    fn secrets(&self, claimed: &Claimed) -> Result<Vec<Secret>, Error> {
        let sealed = [Some(&claimed.secret), claimed.previous_secret.as_ref()];
        let owner = claimed.webhook_id.0;
        sealed
            .into_iter()
            .flatten()
            .map(|sealed| self.webhooks.seal.open(owner, sealed))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use backbone::clock::Clock;
    use backbone::db::{Db, PoolEngine};
    use backbone::health::Health;
    use backbone::live_bus::LiveBus;
    use backbone::telemetry::Metrics;

    use super::*;
    use crate::Webhooks;
    use crate::dispatcher::Limits;
    use crate::egress::Egress;
    use crate::resolver::Resolver;
    use crate::seal::SealKey;
    use crate::sender::Sender;
    use buyer_core::BuyerSide;
    use buyer_core::feed::Retention;

    /// An endpoint, whose id is one, with a delivery that is due.
    const FILL: [&str; 3] = [
        "INSERT INTO webhook (id, buyer_id, url, events, state, from_position, secret, created_at)
         VALUES (unhex('00000000000000000000000000000001'), x'00', 'https://example.com', '[]', 'ACTIVE', 0, x'00', 0)",
        "INSERT INTO webhook_message VALUES (unhex('00000000000000000000000000000002'), 'TEST', 1, NULL, x'00', 1)",
        "INSERT INTO webhook_delivery (id, webhook_id, message_id, sequence, change_index, due_at, created_at)
         VALUES (unhex('00000000000000000000000000000003'), unhex('00000000000000000000000000000001'),
                 unhex('00000000000000000000000000000002'), 0, 0, 0, 0)",
    ];

    #[tokio::test]
    async fn what_is_claimed_when_it_is_told_to_stop_is_given_back() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (folder, metrics, clock) = (
            tempfile::tempdir().unwrap(),
            Metrics::new(),
            Clock::system(),
        );
        let db = Db::sqlite("buyer database", &folder.path().join("buyer.db"));
        let side = BuyerSide::new(db.clone(), clock, Retention::in_rows(LEASE));
        side.migrate().await.unwrap();
        let PoolEngine::Sqlite(pool) = db.write().engine() else {
            panic!("it is on SQLite")
        };
        for statement in FILL {
            sqlx::query(statement).execute(pool).await.unwrap();
        }
        let bus = LiveBus::local(1, &metrics);
        let webhooks = Webhooks::new(&side, bus, Egress::default(), SealKey::generate());
        let sender = Sender::new(Egress::default(), Resolver::system().unwrap()).unwrap();
        let dispatcher = Dispatcher::new(webhooks, sender, Limits::default(), &metrics);
        let mut desk = Desk::new(&dispatcher, Health::default().part("webhooks"));
        let leases = async || -> i64 {
            let leased = "SELECT count(*) FROM webhook_delivery WHERE lease IS NOT NULL";
            sqlx::query_scalar(leased).fetch_one(pool).await.unwrap()
        };
        while desk.begin() {
            let done = desk.next().await;
            if matches!(done, Done::Claimed { .. }) {
                assert_eq!(leases().await, 1);
                desk.close();
            }
            assert!(!matches!(done, Done::Called { .. }), "it is not sent");
            desk.take(done).unwrap();
        }
        assert_eq!(leases().await, 0);
    }
}
