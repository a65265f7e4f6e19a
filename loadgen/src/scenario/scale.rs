//! Growth: what a page and a deal cost in a table of a thousand deals, and of a million.

mod deal_table;

use std::sync::Arc;

use clap::Args;
use uuid::Uuid;

use super::Server;
use super::request_load::RequestLoad;
use crate::catalogue::Catalogue;
use crate::error::BoxError;
use crate::report;
use crate::report::{Run, Runs};
use crate::target::Target;
use deal_table::DealTable;

/// Number of deals that are queried by id in a run, chosen at random.
const SAMPLE: usize = 8_192;

#[derive(Args)]
pub(crate) struct Scale {
    /// Numbers of deals that the buyer sees, ascending. The first are created through Dealwire, and
    /// the others are copies that are written into the buyer's table directly and removed
    /// afterwards: use a market that was made for measuring
    #[arg(
        long,
        value_delimiter = ',',
        default_values_t = [1_000, 10_000, 100_000, 1_000_000]
    )]
    deals: Vec<usize>,
    #[command(flatten)]
    load: RequestLoad,
}

/// Runs with one number of deals.
struct Step {
    deals: usize,
    pages: Runs,
    deals_by_id: Runs,
}

impl Scale {
    pub(crate) async fn run(self, target: &Target) -> Result<(), BoxError> {
        let database = target.database.as_deref().ok_or(
            "this scenario writes deals into the buyer's table; \
             pass --database (or set DEALWIRE_BUYER_DATABASE_URL)",
        )?;
        // The demo's seller must not have a million deals afterwards, so accounts of our own are
        // needed.
        target.admin()?;

        let fewest = *self.deals.first().ok_or("--deals must name a number")?;
        let catalogue = target.catalogue("scale", fewest, 1).await?;
        let seller = catalogue.target.seller().await?;
        let table = DealTable::open(database, seller).await?;

        // The copies are removed whatever became of the runs: they are in no log, and the scenarios
        // that follow would read them.
        let steps = self.measure(&catalogue, &table).await;
        table.remove_copies().await?;

        self.print(&steps?, table.others().await?);
        Ok(())
    }

    async fn measure(
        &self,
        catalogue: &Catalogue,
        table: &DealTable,
    ) -> Result<Vec<Step>, BoxError> {
        let mut steps: Vec<Step> = self.deals.iter().copied().map(Step::new).collect();

        // All sizes in turns rather than all runs of one size first: a neighbour who is busy for a
        // minute then slows runs of all sizes.
        for _ in 0..catalogue.target.compare.max(1) {
            table.remove_copies().await?;
            for step in &mut steps {
                table.grow_to(step.deals).await?;
                self.measure_step(&catalogue.target, table, step).await?;
            }
        }

        Ok(steps)
    }

    async fn measure_step(
        &self,
        target: &Target,
        table: &DealTable,
        step: &mut Step,
    ) -> Result<(), BoxError> {
        let page = || Arc::new(vec![target.page_request(true)]);
        let pages = self.run_requests(target, page(), page()).await?;
        step.pages.runs.push(pages);

        // The warm-up reads other deals: those that it reads are in the gateway's memory and in
        // PostgreSQL's afterwards, as most of a million deals are not.
        let warm_up = deal_requests(target, &table.sample(SAMPLE).await?);
        let requests = deal_requests(target, &table.sample(SAMPLE).await?);
        let deals_by_id = self.run_requests(target, warm_up, requests).await?;
        step.deals_by_id.runs.push(deals_by_id);

        Ok(())
    }

    /// Measures requests, over which the connections rotate, after a warm-up with others.
    async fn run_requests(
        &self,
        target: &Target,
        warm_up: Arc<Vec<Vec<u8>>>,
        requests: Arc<Vec<Vec<u8>>>,
    ) -> Result<Run, BoxError> {
        let connections = self.load.connections;
        let rotate = |requests: Arc<Vec<Vec<u8>>>| {
            move |connection: usize, number: u64| {
                let index = number as usize * connections + connection;
                requests[index % requests.len()].clone()
            }
        };

        // The table has just been rewritten, so every connection of the gateway must prepare its
        // statements again. The first requests would pay for that.
        let server = Server::at(&target.url)?;
        self.load.warm_up(&server, rotate(warm_up)).await?;
        self.load.run_dealwire(target, rotate(requests)).await
    }

    fn print(&self, steps: &[Step], others: u64) {
        let load = self.load;
        let beside = format!("beside {others} deals of others, {load}");

        let pages: Vec<&Runs> = steps.iter().map(|step| &step.pages).collect();
        report::print_growth(&format!("first 20 deals, {beside}"), &pages);

        let deals_by_id: Vec<&Runs> = steps.iter().map(|step| &step.deals_by_id).collect();
        report::print_growth(&format!("one deal by its id, {beside}"), &deals_by_id);
    }
}

impl Step {
    fn new(deals: usize) -> Self {
        let name = format!("of {deals}");

        Self {
            deals,
            pages: Runs::named(&name),
            deals_by_id: Runs::named(&name),
        }
    }
}

fn deal_requests(target: &Target, deals: &[Uuid]) -> Arc<Vec<Vec<u8>>> {
    let requests = deals.iter().map(|deal| target.deal_request(*deal, None));
    Arc::new(requests.collect())
}
