//! Speed of a projection: its metrics are read until it has caught up with the log.

use std::time::{Duration, Instant};

use clap::Args;
use tokio::time::sleep;

use crate::client::address;
use crate::error::BoxError;
use crate::metrics::Metrics;
use crate::process::Process;
use crate::report::micros_per_operation;
use crate::target::Target;

/// Time between two reads of the metrics; it bounds the error of the measured duration.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Time without progress after which the projection counts as caught up.
const CAUGHT_UP_AFTER: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(crate) struct Project {
    /// Name of the projection: seller or buyer
    #[arg(long, default_value = "buyer")]
    projection: String,
}

/// State of the projection's process at one moment.
#[derive(Clone, Copy)]
struct Sample {
    events: u64,
    at: Instant,
    cpu: Duration,
}

impl Project {
    pub(crate) async fn run(self, target: &Target) -> Result<(), BoxError> {
        let url = target.metrics_url();
        let mut metrics = connect(target).await;
        let process = Process::listening_on(address(&url)?.port())?;

        let metric = format!(
            "dealwire_projection_events_total{{projection=\"{}\"}}",
            self.projection
        );
        let mut sample = async || {
            let [events] = metrics.read([metric.as_str()]).await?;
            Ok::<_, BoxError>(Sample {
                events,
                at: Instant::now(),
                cpu: process.cpu_time()?,
            })
        };

        // The measurement begins with the first events applied: the start of the process is not the
        // projection's speed.
        let mut first = sample().await?;
        while first.events == 0 {
            sleep(POLL_INTERVAL).await;
            first = sample().await?;
        }

        // The last sample with progress ends the measurement, so that the wait which shows that no
        // more follows is not part of it.
        let mut last = first;
        while last.at.elapsed() < CAUGHT_UP_AFTER {
            let now = sample().await?;
            if now.events > last.events {
                last = now;
            }
            sleep(POLL_INTERVAL).await;
        }

        self.print(first, last);
        Ok(())
    }

    fn print(&self, first: Sample, last: Sample) {
        let events = last.events - first.events;
        let seconds = (last.at - first.at).as_secs_f64();

        // Without progress there is no duration to divide by.
        if events == 0 {
            return println!(
                "{} projection: no new events; it had caught up before the measurement began",
                self.projection
            );
        }

        println!(
            "{} projection: {events} events in {seconds:.2} s: {:.0} events/s, \
             {:.1} µs of CPU per event",
            self.projection,
            events as f64 / seconds,
            micros_per_operation(last.cpu - first.cpu, events),
        );
    }
}

/// Connects to the metrics, and tries again until that succeeds: the process may still be starting,
/// and waiting until it is ready would miss the beginning of its work.
async fn connect(target: &Target) -> Metrics {
    let url = target.metrics_url();

    loop {
        match Metrics::open(&url).await {
            Ok(metrics) => return metrics,
            Err(_) => sleep(POLL_INTERVAL).await,
        }
    }
}
