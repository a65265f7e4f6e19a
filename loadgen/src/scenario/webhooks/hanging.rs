//! Hanging endpoints: what endpoints that never answer cost those that do.

use clap::Args;

use super::Bench;
use super::endpoints::{Endpoints, Owners};
use super::receiver::Behaviour;
use super::workload::Workload;
use crate::compare::alternate;
use crate::error::BoxError;
use crate::report;

#[derive(Args)]
pub(crate) struct Hanging {
    /// Number of endpoints, each of which is called for every change
    #[arg(long, default_value_t = 50)]
    endpoints: usize,
    /// Number of endpoints that hang in every other run; the latencies of all runs are those of the
    /// remaining endpoints
    #[arg(long, default_value_t = 10)]
    hanging: usize,
    /// Changes per second
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    /// Length of a run, in seconds. The dispatcher gives up a call after 15 s; a longer run
    /// includes what follows from that
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

impl Hanging {
    pub(super) async fn run(self, bench: &Bench<'_>) -> Result<(), BoxError> {
        let Self {
            endpoints,
            hanging,
            rate,
            seconds,
        } = self;
        let healthy = endpoints.checked_sub(hanging).ok_or_else(|| {
            format!("--hanging must be at most --endpoints ({endpoints}), got {hanging}")
        })?;
        let owners = Owners::of_target(bench.target, endpoints).await?;
        let workload = Workload::Paced { rate, seconds };

        // Both kinds of run have equally many endpoints, and only the behaviour of the last few
        // differs. Latencies are taken at the same endpoints in both, since those of hanging ones
        // would never end.
        let measure = async |others: Behaviour| {
            let mut behaviours = vec![Behaviour::Answers; healthy];
            behaviours.resize(endpoints, others);
            let registered = Endpoints::register(bench.target, &owners, &behaviours).await?;
            bench.measure(&registered, workload, healthy).await
        };
        let clean = ("all answer", async || measure(Behaviour::Answers).await);
        let beside = ("some hang", async || measure(Behaviour::Hangs).await);
        let (clean, beside) = alternate(bench.target.compare, clean, beside).await?;

        let title = format!(
            "webhooks: {workload}, each to {endpoints} endpoints, of which {hanging} or none hang; \
             latencies of the other {healthy}"
        );
        report::print_beside(&title, &clean, &beside);
        Ok(())
    }
}
