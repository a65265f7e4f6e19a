//! Who reads: a party over a websocket or Server-Sent Events, that stores its position and resumes at the next
//! gateway whenever its connection ends, however that comes.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use backbone::position::Position;
use parking_lot::{Mutex, MutexGuard};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use super::AGAIN;
use crate::kit::{Buffer, Client, DEALS, End, Events, Party, Subscription};

const ACCESS: &str = "subscription($after: Position) {
    accessChanged(after: $after) { sellerId buyerId granted position } }";
/// Codes that say to come again: the gateway ends, it cannot tell yet who asks, or a peer was too slow, be it to begin
/// or to read. Any other is a fault.
const COME_AGAIN: [u16; 4] = [1012, 1013, 4290, 4408];

/// One reader.
#[derive(Clone)]
pub(crate) struct ReaderPlan {
    pub(crate) party: Party,
    pub(crate) subject: Subject,
    pub(crate) habit: Habit,
    /// It begins at the first and goes to the next, round and round.
    pub(crate) gateways: Vec<String>,
}

/// What it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Deals,
    Access,
}

/// How it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// A websocket, as fast as it can.
    Socket,
    /// A websocket with a small buffer, which stops reading when it is told to stall.
    Slow,
    /// A websocket that is dropped after so many changes, with more on their way.
    Vanishing(usize),
    /// Server-Sent Events, resumed by `Last-Event-ID`.
    Events,
}

impl ReaderPlan {
    /// Of deals.
    pub(crate) fn new(party: Party, habit: Habit, gateways: &[String]) -> Self {
        Self {
            party,
            subject: Subject::Deals,
            habit,
            gateways: gateways.to_vec(),
        }
    }
}

impl fmt::Display for ReaderPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} of {:?} by {:?}",
            self.subject, self.party, self.habit
        )
    }
}

/// What a change says, as far as it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shown {
    Deal {
        id: Uuid,
        version: u64,
    },
    Access {
        seller: Uuid,
        buyer: Uuid,
        granted: bool,
    },
}

pub(super) struct Reader {
    plan: ReaderPlan,
    record: Mutex<Record>,
}

/// What it was shown so far, and how its connections ended.
struct Record {
    position: String,
    place: (u64, u16),
    shown: Vec<(u64, Shown)>,
    versions: HashMap<Uuid, u64>,
    ends: Vec<(Instant, End)>,
}

impl Reader {
    pub(super) fn new(plan: ReaderPlan, begin: Position) -> Self {
        let record = Record {
            position: begin.encode(),
            place: begin.order(),
            shown: Vec::new(),
            versions: HashMap::new(),
            ends: Vec::new(),
        };
        Self {
            plan,
            record: Mutex::new(record),
        }
    }

    pub(super) fn plan(&self) -> &ReaderPlan {
        &self.plan
    }

    pub(super) fn seen(&self) -> usize {
        self.record().shown.len()
    }

    /// The place of the last change shown.
    pub(super) fn checkpoint(&self) -> u64 {
        self.record().place.0
    }

    pub(super) fn ends(&self) -> Vec<(Instant, End)> {
        self.record().ends.clone()
    }

    /// Everything shown, in the order in which it came, with its place.
    pub(super) fn shown(&self) -> Vec<(u64, Shown)> {
        self.record().shown.clone()
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        // What a reader held when it found a fault is no worse for that, and the fault is told elsewhere.
        self.record.lock()
    }

    /// Reads for ever; fails on a change that comes twice or out of order.
    pub(super) async fn read(self: Arc<Self>, mut stalled: watch::Receiver<bool>) {
        let mut again = interval(AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for gateway in self.plan.gateways.iter().cycle() {
            let position = self.record().position.clone();
            let end = match Link::open(&self.plan, gateway, &position).await {
                Err(end) => end,
                Ok(link) => match self.follow(link, &mut stalled).await {
                    Some(end) => end,
                    None => continue,
                },
            };
            if let End::Closed(code) = end {
                assert!(
                    COME_AGAIN.contains(&code),
                    "{} was closed with {code}",
                    self.plan
                );
            }
            self.record().ends.push((Instant::now(), end));
            again.tick().await;
        }
    }

    /// Reads until the connection ends, or `None` when it has vanished.
    async fn follow(&self, mut link: Link, stalled: &mut watch::Receiver<bool>) -> Option<End> {
        let mut left = match self.plan.habit {
            Habit::Vanishing(changes) => changes,
            _ => usize::MAX,
        };
        while left > 0 {
            if self.plan.habit == Habit::Slow {
                stalled
                    .wait_for(|stalled| !stalled)
                    .await
                    .expect("the load outlives its readers");
            }
            let came = link.next().await;
            let mut record = self.record();
            match came {
                Ok(change) => record.take(&self.plan, &change),
                Err(end) => {
                    record.position = link.position().to_owned();
                    return Some(end);
                }
            }
            left -= 1;
        }
        None
    }
}

impl Record {
    fn take(&mut self, plan: &ReaderPlan, change: &Value) {
        let uuid = |value: &Value| {
            value
                .as_str()
                .and_then(|id| id.parse().ok())
                .expect("a UUID")
        };
        self.position = change["position"].as_str().expect("a position").to_owned();
        let place = Position::decode(&self.position)
            .expect("a position")
            .order();
        assert!(
            place > self.place,
            "{plan}: twice or out of order: {change} after {:?}",
            self.place
        );
        let shown = match plan.subject {
            Subject::Deals => {
                let (id, version) = (uuid(&change["deal"]["id"]), &change["deal"]["version"]);
                let version = version.as_u64().expect("a version");
                let before = self.versions.insert(id, version).unwrap_or(0);
                assert!(
                    version > before,
                    "{plan}: version {version} after {before}: {change}"
                );
                Shown::Deal { id, version }
            }
            Subject::Access => Shown::Access {
                seller: uuid(&change["sellerId"]),
                buyer: uuid(&change["buyerId"]),
                granted: change["granted"].as_bool().expect("a boolean"),
            },
        };
        self.place = place;
        self.shown.push((place.0, shown));
    }
}

/// A connection, in one envelope or the other.
enum Link {
    Socket(Box<Subscription>),
    Events(Events, String),
}

impl Link {
    async fn open(plan: &ReaderPlan, gateway: &str, after: &str) -> Result<Self, End> {
        let (key, query) = (plan.party.key(), plan.query());
        let buffer = match plan.habit {
            Habit::Socket | Habit::Vanishing(_) => Buffer::Default,
            Habit::Slow => Buffer::Small,
            Habit::Events => {
                let request = Client::new(gateway, Some(key)).request(Method::POST, "/graphql");
                let request = request
                    .header("last-event-id", after)
                    .json(&json!({ "query": query }));
                return Ok(Self::Events(
                    Events::try_open(request).await?,
                    after.to_owned(),
                ));
            }
        };
        let socket = Subscription::try_open((gateway, key, buffer), query, Some(after)).await?;
        Ok(Self::Socket(Box::new(socket)))
    }

    /// The next change, or how the connection ended.
    async fn next(&mut self) -> Result<Value, End> {
        let (events, last) = match self {
            Self::Socket(subscription) => return subscription.try_next().await,
            Self::Events(events, last) => (events, last),
        };
        loop {
            let mut event = events.next().await.ok_or(End::Broken)?;
            if let Some(id) = event.remove("id") {
                *last = id;
            }
            let Some(data) = event.get("data").filter(|data| !data.is_empty()) else {
                continue;
            };
            let mut result: Value = serde_json::from_str(data).expect("JSON");
            if result["errors"][0]["extensions"]["retryable"] == true {
                return Err(End::Later);
            }
            assert_eq!(result.get("errors"), None, "{result}");
            let Value::Object(data) = result["data"].take() else {
                panic!("no data in {result}")
            };
            let change = data.into_iter().next().expect("one root field").1;
            assert_eq!(
                change["position"],
                json!(last),
                "an event's id is its change's position"
            );
            return Ok(change);
        }
    }

    /// Where to resume.
    fn position(&self) -> &str {
        match self {
            Self::Socket(subscription) => subscription
                .position
                .as_deref()
                .expect("it began after one"),
            Self::Events(_, last) => last,
        }
    }
}

impl ReaderPlan {
    fn query(&self) -> &'static str {
        match self.subject {
            Subject::Deals => DEALS,
            Subject::Access => ACCESS,
        }
    }
}
