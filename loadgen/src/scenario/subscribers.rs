//! Subscribers: sockets that each see every change of a run.
//!
//! A change carries a marker with its number and the time at which it was sent. The numbers show
//! changes that are missing, duplicated or out of order; the times show how long each change took.

mod background;
mod broadcast;
mod delivery_check;
mod marker;

pub(super) use background::BackgroundSockets;
pub(super) use broadcast::{BroadcastControl, compare_with_broadcast};
pub(super) use delivery_check::ExpectedOrder;
pub(super) use marker::Marker;

use std::ops::Range;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::{interval, timeout};

use super::{Server, open_all};
use crate::accounts::BuyerKeys;
use crate::client::{Http, RESPONSE_TIMEOUT, Socket, address};
use crate::compare::Meter;
use crate::error::BoxError;
use crate::limit::RunningLimit;
use crate::report::{Latencies, Run, latencies, latencies_with_digits};
use crate::target::Target;

/// Subscribed sockets from which no change has been read yet.
pub(super) struct Subscribers {
    server: Server,
    sockets: Vec<Socket>,
    /// Limit that the sockets are connected to; `None` for Dealwire, whose process is not ours to
    /// end.
    _limit: Option<RunningLimit>,
}

/// Changes made one after the other at a steady rate.
#[derive(Clone, Copy)]
pub(super) struct Schedule {
    /// Changes per second.
    pub(super) rate: f64,
    pub(super) seconds: u64,
}

impl Schedule {
    /// Returns the total number of changes.
    pub(super) fn changes(self) -> u64 {
        (self.rate * self.seconds as f64).round() as u64
    }

    /// Passes the marker of each change to `send` when the change is due.
    pub(super) async fn produce(
        self,
        started: Instant,
        mut send: impl AsyncFnMut(String) -> Result<(), BoxError>,
    ) -> Result<(), BoxError> {
        let mut due = interval(Duration::from_secs_f64(1.0 / self.rate));

        for number in 1..=self.changes() {
            // A change is sent when the one before it is acknowledged and its own time has come. A
            // server that falls behind therefore lowers the rate for a moment; the interval catches
            // up afterwards.
            due.tick().await;
            send(Marker::text(number, started)).await?;
        }

        Ok(())
    }
}

/// Opens numbered sockets that subscribe to Dealwire, and waits until their subscriptions have
/// begun. `payload` returns the subscription's payload by the socket's number.
pub(super) async fn subscribe_all(
    target: &Target,
    keys: &BuyerKeys,
    numbers: Range<usize>,
    payload: impl Fn(usize) -> Value,
) -> Result<Vec<Socket>, BoxError> {
    let url = &target.graphql_url();
    let address = address(&target.url)?;
    let payload = &payload;

    let open = |number: usize| async move {
        let socket = Socket::open(url, address).await?;
        let key = keys.for_socket(number);
        let mut socket = socket.subscribe(key, &payload(number)).await?;

        // Without this wait, the first changes of the run could come before the last subscriptions
        // and would look lost.
        socket.wait_until_processed().await?;
        Ok(socket)
    };
    open_all(numbers.map(open)).await
}

impl Subscribers {
    /// Subscribes to Dealwire as [`subscribe_all`] does.
    pub(super) async fn of_dealwire(
        target: &Target,
        keys: &BuyerKeys,
        numbers: Range<usize>,
        payload: impl Fn(usize) -> Value,
    ) -> Result<Self, BoxError> {
        let sockets = subscribe_all(target, keys, numbers, payload).await?;

        Ok(Self {
            server: Server::at(&target.url)?,
            sockets,
            _limit: None,
        })
    }

    /// Measures changes that the target's seller makes on a schedule.
    pub(super) async fn measure_schedule(
        self,
        seller: &Target,
        schedule: Schedule,
    ) -> Result<Run, BoxError> {
        // One connection makes all changes, so each is in the log before the next is sent and their
        // numbers are their order.
        let mut http = Http::open(self.server.address).await?;
        let send = async |marker: String| {
            let request = seller.create_request(&marker, None);
            http.execute(&request).await.map(|_| ())
        };

        let produce = async |started| schedule.produce(started, send).await;
        self.measure(schedule.changes(), ExpectedOrder::Sequential, produce)
            .await
    }

    /// Measures until every socket has seen the change with the highest number, or has seen nothing
    /// for [`RESPONSE_TIMEOUT`].
    ///
    /// `produce` makes the changes of a run that started at the given time. It must make the last
    /// change when all others are in the log.
    pub(super) async fn measure(
        self,
        changes: u64,
        order: ExpectedOrder,
        produce: impl AsyncFnOnce(Instant) -> Result<(), BoxError>,
    ) -> Result<Run, BoxError> {
        // The readers run before the meter starts: spawning thousands of tasks is no part of the
        // measurement.
        let started = Instant::now();
        let readers: Vec<_> = self
            .sockets
            .into_iter()
            .map(|socket| tokio::spawn(read(socket, changes, started)))
            .collect();

        let meter = Meter::start(self.server.process)?;
        produce(started).await?;

        let mut all = latencies();
        let mut seen = Vec::new();
        for reader in readers {
            let (latencies, numbers) = reader.await??;
            all.add(latencies)?;
            seen.push(numbers);
        }

        // The verdict comes after the meter has stopped, since it takes CPU time of its own.
        let mut run = meter.stop(all.len(), all, Vec::new())?;
        run.faults = delivery_check::faults(&seen, changes, order);
        Ok(run)
    }
}

/// Reads until the last change, or until nothing has come for [`RESPONSE_TIMEOUT`]. Returns the
/// latencies, and the numbers of the changes in the order of their arrival.
async fn read(
    mut socket: Socket,
    changes: u64,
    started: Instant,
) -> Result<(Latencies, Vec<u64>), BoxError> {
    // Two digits are enough for one of thousands of sockets, and keep a histogram small; they are
    // added up later.
    let mut latencies = latencies_with_digits(2);
    let mut numbers = Vec::with_capacity(changes as usize);
    let mut hint = 0;

    while numbers.last() != Some(&changes) {
        // A timeout ends the reading and not the run: changes that never came are then reported as
        // missing, which says more than an error.
        let Ok(text) = timeout(RESPONSE_TIMEOUT, socket.next_text()).await else {
            break;
        };

        // Changes of others, or of an earlier run, may come too; they carry no marker or one that
        // is out of range.
        let Some(marker) =
            Marker::find(text?, &mut hint).filter(|marker| (1..=changes).contains(&marker.number))
        else {
            continue;
        };

        let now = started.elapsed().as_micros() as u64;
        latencies.saturating_record(now.saturating_sub(marker.sent_micros));
        numbers.push(marker.number);
    }

    Ok((latencies, numbers))
}
