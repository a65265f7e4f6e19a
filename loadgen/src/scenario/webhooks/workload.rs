//! Workload of a run: changes, each the creation of a deal whose name is its marker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::time::{Interval, interval_at};

use crate::client::{Http, address};
use crate::error::BoxError;
use crate::scenario::subscribers::Marker;
use crate::target::Target;

/// Number of connections that changes are made over, one change at a time on each.
const CONNECTIONS: u32 = 32;

/// Number and rate of the changes to make.
#[derive(Clone, Copy)]
pub(super) enum Workload {
    /// `rate` changes per second, for some seconds.
    Paced { rate: f64, seconds: u64 },
    /// Changes as fast as they are acknowledged, for some seconds.
    Timed { seconds: u64 },
    /// A number of changes, as fast as they are acknowledged.
    Count(u64),
}

/// Changes that were made, numbered from 1.
#[derive(Clone, Copy)]
pub(super) struct Produced {
    pub(super) changes: u64,
    /// Microseconds from the start of the run until the first change.
    pub(super) first_micros: u64,
    /// Microseconds from the start of the run until the last change was acknowledged.
    pub(super) last_micros: u64,
}

/// Share of the workload that one connection takes.
struct Share {
    changes: u64,
    end: Option<Instant>,
    /// Times at which the changes are due; `None` to make them as fast as possible.
    schedule: Option<Interval>,
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Paced { rate, seconds } => write!(f, "{rate} changes/s for {seconds} s"),
            Self::Timed { seconds } => write!(
                f,
                "changes as fast as {CONNECTIONS} connections can for {seconds} s"
            ),
            Self::Count(count) => write!(
                f,
                "{count} changes as fast as {CONNECTIONS} connections can"
            ),
        }
    }
}

impl Workload {
    /// Makes the changes. Their markers count the time from `started`, the start of the run.
    pub(super) async fn produce(
        self,
        target: &Target,
        started: Instant,
    ) -> Result<Produced, BoxError> {
        let elapsed_micros = || started.elapsed().as_micros() as u64;
        let first_micros = elapsed_micros();

        // The connections take their numbers from one counter, so that the changes are numbered
        // without gaps whatever each connection manages to make.
        let next_number = Arc::new(AtomicU64::new(1));
        let connections = (0..CONNECTIONS).map(|connection| {
            let next_number = Arc::clone(&next_number);
            tokio::spawn(self.produce_share(target.clone(), connection, started, next_number))
        });

        let mut changes = 0;
        for connection in try_join_all(connections).await? {
            changes += connection?;
        }

        Ok(Produced {
            changes,
            first_micros,
            last_micros: elapsed_micros(),
        })
    }

    /// Makes one connection's share, and returns the number of changes made.
    async fn produce_share(
        self,
        target: Target,
        connection: u32,
        started: Instant,
        next_number: Arc<AtomicU64>,
    ) -> Result<u64, BoxError> {
        let mut http = Http::open(address(&target.url)?).await?;
        let mut share = self.share(connection);

        let mut made = 0;
        while made < share.changes && share.end.is_none_or(|end| Instant::now() < end) {
            if let Some(schedule) = &mut share.schedule {
                schedule.tick().await;
            }

            // Relaxed is enough: each number must be taken once, and nothing else depends on the
            // order.
            let number = next_number.fetch_add(1, Ordering::Relaxed);
            let request = target.create_request(&Marker::text(number, started), None);
            http.execute(&request).await?;
            made += 1;
        }

        Ok(made)
    }

    fn share(self, connection: u32) -> Share {
        let now = Instant::now();

        // The first connections make one change more where the number cannot be divided evenly.
        let share_of = |changes: u64| {
            changes
                .saturating_sub(connection.into())
                .div_ceil(CONNECTIONS.into())
        };

        match self {
            Self::Paced { rate, seconds } => {
                // The connections take turns within the gap between two changes of one, so that
                // changes are evenly spread.
                let gap = Duration::from_secs_f64(f64::from(CONNECTIONS) / rate);
                let first = now + gap * connection / CONNECTIONS;
                Share {
                    changes: share_of((rate * seconds as f64).round() as u64),
                    end: None,
                    schedule: Some(interval_at(first.into(), gap)),
                }
            }
            Self::Timed { seconds } => Share {
                changes: u64::MAX,
                end: Some(now + Duration::from_secs(seconds)),
                schedule: None,
            },
            Self::Count(count) => Share {
                changes: share_of(count),
                end: None,
                schedule: None,
            },
        }
    }
}

impl Produced {
    /// Returns figures on the time while changes were made: changes per second, and deliveries per
    /// second that arrived within it. `arrivals` are the times of all calls, in microseconds since
    /// the start of the run.
    pub(super) fn throughput(
        self,
        arrivals: impl Iterator<Item = u64>,
    ) -> [(&'static str, f64); 2] {
        let seconds = Duration::from_micros(self.last_micros - self.first_micros).as_secs_f64();

        // Deliveries that arrive later are left out: then the dispatcher has the machine to itself
        // and is faster.
        let meanwhile = arrivals
            .filter(|arrival| *arrival <= self.last_micros)
            .count();

        [
            ("changes/s", self.changes as f64 / seconds),
            (
                "deliveries/s while changes were made",
                meanwhile as f64 / seconds,
            ),
        ]
    }
}
