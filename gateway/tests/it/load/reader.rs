//! Readers: a party over a websocket, Server-Sent Events or pages, that stores its position and resumes at the next
//! gateway whenever its connection ends, however that comes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use backbone::position::Position;
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use super::AGAIN;
use super::link::Link;
use super::plan::{Habit, ReaderPlan, Subject};
use crate::kit::{End, Told};

/// Codes that say to come again: the gateway ends, it cannot tell yet who asks, or a peer was too slow, be it to begin
/// or to read. Any other is a fault.
const COME_AGAIN: [u16; 4] = [1012, 1013, 4290, 4408];

/// Change as a reader was shown it.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) sequence: u64,
    /// Deal that changed; none for a change of access.
    pub(super) deal: Option<Uuid>,
    /// Changes of the deal that it stands for, beside itself.
    pub(super) skipped: usize,
    /// Text of everything that came.
    pub(super) text: Arc<str>,
}

/// Texts of changes. Hundreds of readers are shown the same one, which is kept once.
#[derive(Default)]
pub(super) struct Texts(Mutex<HashSet<Arc<str>>>);

impl Texts {
    fn keep(&self, text: &str) -> Arc<str> {
        let mut texts = self.0.lock();
        if let Some(kept) = texts.get(text) {
            return Arc::clone(kept);
        }

        let kept: Arc<str> = text.into();
        texts.insert(Arc::clone(&kept));
        kept
    }
}

pub(super) struct Reader {
    plan: ReaderPlan,
    texts: Arc<Texts>,
    record: Mutex<Record>,
}

/// What it was shown so far, and how its connections ended.
struct Record {
    position: String,
    place: (u64, u16),
    shown: Vec<Shown>,
    versions: HashMap<Uuid, u64>,
    ends: Vec<(Instant, End)>,
}

impl Reader {
    pub(super) fn new(plan: ReaderPlan, begin: Position, texts: Arc<Texts>) -> Self {
        let record = Record {
            position: begin.encode(),
            place: begin.order(),
            shown: Vec::new(),
            versions: HashMap::new(),
            ends: Vec::new(),
        };
        Self {
            plan,
            texts,
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

    /// Everything shown, in the order in which it came.
    pub(super) fn shown(&self) -> Vec<Shown> {
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
                Ok(told) => record.take(&self.plan, &told, &self.texts),
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
    /// Takes a change. Fails at once on what is wrong beyond doubt; the rest is compared with the log at the end.
    fn take(&mut self, plan: &ReaderPlan, told: &Told, texts: &Texts) {
        let Told { change, text } = told;
        let position = change["position"].as_str().expect("a position");
        let place = Position::decode(position).expect("a position").order();
        assert!(
            place > self.place,
            "{plan}: twice or out of order: {text} after {:?}",
            self.place
        );

        let (deal, skipped) = match plan.subject {
            Subject::Deals(_) => self.take_deal(plan, change),
            Subject::Access => (None, 0),
        };
        self.position = position.to_owned();
        self.place = place;
        self.shown.push(Shown {
            sequence: place.0,
            deal,
            skipped,
            text: texts.keep(text),
        });
    }

    /// Takes note of the version, and returns the deal and how many of its changes were skipped.
    fn take_deal(&mut self, plan: &ReaderPlan, change: &Value) -> (Option<Uuid>, usize) {
        let id = change["deal"]["id"].as_str().expect("an id");
        let id: Uuid = id.parse().expect("a UUID");

        let version = change["deal"]["version"].as_u64().expect("a version");
        let before = self.versions.insert(id, version).unwrap_or(0);
        assert!(
            version > before,
            "{plan}: version {version} after {before}: {change}"
        );

        let skipped = change["skipped"].as_u64().expect("a number");
        (Some(id), usize::try_from(skipped).expect("a small number"))
    }
}
