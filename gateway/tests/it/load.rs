//! Writers that repeat what they are not sure of, readers that store their position, and what all of them saw
//! compared with the log.
//!
//! Whatever is broken meanwhile, the account must come out the same. The load breaks nothing itself, but for readers
//! whose habit it is to vanish.

mod compare;
mod due;
mod link;
mod oracle;
mod plan;
mod reader;
mod writer;

pub(crate) use oracle::{Report, Truth};
pub(crate) use plan::{Filter, Habit, ReaderPlan, Subject};
pub(crate) use writer::{WriterPlan, grant};

use std::sync::Arc;
use std::time::Duration;

use backbone::position::Position;
use backbone::testkit::wait_until;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::kit::{End, Party};
use reader::{Reader, Texts};
use writer::Writers;

/// Longer than any outage in these tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// How soon a client tries again.
const AGAIN: Duration = Duration::from_millis(50);
/// Prices that deals of writers come to and leave again.
pub(crate) const MID_PRICED: Filter = Filter::Priced(1_000, 1_200);

/// Who is to write and who is to read.
pub(crate) struct Plan {
    /// Where they may go: whoever loses one tries the next.
    pub(crate) gateways: Vec<String>,
    pub(crate) writers: Vec<WriterPlan>,
    pub(crate) readers: Vec<ReaderPlan>,
    /// After so many mutations each time, the first seller lets the other buyer in, or sends it out.
    pub(crate) access_changes_after: Option<u64>,
}

/// Work that goes on until it is told to stop.
pub(crate) struct Load {
    gateways: Vec<String>,
    begin: Position,
    writers: Writers,
    readers: Vec<Arc<Reader>>,
    reading: Mutex<JoinSet<()>>,
    stalled: watch::Sender<bool>,
}

impl Plan {
    /// A few writers that write as fast as they can, and one buyer that reads.
    pub(crate) fn small(gateway: &str) -> Self {
        let gateways = vec![gateway.to_owned()];
        Self {
            writers: vec![
                WriterPlan {
                    seller: Party::Seller,
                    pace: None
                };
                3
            ],
            readers: vec![ReaderPlan::new(Party::Buyer, Habit::Socket, &gateways)],
            gateways,
            access_changes_after: None,
        }
    }

    /// The same with more readers, one of each way to see the changes otherwise than all of them one by one.
    pub(crate) fn varied(gateway: &str) -> Self {
        let mut plan = Self::small(gateway);
        let reader = |filter, habit| {
            let gateways = [gateway.to_owned()];
            ReaderPlan::filtered(Party::Buyer, filter, habit, &gateways)
        };

        plan.readers.extend([
            reader(Filter::OfSeller(Party::Seller), Habit::Socket),
            reader(MID_PRICED, Habit::Socket),
            reader(Filter::InStatus("AVAILABLE"), Habit::Events),
            reader(Filter::All, Habit::Conflating),
            reader(MID_PRICED, Habit::Conflating),
            reader(Filter::All, Habit::Pulling),
            reader(Filter::InStatus("AVAILABLE"), Habit::Pulling),
        ]);
        plan
    }
}

impl Load {
    /// Begins.
    pub(crate) async fn start(plan: Plan) -> Self {
        let Plan {
            gateways,
            writers,
            readers,
            access_changes_after,
        } = plan;
        let (mut writers, begin) = Writers::start(&gateways, writers).await;
        if let Some(mutations) = access_changes_after {
            writers.change_access_after(mutations);
        }
        let (stalled, stall) = watch::channel(false);
        let mut reading = JoinSet::new();
        let texts = Arc::new(Texts::default());
        let readers: Vec<Arc<Reader>> = readers
            .into_iter()
            .map(|plan| Arc::new(Reader::new(plan, begin, Arc::clone(&texts))))
            .collect();
        for reader in &readers {
            reading.spawn(Arc::clone(reader).read(stall.clone()));
        }
        Self {
            gateways,
            begin,
            writers,
            readers,
            reading: Mutex::new(reading),
            stalled,
        }
    }

    /// Lets this many more mutations be acknowledged.
    pub(crate) async fn run_for(&self, mutations: u64) {
        let goal = self.writers.acknowledged() + mutations;
        wait_until(PATIENCE, "mutations are acknowledged", async || {
            self.writers.acknowledged() >= goal
        })
        .await;
    }

    /// Lets every reader that is shown all changes one by one see this many more.
    pub(crate) async fn see(&self, changes: usize) {
        let readers = self.readers.iter();
        let goals: Vec<(&Arc<Reader>, usize)> = readers
            .filter(|reader| reader.plan().shows_all())
            .map(|reader| (reader, reader.seen() + changes))
            .collect();
        wait_until(PATIENCE, "changes are pushed", async || {
            goals.iter().all(|(reader, goal)| reader.seen() >= *goal)
        })
        .await;
    }

    /// Makes a change that is too large for a small buffer.
    pub(crate) async fn heavy_change(&self) {
        self.writers.heavy_change().await;
    }

    /// Keeps slow readers from reading, or lets them go on.
    pub(crate) fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    /// How often a connection of a reader has ended in this way.
    pub(crate) fn ended(&self, end: End) -> usize {
        self.readers
            .iter()
            .map(|reader| {
                reader
                    .ends()
                    .iter()
                    .filter(|(_, found)| *found == end)
                    .count()
            })
            .sum()
    }

    /// How and when the connections of each reader ended, in order.
    pub(crate) fn ends(&self) -> Vec<Vec<(tokio::time::Instant, End)>> {
        self.readers.iter().map(|reader| reader.ends()).collect()
    }

    /// Returns when a reader or a writer has found a fault, and fails as it did.
    pub(crate) async fn fault(&self) {
        let mut reading = self.reading.lock().await;
        let found = tokio::select! {
            Some(found) = reading.join_next() => found.map(|()| "a reader has ended"),
            found = self.writers.fault() => found,
        };
        match found {
            Ok(ended) => panic!("{ended} before its time"),
            Err(fault) => std::panic::resume_unwind(fault.into_panic()),
        }
    }

    /// Lets the writers come to an end of what they are at. The log is whole then.
    pub(crate) async fn stop_writing(&mut self) {
        self.writers.stop().await;
    }

    /// Compares: what was acknowledged, what each reader was shown, what both sides' tables hold, and the log.
    pub(crate) async fn finish(self, truth: &Truth) -> Report {
        truth.check_order();
        truth.check_acknowledged(self.writers.written());
        tokio::select! {
            () = self.all_shown(truth) => {}
            () = self.fault() => {}
        }
        self.reading.into_inner().shutdown().await;
        truth.check_tables(&self.gateways).await;
        truth.check_readers(self.begin, &self.readers)
    }

    async fn all_shown(&self, truth: &Truth) {
        for reader in &self.readers {
            let last = truth.last_for(reader.plan(), self.begin);
            wait_until(
                PATIENCE,
                &format!("{} is shown what was last", reader.plan()),
                async || reader.checkpoint() >= last,
            )
            .await;
        }
    }
}
