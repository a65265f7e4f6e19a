//! Dead endpoints: what deliveries that wait for them cost an endpoint that answers.
//!
//! The dead endpoints belong to buyers of another seller, so that the measured changes are
//! delivered only to the endpoint that answers. Their deliveries cannot be taken away between runs,
//! so all runs without them come first.

use clap::Args;

use super::Bench;
use super::endpoints::{Endpoints, Owners};
use super::receiver::Behaviour;
use super::workload::{Produced, Workload};
use crate::compare::alternate;
use crate::error::BoxError;
use crate::report;
use crate::report::Runs;
use crate::target::Target;

#[derive(Args)]
pub(crate) struct Dead {
    /// Number of deliveries that are pending, over all dead endpoints
    #[arg(long, default_value_t = 200_000)]
    pending: u64,
    /// Number of endpoints that refuse connections; with more of them, fewer changes make up the
    /// pending deliveries
    #[arg(long, default_value_t = 20)]
    endpoints: usize,
    /// Changes per second for the endpoint that answers; it is also measured with as many as 32
    /// connections can make
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Time for which changes are made in a run, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// Market of the dead endpoints: a seller, and buyers who own the endpoints.
struct DeadMarket {
    /// Target whose seller makes the changes for the dead endpoints.
    target: Target,
    owners: Owners,
}

impl Dead {
    pub(super) async fn run(self, bench: &Bench<'_>) -> Result<(), BoxError> {
        let rate = self.rate;
        let seconds = self.seconds;
        let workloads = [
            Workload::Paced { rate, seconds },
            Workload::Timed { seconds },
        ];
        let owners = Owners::of_target(bench.target, 1).await?;
        let market = self.dead_market(bench.target).await?;

        // The order is fixed: deliveries to dead endpoints stay pending long after the runs, so
        // nothing can be measured alone after them. That is also why alone and beside do not
        // alternate.
        let alone = measure(bench, &owners, "alone", workloads).await?;
        let (dead, backlog) = self.make_backlog(&market).await?;
        let mut beside = measure(bench, &owners, "beside the dead", workloads).await?;

        let counts = dead.counts().await?;
        let pending: u64 = counts.iter().map(|counts| counts.pending).sum();

        // The dead endpoints stay registered until all runs beside them are over. Their faults
        // belong to no run in particular and are reported with the last.
        let faults = dead.delete_and_check(backlog.changes, 0, &counts).await?;
        let last = beside[1]
            .runs
            .last_mut()
            .expect("every workload runs at least once");
        last.faults.extend(faults);

        for ((alone, beside), workload) in alone.iter().zip(&beside).zip(workloads) {
            let title = format!(
                "webhooks: {workload} to 1 endpoint, \
                 alone and beside {} dead ones with {pending} pending deliveries",
                self.endpoints
            );
            report::print_beside(&title, alone, beside);
        }
        Ok(())
    }

    async fn dead_market(&self, target: &Target) -> Result<DeadMarket, BoxError> {
        let admin = target.admin()?;
        let seller = admin
            .create_seller("loadgen seller of dead endpoints")
            .await?;
        let owners =
            Owners::create(&admin, "loadgen dead endpoints", self.endpoints, seller).await?;

        let target = Target {
            seller_key: admin.issue_key(seller).await?,
            ..target.clone()
        };
        Ok(DeadMarket { target, owners })
    }

    /// Registers the dead endpoints, and makes changes until their deliveries are pending.
    async fn make_backlog<'a>(
        &self,
        market: &'a DeadMarket,
    ) -> Result<(Endpoints<'a>, Produced), BoxError> {
        let behaviours = vec![Behaviour::Refuses; self.endpoints];
        let dead = Endpoints::register(&market.target, &market.owners, &behaviours).await?;

        let per_endpoint = self.pending.div_ceil(self.endpoints.max(1) as u64);
        let produced = Workload::Count(per_endpoint)
            .produce(&market.target, dead.receiver.started())
            .await?;

        // The projection writes the deliveries after the changes are acknowledged. A run that began
        // before it is done would also measure the projection's backlog.
        dead.wait_for_counts(|_, counts| counts.owed >= produced.changes)
            .await?;
        Ok((dead, produced))
    }
}

/// Measures the endpoint that answers with both workloads, in turns.
async fn measure(
    bench: &Bench<'_>,
    owners: &Owners,
    name: &str,
    workloads: [Workload; 2],
) -> Result<[Runs; 2], BoxError> {
    let measure_once = async |workload: Workload| {
        let endpoint = Endpoints::register(bench.target, owners, &[Behaviour::Answers]).await?;
        bench.measure(&endpoint, workload, 1).await
    };

    let [paced, fast] =
        workloads.map(|workload| (name, async move || measure_once(workload).await));
    let (paced, fast) = alternate(bench.target.compare, paced, fast).await?;
    Ok([paced, fast])
}
