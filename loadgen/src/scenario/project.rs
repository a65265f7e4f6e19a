//! How fast a projection follows the log: its own metrics, read until it stands still.

use std::time::{Duration, Instant};

use clap::Args;
use tokio::time::sleep;
use url::Url;

use crate::Failed;
use crate::client::{Http, address, get};
use crate::process::Process;

/// Between looks.
const LOOK: Duration = Duration::from_millis(50);
/// Standing still for this long is having caught up.
const STILL: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(crate) struct Project {
    /// Where the projection's metrics are; it may still be starting
    #[arg(long)]
    metrics: Url,
    /// Which projection: seller or buyer
    #[arg(long, default_value = "buyer")]
    projection: String,
}

impl Project {
    pub(crate) async fn run(self) -> Result<(), Failed> {
        let at = address(&self.metrics)?;
        let mut http = loop {
            match Http::open(at).await {
                Ok(http) => break http,
                Err(_) => sleep(LOOK).await,
            }
        };
        let process = Process::listening_on(at.port())?;
        let name = format!("dealwire_projection_events_total{{projection=\"{}\"}} ", self.projection);
        let request = get(&self.metrics);
        let mut applied = async || -> Result<u64, Failed> {
            let text = std::str::from_utf8(http.call(&request).await?)?;
            let line = text.lines().find_map(|line| line.strip_prefix(name.as_str()));
            Ok(line.and_then(|count| count.trim().parse().ok()).unwrap_or(0))
        };
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
