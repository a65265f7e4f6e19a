//! What deliveries that wait for dead endpoints cost an endpoint that answers.
//!
//! The dead ones belong to buyers of another seller, so that a change that is measured is owed to the one that answers
//! alone. Their deliveries cannot be taken away between runs, so all runs without them come first.

use clap::Args;

use super::Bench;
use super::changes::Changes;
use super::endpoints::{Endpoints, Owners};
use super::receiver::Manner;
use crate::compare::alternate;
use crate::report::Runs;
use crate::{Failed, Target, report};

#[derive(Args)]
pub(crate) struct Dead {
    /// Deliveries that are pending, over all dead endpoints
    #[arg(long, default_value_t = 200_000)]
    pending: u64,
    /// Endpoints that refuse connections; the more, the fewer changes it takes
    #[arg(long, default_value_t = 20)]
    endpoints: usize,
    /// Changes a second for the one that answers; it is also given as many as 32 connections can make
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// How long changes are made in a run
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

impl Dead {
    pub(super) async fn run(self, bench: &Bench<'_>) -> Result<(), Failed> {
        let Self {
            pending,
            endpoints,
            rate,
            seconds,
        } = self;
        let paces = [Changes::Paced { rate, seconds }, Changes::For { seconds }];
        let admin = bench.target.admin()?;
        let owners = Owners::of(bench.target, 1).await?;
        let seller = admin.seller("loadgen seller to the dead").await?;
        let dead_owners =
            Owners::named(&admin, "loadgen dead endpoints", endpoints, seller).await?;
        let seller = Target {
            seller_key: admin.key(seller).await?,
            ..bench.target.clone()
        };

        let alone = self.measure(bench, &owners, "alone", paces).await?;
        let dead = Endpoints::register(
            bench.target,
            &dead_owners,
            &vec![Manner::Refuses; endpoints],
        )
        .await?;
        let backlog = Changes::Count(pending.div_ceil(endpoints.max(1) as u64));
        let made = backlog.make(&seller, dead.receiver.begun()).await?;
        dead.settled(|_, counts| counts.owed >= made.changes)
            .await?;
        let mut beside = self
            .measure(bench, &owners, "beside the dead", paces)
            .await?;
        let counts = dead.counts().await?;
        let left: u64 = counts.iter().map(|counts| counts.pending).sum();

        let last = beside[1].runs.last_mut().ok_or("nothing was run")?;
        last.faults
            .extend(dead.end(made.changes, 0, &counts).await?);
        for ((alone, beside), changes) in alone.iter().zip(&beside).zip(paces) {
            let what = format!(
                "webhooks: {changes} to 1 endpoint, alone and beside {endpoints} dead ones, to whom {left} are pending"
            );
            report::print_beside(&what, alone, beside);
        }
        Ok(())
    }

    /// The endpoint that answers, at both paces in turns.
    async fn measure(
        &self,
        bench: &Bench<'_>,
        owners: &Owners,
        name: &str,
        paces: [Changes; 2],
    ) -> Result<[Runs; 2], Failed> {
        let deliver = async |changes: Changes| {
            let one = Endpoints::register(bench.target, owners, &[Manner::Answers]).await?;
            bench.watch(&one, changes, 1).await
        };
        let [paced, fast] = paces.map(|changes| (name, async move || deliver(changes).await));
        let (paced, fast) = alternate(bench.target.compare, paced, fast).await?;
        Ok([paced, fast])
    }
}
