//! Progress of the projections, as every gateway tells it: their own processes may be gone, or may say
//! what is wrong where nobody looks.

use std::time::Duration;

use backbone::Error;
use backbone::health::{Health, Part};
use backbone::position::Sequence;
use backbone::telemetry::{Gauge, Metrics};
use tokio::time::Instant;

use crate::backends::Backends;

/// Time for which a projection may stand still behind the log's head.
const PATIENCE: Duration = Duration::from_secs(10);

/// Watch over both projections.
pub(super) struct ProgressWatch {
    head: Gauge,
    sellers: Progress,
    buyers: Progress,
}

/// State of one projection, as it was last seen.
struct Progress {
    name: &'static str,
    part: Part,
    lag: Gauge,
    position: Sequence,
    /// Time at which the projection moved or was at the head.
    since: Instant,
}

impl ProgressWatch {
    /// Registers a health part and a gauge for each projection, and a gauge for the log's head.
    pub(super) fn new(health: &Health, metrics: &Metrics) -> Self {
        let progress = |name, part| {
            let lag = metrics.gauge_family::<[(&str, &str); 1]>(
                "projection_lag",
                "Events of the log that are not in the tables yet",
            );

            Progress {
                name,
                part: health.part(part),
                lag: lag.get_or_create_owned(&[("projection", name)]),
                position: 0,
                since: Instant::now(),
            }
        };

        Self {
            head: metrics.gauge("log_head", "Sequence of the log's newest event"),
            sellers: progress("seller", "progress of the seller projection"),
            buyers: progress("buyer", "progress of the buyer projection"),
        }
    }

    /// Compares both projections with the log's head.
    pub(super) async fn look(&mut self, backends: &Backends) -> Result<(), Error> {
        // The head first: a projection that has reached it by then is not behind.
        let head = backends.log.head().await?;
        let sellers = backends.sellers.checkpoint().await?;
        let buyers = backends.buyers.checkpoint().await?;

        self.head.set(head as i64);
        self.sellers.see(head, sellers.position, Instant::now());
        self.buyers.see(head, buyers.position, Instant::now());
        Ok(())
    }
}

impl Progress {
    fn see(&mut self, head: Sequence, position: Sequence, now: Instant) {
        self.lag.set(head.saturating_sub(position) as i64);

        if position != self.position || position >= head {
            self.position = position;
            self.since = now;
        }

        if now - self.since < PATIENCE {
            return self.part.up();
        }
        // The process stays ready: queries go on, and mutations will be applied later.
        self.part.away(format!(
            "the {} projection has been stuck before event {} for more than {PATIENCE:?}, and the log \
             goes on to {head}; see the processes with that role, and `dealwire dead-events list`",
            self.name,
            position + 1,
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn projection_that_stands_behind_the_head_is_told() {
        let health = Health::default();
        let mut watch = ProgressWatch::new(&health, &Metrics::new());
        let progress = &mut watch.sellers;
        let mut now = Instant::now();
        let mut complaint = |head, position| {
            now += Duration::from_secs(6);
            progress.see(head, position, now);
            health.degraded().pop().map(|(_, why)| why)
        };

        assert_eq!(complaint(7, 7), None);
        // Away for long, and the log went on meanwhile.
        assert_eq!(complaint(9, 7), None);
        let why = complaint(9, 7).expect("it stands still");
        assert!(why.contains("before event 8"), "{why}");
        assert_eq!(complaint(9, 8), None, "it moved");
        assert_eq!(complaint(9, 9), None);
        assert_eq!(complaint(9, 9), None, "there is nothing to do");
    }
}
