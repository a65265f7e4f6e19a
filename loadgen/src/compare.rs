//! Runs that alternate between Dealwire and its limit, or between two conditions of Dealwire, so that a noisy moment
//! hits both.

use std::time::{Duration, Instant};

use crate::Failed;
use crate::process::Process;
use crate::report::{Latencies, Run, Runs};

/// Runs Dealwire and its limit, where there is one, in turns.
pub(crate) async fn with_limit(
    times: u32,
    dealwire: impl AsyncFn() -> Result<Run, Failed>,
    limit: Option<(&str, impl AsyncFn() -> Result<Run, Failed>)>,
) -> Result<(Runs, Option<Runs>), Failed> {
    let Some((name, limit)) = limit else {
        return Ok((repeat(times, dealwire).await?, None));
    };
    let (ours, bare) = alternate(
        times,
        ("dealwire", dealwire),
        (&format!("limit {name}"), limit),
    )
    .await?;
    Ok((ours, Some(bare)))
}

/// Runs Dealwire alone.
pub(crate) async fn repeat(
    times: u32,
    dealwire: impl AsyncFn() -> Result<Run, Failed>,
) -> Result<Runs, Failed> {
    let mut ours = Runs::named("dealwire");
    for _ in 0..times.max(1) {
        ours.runs.push(dealwire().await?);
    }
    Ok(ours)
}

/// Runs one and the other in turns, `times` each.
pub(crate) async fn alternate(
    times: u32,
    (one, run_one): (&str, impl AsyncFn() -> Result<Run, Failed>),
    (other, run_other): (&str, impl AsyncFn() -> Result<Run, Failed>),
) -> Result<(Runs, Runs), Failed> {
    let (mut ones, mut others) = (Runs::named(one), Runs::named(other));
    for _ in 0..times.max(1) {
        ones.runs.push(run_one().await?);
        others.runs.push(run_other().await?);
    }
    Ok((ones, others))
}

/// What two processes use from here on.
pub(crate) struct Meter {
    server: Process,
    begun: Instant,
    server_cpu: Duration,
    client_cpu: Duration,
}

impl Meter {
    pub(crate) fn start(server: Process) -> Result<Self, Failed> {
        let (server_cpu, client_cpu) = (server.cpu()?, Process::own().cpu()?);
        Ok(Self {
            server,
            begun: Instant::now(),
            server_cpu,
            client_cpu,
        })
    }

    pub(crate) fn stop(
        self,
        count: u64,
        latencies: Latencies,
        faults: Vec<(&'static str, u64)>,
    ) -> Result<Run, Failed> {
        Ok(Run {
            count,
            wall: self.begun.elapsed(),
            server_cpu: self.server.cpu()? - self.server_cpu,
            client_cpu: Process::own().cpu()? - self.client_cpu,
            resident: self.server.resident()?,
            latencies,
            figures: Vec::new(),
            faults,
        })
    }
}
