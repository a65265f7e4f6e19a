//! Changes, each to every endpoint: how long a delivery takes at a rate, or how many can be had.

use clap::Args;

use super::Bench;
use super::changes::Changes;
use super::endpoints::{Endpoints, Owners};
use super::receiver::Manner;
use crate::compare::repeat;
use crate::{Failed, report};

#[derive(Args)]
pub(crate) struct Steady {
    /// Changes a second; without it as fast as 32 connections can make them
    #[arg(long)]
    rate: Option<f64>,
    /// Endpoints, each of which is called for every change
    #[arg(long, default_value_t = 1)]
    endpoints: usize,
    /// How long changes are made; a run ends with the last delivery
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

impl Steady {
    pub(super) async fn run(self, bench: &Bench<'_>) -> Result<(), Failed> {
        let Self {
            rate,
            endpoints,
            seconds,
        } = self;
        let changes = match rate {
            Some(rate) => Changes::Paced { rate, seconds },
            None => Changes::For { seconds },
        };
        let owners = Owners::of(bench.target, endpoints).await?;
        let deliver = async || {
            let all = Endpoints::register(bench.target, &owners, &vec![Manner::Answers; endpoints])
                .await?;
            bench.watch(&all, changes, endpoints).await
        };
        let runs = repeat(bench.target.compare, deliver).await?;
        let what = format!(
            "webhooks: {changes}, each to {endpoints} endpoint(s); an operation is a delivery, the server the dispatcher"
        );
        report::print(&what, &runs, None);
        Ok(())
    }
}
