//! Runs that alternate between Dealwire and its limit, so that a noisy moment hits both.

use std::time::{Duration, Instant};

use crate::Failed;
use crate::process::Process;
use crate::report::{Latencies, Run, Runs};

/// Runs one after the other, `times` each.
pub(crate) async fn alternate(
    times: u32,
    dealwire: impl AsyncFn() -> Result<Run, Failed>,
    limit: Option<(&str, impl AsyncFn() -> Result<Run, Failed>)>,
) -> Result<(Runs, Option<Runs>), Failed> {
    let mut ours = Runs { name: "dealwire".to_owned(), runs: Vec::new() };
    let mut bare = limit.as_ref().map(|(name, _)| Runs { name: format!("limit {name}"), runs: Vec::new() });
    for _ in 0..times.max(1) {
        ours.runs.push(dealwire().await?);
        if let (Some((_, run)), Some(bare)) = (&limit, &mut bare) {
            bare.runs.push(run().await?);
        }
    }
    Ok((ours, bare))
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
        Ok(Self { server, begun: Instant::now(), server_cpu, client_cpu })
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
            faults,
        })
    }
}
