//! Backlog of paused endpoints: measured from when they are called again until the last delivery
//! has arrived.

use clap::Args;

use super::endpoints::{Endpoints, Owners};
use super::receiver::Behaviour;
use super::workload::Workload;
use super::{Bench, ProjectionMeter};
use crate::compare::{Meter, repeat};
use crate::error::BoxError;
use crate::report;
use crate::report::Run;

#[derive(Args)]
pub(crate) struct Drain {
    /// Number of deliveries that are collected, over all endpoints
    #[arg(long, default_value_t = 20_000)]
    backlog: u64,
    /// Number of endpoints that collect them
    #[arg(long, default_value_t = 10)]
    endpoints: usize,
}

impl Drain {
    pub(super) async fn run(self, bench: &Bench<'_>) -> Result<(), BoxError> {
        let owners = Owners::of_target(bench.target, self.endpoints).await?;
        let measure = async || self.measure(bench, &owners).await;
        let runs = repeat(bench.target.compare, measure).await?;

        let title = format!(
            "webhooks: {} deliveries collected at {} paused endpoint(s), then called; \
             latency is from then on",
            self.backlog, self.endpoints
        );
        report::print(&title, &runs, None);
        Ok(())
    }

    async fn measure(&self, bench: &Bench<'_>, owners: &Owners) -> Result<Run, BoxError> {
        let behaviours = vec![Behaviour::Answers; self.endpoints];
        let endpoints = Endpoints::register(bench.target, owners, &behaviours).await?;
        endpoints.set_paused(true).await?;

        // The projection does its part while the backlog is collected, the dispatcher after that:
        // each meter starts with the work that it measures.
        let started = endpoints.receiver.started();
        let projection = ProjectionMeter::start(bench.projection)?;
        let per_endpoint = self.backlog.div_ceil(self.endpoints.max(1) as u64);
        let produced = Workload::Count(per_endpoint)
            .produce(bench.target, started)
            .await?;
        let collected = endpoints
            .wait_for_counts(|_, counts| counts.pending >= produced.changes)
            .await?;
        // A call that was under way when its endpoint was paused may still arrive; there was none
        // before the first change, so every call so far is a fault.
        let premature = endpoints.receiver.answered();

        let meter = Meter::start(bench.dispatcher)?;
        let resumed_micros = started.elapsed().as_micros() as u64;
        endpoints.set_paused(false).await?;
        let (counts, mut run) = bench
            .collect(
                &endpoints,
                meter,
                produced,
                self.endpoints,
                Some(resumed_micros),
            )
            .await?;

        projection.report(bench, &mut run)?;
        let uncollected: u64 = collected
            .iter()
            .map(|counts| produced.changes.saturating_sub(counts.pending))
            .sum();
        run.faults
            .push(("deliveries that were not collected", uncollected));
        run.faults.push(("calls to paused endpoints", premature));
        let faults = endpoints
            .delete_and_check(produced.changes, run.count, &counts)
            .await?;
        run.faults.extend(faults);
        Ok(run)
    }
}
