//! Steady deliveries: how long one takes at a given rate, or how many are possible per second.

use clap::Args;

use super::Bench;
use super::endpoints::{Endpoints, Owners};
use super::receiver::Behaviour;
use super::workload::Workload;
use crate::compare::repeat;
use crate::error::BoxError;
use crate::report;

#[derive(Args)]
pub(crate) struct Steady {
    /// Changes per second; without it, as many as 32 connections can make
    #[arg(long)]
    rate: Option<f64>,
    /// Number of endpoints, each of which is called for every change
    #[arg(long, default_value_t = 1)]
    endpoints: usize,
    /// Time for which changes are made, in seconds; a run ends with the last delivery
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

impl Steady {
    pub(super) async fn run(self, bench: &Bench<'_>) -> Result<(), BoxError> {
        let Self {
            rate,
            endpoints,
            seconds,
        } = self;
        let workload = match rate {
            Some(rate) => Workload::Paced { rate, seconds },
            None => Workload::Timed { seconds },
        };
        let owners = Owners::of_target(bench.target, endpoints).await?;

        // Each run registers new endpoints, whose counts start at zero and can be checked exactly.
        let measure = async || {
            let behaviours = vec![Behaviour::Answers; endpoints];
            let registered = Endpoints::register(bench.target, &owners, &behaviours).await?;
            bench.measure(&registered, workload, endpoints).await
        };
        let runs = repeat(bench.target.compare, measure).await?;

        let title = format!(
            "webhooks: {workload}, each to {endpoints} endpoint(s); \
             an operation is a delivery, the server the dispatcher"
        );
        report::print(&title, &runs, None);
        Ok(())
    }
}
