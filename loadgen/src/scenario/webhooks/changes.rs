//! The changes of a run, each a deal whose name is its marker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::interval_at;

use crate::client::{Http, address};
use crate::scenario::audience::Marker;
use crate::{Failed, Target};

/// Connections that they are made over, each of one change at a time.
const CONNECTIONS: u32 = 32;

/// How many, and how fast.
#[derive(Clone, Copy)]
pub(super) enum Changes {
    /// So many a second, for so many seconds.
    Paced { rate: f64, seconds: u64 },
    /// As fast as they are acknowledged, for so many seconds.
    For { seconds: u64 },
    /// So many, as fast as they are acknowledged.
    Count(u64),
}

/// What was made: changes of the numbers from 1 on.
#[derive(Clone, Copy)]
pub(super) struct Made {
    pub(super) changes: u64,
    /// Times since the run began, in microseconds.
    pub(super) first: u64,
    pub(super) last: u64,
}

impl std::fmt::Display for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Paced { rate, seconds } => write!(f, "{rate} changes/s for {seconds} s"),
            Self::For { seconds } => {
                write!(
                    f,
                    "changes as fast as {CONNECTIONS} connections can for {seconds} s"
                )
            }
            Self::Count(count) => write!(
                f,
                "{count} changes as fast as {CONNECTIONS} connections can"
            ),
        }
    }
}

impl Changes {
    /// Makes them. Markers tell the time since `begun` when a change was sent.
    pub(super) async fn make(self, target: &Target, begun: Instant) -> Result<Made, Failed> {
        let since = || begun.elapsed().as_micros() as u64;
        let (first, next) = (since(), Arc::new(AtomicU64::new(1)));
        let makers = (0..CONNECTIONS)
            .map(|maker| tokio::spawn(self.share(target.clone(), maker, begun, Arc::clone(&next))));
        let mut changes = 0;
        for made in futures_util::future::try_join_all(makers).await? {
            changes += made?;
        }
        Ok(Made {
            changes,
            first,
            last: since(),
        })
    }

    /// What one connection makes: how many.
    async fn share(
        self,
        target: Target,
        maker: u32,
        begun: Instant,
        next: Arc<AtomicU64>,
    ) -> Result<u64, Failed> {
        let (mut http, started) = (Http::open(address(&target.url)?).await?, Instant::now());
        let of = |changes: u64| {
            changes
                .saturating_sub(maker.into())
                .div_ceil(CONNECTIONS.into())
        };
        let (share, end, mut due) = match self {
            Self::Paced { rate, seconds } => {
                let gap = Duration::from_secs_f64(f64::from(CONNECTIONS) / rate);
                let turn = started + gap * maker / CONNECTIONS;
                (
                    of((rate * seconds as f64).round() as u64),
                    None,
                    Some(interval_at(turn.into(), gap)),
                )
            }
            Self::For { seconds } => (u64::MAX, Some(started + Duration::from_secs(seconds)), None),
            Self::Count(count) => (of(count), None, None),
        };
        let mut made = 0;
        while made < share && end.is_none_or(|end| Instant::now() < end) {
            if let Some(due) = &mut due {
                due.tick().await;
            }
            let number = next.fetch_add(1, Ordering::Relaxed);
            http.ask(&target.create(&Marker::write(number, begun), None))
                .await?;
            made += 1;
        }
        Ok(made)
    }
}
