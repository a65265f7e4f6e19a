//! What endpoints that never answer cost those that do.

use clap::Args;

use super::Bench;
use super::changes::Changes;
use super::endpoints::{Endpoints, Owners};
use super::receiver::Manner;
use crate::compare::alternate;
use crate::{Failed, report};

#[derive(Args)]
pub(crate) struct Hanging {
    /// Endpoints, each of which is called for every change
    #[arg(long, default_value_t = 50)]
    endpoints: usize,
    /// How many of them hang in every other run; the latencies of both runs are those of the rest
    #[arg(long, default_value_t = 10)]
    hanging: usize,
    /// Changes a second
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    /// Length of a run. A call is given up after 15 s, so that a longer one holds that too
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

impl Hanging {
    pub(super) async fn run(self, bench: &Bench<'_>) -> Result<(), Failed> {
        let Self {
            endpoints,
            hanging,
            rate,
            seconds,
        } = self;
        let (owners, changes) = (
            Owners::of(bench.target, endpoints).await?,
            Changes::Paced { rate, seconds },
        );
        let healthy = endpoints
            .checked_sub(hanging)
            .ok_or("more endpoints hang than there are")?;
        let deliver = async |others: Manner| {
            let mut manners = vec![Manner::Answers; healthy];
            manners.resize(endpoints, others);
            let all = Endpoints::register(bench.target, &owners, &manners).await?;
            bench.watch(&all, changes, healthy).await
        };
        let clean = ("all answer", async || deliver(Manner::Answers).await);
        let beside = ("some hang", async || deliver(Manner::Hangs).await);
        let (clean, beside) = alternate(bench.target.compare, clean, beside).await?;
        let what = format!(
            "webhooks: {changes}, each to {endpoints} endpoints, of whom {hanging} hang or none; latencies of the other {healthy}"
        );
        report::print_beside(&what, &clean, &beside);
        Ok(())
    }
}
