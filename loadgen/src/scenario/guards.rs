//! Guards of the front door: what the limits on callers cost the requests that they let through,
//! and what hostile requests cost good ones.

mod hostile;

use std::sync::Arc;

use clap::{Args, Subcommand};
use url::Url;

use super::Server;
use super::request_load::RequestLoad;
use crate::catalogue::Catalogue;
use crate::compare::alternate;
use crate::error::BoxError;
use crate::report;
use crate::report::Run;
use crate::requests::Renames;
use crate::target::Target;
use hostile::HostileLoad;

/// Number of deals that the buyer sees, and that are updated in rotation.
const DEALS: usize = 1_024;

#[derive(Args)]
pub(crate) struct Guards {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Queries the first page of many deals, with the limits and without them
    Query(Costs),
    /// Updates deals, with the limits and without them
    Update(Costs),
    /// Queries the first page of many deals, alone and beside hostile requests
    Hostile(Beside),
}

#[derive(Args)]
struct Costs {
    /// URL of a second gateway of the same market, whose limits are switched off
    #[arg(long)]
    without: Url,
    #[command(flatten)]
    load: RequestLoad,
}

#[derive(Args)]
struct Beside {
    /// Hostile requests per second
    #[arg(long, default_value_t = 200.0)]
    hostile_rate: f64,
    #[command(flatten)]
    load: RequestLoad,
}

impl Guards {
    pub(crate) async fn run(self, target: &Target) -> Result<(), BoxError> {
        let catalogue = target.catalogue("guards", DEALS, 1).await?;
        let target = &catalogue.target;

        match self.part {
            Part::Query(costs) => costs.compare(target, "pages", true, page_requests).await,
            Part::Update(costs) => {
                let deals = Arc::new(catalogue.deals.clone());
                let requests = |target: &Target| {
                    let target = target.clone();
                    let renames = Renames::new(Arc::clone(&deals), costs.load.connections);
                    move |connection, number| renames.request(&target, connection, number)
                };
                costs.compare(target, "updates", false, requests).await
            }
            Part::Hostile(beside) => beside.compare(&catalogue).await,
        }
    }
}

impl Costs {
    /// Alternates between the gateway with the limits and the one without them. `idempotent` says
    /// that requests may be sent to warm a gateway up.
    async fn compare<R: Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static>(
        &self,
        target: &Target,
        what: &str,
        idempotent: bool,
        requests: impl Fn(&Target) -> R,
    ) -> Result<(), BoxError> {
        let mut without = target.clone();
        without.url = self.without.clone();
        without.metrics = None;

        let measure = async |target: &Target| {
            if idempotent {
                let server = Server::at(&target.url)?;
                self.load.warm_up(&server, requests(target)).await?;
            }
            self.load.run_dealwire(target, requests(target)).await
        };
        let (off, on) = alternate(
            target.compare,
            ("limits off", async || measure(&without).await),
            ("limits on", async || measure(target).await),
        )
        .await?;

        let title = format!("{what} with the limits off and on, {}", self.load);
        report::print_beside(&title, &off, &on);
        Ok(())
    }
}

impl Beside {
    async fn compare(&self, catalogue: &Catalogue) -> Result<(), BoxError> {
        let target = &catalogue.target;
        let server = Server::at(&target.url)?;
        self.load.warm_up(&server, page_requests(target)).await?;

        let (alone, beside) = alternate(
            target.compare,
            ("alone", async || self.measure(target).await),
            ("beside hostile", async || {
                let hostile = HostileLoad::start(target, self.hostile_rate)?;
                let mut run = self.measure(target).await?;
                run.figures.extend(hostile.stop().await?);
                Ok(run)
            }),
        )
        .await?;

        let title = format!(
            "pages alone and beside {} hostile requests/s, {}",
            self.hostile_rate, self.load
        );
        report::print_beside(&title, &alone, &beside);
        Ok(())
    }

    async fn measure(&self, target: &Target) -> Result<Run, BoxError> {
        self.load.run_dealwire(target, page_requests(target)).await
    }
}

fn page_requests(
    target: &Target,
) -> impl Fn(usize, u64) -> Vec<u8> + Send + Sync + use<> + 'static {
    let page = target.page_request(true);
    move |_, _| page.clone()
}
