//! Sockets that each see every change of a run. A change carries a marker with its number and the time that it was
//! made, so what is missing, doubled or out of order shows, and how long each took.

mod broadcast;
mod marker;

pub(super) use broadcast::{Lines, compare_with_broadcast};
pub(super) use marker::Marker;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::{Server, open_all};
use crate::accounts::Keys;
use crate::client::{Http, PATIENCE, Socket, address};
use crate::compare::Meter;
use crate::limit::Running;
use crate::report::{Latencies, Run, latencies};
use crate::{Failed, Target};

/// Sockets that nothing has been read from since they were opened.
pub(super) struct Audience {
    server: Server,
    sockets: Vec<Socket>,
    /// The server, where it is ours to end.
    _limit: Option<Running>,
}

/// The order in which every socket should see the changes.
#[derive(Clone, Copy)]
pub(super) enum Order {
    /// That of their numbers: each was made when the one before it was there.
    ByNumber,
    /// That in which the first socket saw them: several were made at once.
    AsTheFirst,
}

/// Changes that are made one after the other.
#[derive(Clone, Copy)]
pub(super) struct Paced {
    /// Changes a second.
    pub(super) rate: f64,
    pub(super) seconds: u64,
}

impl Paced {
    pub(super) fn changes(self) -> u64 {
        (self.rate * self.seconds as f64).round() as u64
    }

    pub(super) async fn make(
        self,
        begun: Instant,
        mut send: impl AsyncFnMut(String) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        let mut pace = interval(Duration::from_secs_f64(1.0 / self.rate));
        for number in 1..=self.changes() {
            pace.tick().await;
            send(Marker::write(number, begun)).await?;
        }
        Ok(())
    }
}

/// Opens sockets that subscribe to Dealwire, each with the key of its number, and waits until their subscriptions have
/// begun.
pub(super) async fn subscribe_all(
    target: &Target,
    keys: &Keys,
    numbers: Range<usize>,
    payload: impl Fn(usize) -> Value,
) -> Result<Vec<Socket>, Failed> {
    let (graphql, at, payload) = (&target.graphql(), address(&target.url)?, &payload);
    let open = |number: usize| async move {
        let socket = Socket::open(graphql, at).await?;
        let mut socket = socket.subscribe(keys.of(number), &payload(number)).await?;
        socket.settle().await?;
        Ok(socket)
    };
    open_all(numbers.map(open)).await
}

impl Audience {
    /// As [`subscribe_all`] has it.
    pub(super) async fn of_dealwire(
        target: &Target,
        keys: &Keys,
        numbers: Range<usize>,
        payload: impl Fn(usize) -> Value,
    ) -> Result<Self, Failed> {
        let sockets = subscribe_all(target, keys, numbers, payload).await?;
        Ok(Self {
            server: Server::at(&target.url)?,
            sockets,
            _limit: None,
        })
    }

    /// Measures a seller's changes, one after the other.
    pub(super) async fn watch_paced(self, seller: &Target, paced: Paced) -> Result<Run, Failed> {
        let mut http = Http::open(self.server.address).await?;
        let send = async |marker: String| http.ask(&seller.create(&marker, None)).await.map(|_| ());
        self.watch(paced.changes(), Order::ByNumber, async |begun| {
            paced.make(begun, send).await
        })
        .await
    }

    /// Measures until every socket has seen the last change, by number, or nothing has come for too long. `make` makes
    /// the changes of a run that began then, the last one when the others are there.
    pub(super) async fn watch(
        self,
        changes: u64,
        order: Order,
        make: impl AsyncFnOnce(Instant) -> Result<(), Failed>,
    ) -> Result<Run, Failed> {
        let begun = Instant::now();
        let readers: Vec<_> = self
            .sockets
            .into_iter()
            .map(|socket| tokio::spawn(read(socket, changes, begun)))
            .collect();
        let meter = Meter::start(self.server.process)?;
        make(begun).await?;
        let (mut all, mut seen) = (latencies(), Vec::new());
        for reader in readers {
            let (latencies, numbers) = reader.await??;
            all.add(latencies)?;
            seen.push(numbers);
        }
        let mut run = meter.stop(all.len(), all, Vec::new())?;
        run.faults = marker::judge(&seen, changes, order);
        Ok(run)
    }
}

/// Reads until the last change, or until nothing has come for too long: how long each took, and their numbers as they
/// came.
async fn read(
    mut socket: Socket,
    changes: u64,
    begun: Instant,
) -> Result<(Latencies, Vec<u64>), Failed> {
    // Two digits are enough for one socket of thousands, whose histograms are added up.
    let mut latencies = Latencies::new_with_bounds(1, 60_000_000, 2).expect("the bounds are sound");
    let (mut numbers, mut place) = (Vec::with_capacity(changes as usize), 0);
    while numbers.last() != Some(&changes) {
        let Ok(text) = timeout(PATIENCE, socket.text()).await else {
            break;
        };
        let Some((number, made)) =
            Marker::read(text?, &mut place).filter(|(number, _)| (1..=changes).contains(number))
        else {
            continue;
        };
        latencies.saturating_record((begun.elapsed().as_micros() as u64).saturating_sub(made));
        numbers.push(number);
    }
    Ok((latencies, numbers))
}

/// Sockets that are read but not measured; closed when dropped.
pub(super) struct Held {
    readers: JoinSet<()>,
    texts: Arc<AtomicU64>,
    count: usize,
}

impl Held {
    /// Pings are answered as a client would.
    pub(super) fn of(sockets: Vec<Socket>) -> Self {
        let (mut readers, texts, count) =
            (JoinSet::new(), Arc::new(AtomicU64::new(0)), sockets.len());
        for mut socket in sockets {
            let texts = Arc::clone(&texts);
            readers.spawn(async move {
                while socket.text().await.is_ok() {
                    texts.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Self {
            readers,
            texts,
            count,
        }
    }

    /// Messages that have come, pings left out.
    pub(super) fn texts(&self) -> u64 {
        self.texts.load(Ordering::Relaxed)
    }

    /// Sockets that have ended.
    pub(super) fn ended(&mut self) -> u64 {
        while self.readers.try_join_next().is_some() {}
        (self.count - self.readers.len()) as u64
    }
}
