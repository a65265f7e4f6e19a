//! A backlog that paused endpoints have collected, from when they are called again until the last of it has come.

use clap::Args;

use super::Bench;
use super::changes::Changes;
use super::endpoints::{Endpoints, Owners};
use super::receiver::Manner;
use crate::compare::{Meter, repeat};
use crate::report::Run;
use crate::{Failed, report};

#[derive(Args)]
pub(crate) struct Drain {
    /// Deliveries that are collected, over all endpoints
    #[arg(long, default_value_t = 20_000)]
    backlog: u64,
    /// Endpoints that collect them
    #[arg(long, default_value_t = 10)]
    endpoints: usize,
}

impl Drain {
    pub(super) async fn run(self, bench: &Bench<'_>) -> Result<(), Failed> {
        let owners = Owners::of(bench.target, self.endpoints).await?;
        let runs = repeat(bench.target.compare, async || {
            self.drain(bench, &owners).await
        })
        .await?;
        let what = format!(
            "webhooks: {} deliveries collected at {} paused endpoint(s), then called; latency is from then on",
            self.backlog, self.endpoints
        );
        report::print(&what, &runs, None);
        Ok(())
    }

    async fn drain(&self, bench: &Bench<'_>, owners: &Owners) -> Result<Run, Failed> {
        let manners = vec![Manner::Answers; self.endpoints];
        let endpoints = Endpoints::register(bench.target, owners, &manners).await?;
        endpoints.pause(true).await?;
        let (begun, projection) = (endpoints.receiver.begun(), bench.projection()?);
        let changes = Changes::Count(self.backlog.div_ceil(self.endpoints.max(1) as u64));
        let made = changes.make(bench.target, begun).await?;
        let collected = endpoints
            .settled(|_, counts| counts.pending >= made.changes)
            .await?;
        let early = endpoints.receiver.answered();

        let meter = Meter::start(bench.dispatcher)?;
        let from = begun.elapsed().as_micros() as u64;
        endpoints.pause(false).await?;
        let (counts, mut run) = bench
            .take_all(&endpoints, meter, made, self.endpoints, Some(from))
            .await?;
        projection.tell(bench, &mut run)?;
        let short: u64 = collected
            .iter()
            .map(|counts| made.changes.saturating_sub(counts.pending))
            .sum();
        run.faults
            .push(("deliveries that were not collected", short));
        run.faults.push(("calls to paused endpoints", early));
        run.faults
            .extend(endpoints.end(made.changes, run.count, &counts).await?);
        Ok(run)
    }
}
