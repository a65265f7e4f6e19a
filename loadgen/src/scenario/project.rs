//! How fast a projection follows the log: its own metrics, read until it stands still.

use std::time::{Duration, Instant};

use clap::Args;
use tokio::time::sleep;

use crate::client::address;
use crate::metrics::Metrics;
use crate::process::Process;
use crate::{Failed, Target};

/// Between looks.
const LOOK: Duration = Duration::from_millis(50);
/// Standing still for this long is having caught up.
const STILL: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(crate) struct Project {
    /// Which projection: seller or buyer
    #[arg(long, default_value = "buyer")]
    projection: String,
}

impl Project {
    /// The process that has the metrics may still be starting.
    pub(crate) async fn run(self, target: &Target) -> Result<(), Failed> {
        let url = target.metrics();
        let mut metrics = loop {
            match Metrics::open(&url).await {
                Ok(metrics) => break metrics,
                Err(_) => sleep(LOOK).await,
            }
        };
        let process = Process::listening_on(address(&url)?.port())?;
        let name = format!(
            "dealwire_projection_events_total{{projection=\"{}\"}}",
            self.projection
        );
        let mut applied = async || metrics.read([name.as_str()]).await.map(|[applied]| applied);
        let first = loop {
            match applied().await? {
                0 => sleep(LOOK).await,
                some => break some,
            }
        };
        let (begun, cpu) = (Instant::now(), process.cpu()?);
        let (mut last, mut moved, mut used) = (first, begun, cpu);
        while moved.elapsed() < STILL {
            let now = applied().await?;
            if now > last {
                (last, moved, used) = (now, Instant::now(), process.cpu()?);
            }
            sleep(LOOK).await;
        }
        let (events, wall, cpu) = ((last - first) as f64, moved - begun, used - cpu);
        println!(
            "{} projection: {events} events in {:.2} s: {:.0} events/s, {:.1} µs of CPU an event",
            self.projection,
            wall.as_secs_f64(),
            events / wall.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / events.max(1.0),
        );
        Ok(())
    }
}
