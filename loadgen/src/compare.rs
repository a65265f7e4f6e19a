//! Runs that alternate between Dealwire and its limit, or between two conditions of Dealwire, so
//! that a disturbance of the machine affects both alike.

use std::time::{Duration, Instant};

use crate::error::BoxError;
use crate::process::Process;
use crate::report::{Latencies, Run, Runs};

/// Alternates runs of Dealwire and of its limit. Without a limit, Dealwire runs alone.
pub(crate) async fn alternate_with_limit(
    times: u32,
    dealwire: impl AsyncFn() -> Result<Run, BoxError>,
    limit: Option<(&str, impl AsyncFn() -> Result<Run, BoxError>)>,
) -> Result<(Runs, Option<Runs>), BoxError> {
    let Some((name, limit)) = limit else {
        return Ok((repeat(times, dealwire).await?, None));
    };

    let limit_name = format!("limit {name}");
    let (dealwire, limit) = alternate(times, ("dealwire", dealwire), (&limit_name, limit)).await?;
    Ok((dealwire, Some(limit)))
}

/// Runs Dealwire alone, `times` times and at least once.
pub(crate) async fn repeat(
    times: u32,
    dealwire: impl AsyncFn() -> Result<Run, BoxError>,
) -> Result<Runs, BoxError> {
    let mut runs = Runs::named("dealwire");

    for _ in 0..times.max(1) {
        runs.runs.push(dealwire().await?);
    }

    Ok(runs)
}

/// Alternates two kinds of runs, `times` each and at least once.
pub(crate) async fn alternate(
    times: u32,
    (first_name, run_first): (&str, impl AsyncFn() -> Result<Run, BoxError>),
    (second_name, run_second): (&str, impl AsyncFn() -> Result<Run, BoxError>),
) -> Result<(Runs, Runs), BoxError> {
    let mut first = Runs::named(first_name);
    let mut second = Runs::named(second_name);

    // In turns rather than all of one kind first: a neighbour who is busy for a minute then slows
    // runs of both kinds, and the ratio of the medians barely moves.
    for _ in 0..times.max(1) {
        first.runs.push(run_first().await?);
        second.runs.push(run_second().await?);
    }

    Ok((first, second))
}

/// Measurement in progress: what the server and loadgen had used when it started.
pub(crate) struct Meter {
    server: Process,
    started: Instant,
    server_cpu: Duration,
    client_cpu: Duration,
}

impl Meter {
    pub(crate) fn start(server: Process) -> Result<Self, BoxError> {
        // Reading /proc takes some microseconds, so the clock is read last here and first in
        // `stop`: neither read is part of the measured time.
        let server_cpu = server.cpu_time()?;
        let client_cpu = Process::current().cpu_time()?;

        Ok(Self {
            server,
            started: Instant::now(),
            server_cpu,
            client_cpu,
        })
    }

    /// Ends the measurement of `count` operations.
    pub(crate) fn stop(
        self,
        count: u64,
        latencies: Latencies,
        faults: Vec<(&'static str, u64)>,
    ) -> Result<Run, BoxError> {
        Ok(Run {
            count,
            wall: self.started.elapsed(),
            server_cpu: self.server.cpu_time()? - self.server_cpu,
            client_cpu: Process::current().cpu_time()? - self.client_cpu,
            resident: self.server.resident_bytes()?,
            latencies,
            figures: Vec::new(),
            faults,
        })
    }
}
