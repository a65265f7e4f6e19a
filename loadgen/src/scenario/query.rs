//! Queries for the first page of many deals, from memory or from the tables.

mod hot_seller;
mod same_answer;

use clap::{Args, ValueEnum};

use super::Server;
use super::request_load::RequestLoad;
use crate::catalogue::Catalogue;
use crate::client::{Http, address, post};
use crate::compare::alternate_with_limit;
use crate::error::BoxError;
use crate::limit::{Limit, RunningLimit};
use crate::report;
use crate::report::Run;
use crate::requests::page_body;
use crate::target::Target;
use hot_seller::HotSeller;

#[derive(Args)]
pub(crate) struct Query {
    /// Selects every field, with discount and items
    #[arg(long)]
    items: bool,
    /// Number of deals that the buyer sees
    #[arg(long, default_value_t = 20_000)]
    deals: usize,
    /// Number of sellers whose deals they are; more than one needs an administrator
    #[arg(long, default_value_t = 1)]
    sellers: usize,
    /// Changes per second that the first of the sellers makes during a run of Dealwire; without it,
    /// nothing changes
    #[arg(long)]
    hot: Option<f64>,
    /// Server to compare with. Start the gateway with --no-views to compare with `tables`
    #[arg(long, value_enum, default_value_t = Kind::Tables)]
    limit: Kind,
    #[command(flatten)]
    load: RequestLoad,
}

/// Kind of limit.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Reads the same columns with sqlx, if the PostgreSQL database is given
    Tables,
    /// Answers the bytes of one answer of Dealwire from memory
    Memory,
    /// No limit
    None,
}

impl Query {
    pub(crate) async fn run(self, target: &Target) -> Result<(), BoxError> {
        // A page must come from a table of realistic size: with a handful of deals, any plan of the
        // database is fast.
        let name = format!("page of {} by {}", self.deals, self.sellers);
        let catalogue = target.catalogue(&name, self.deals, self.sellers).await?;
        let target = &catalogue.target;

        let dealwire = async || self.measure(&catalogue).await;
        let limit = self.limit(target);
        let limit = limit.as_ref().map(|(name, limit)| {
            let run = async || self.measure_limit(target, limit).await;
            (*name, run)
        });
        let (dealwire, limit) = alternate_with_limit(target.compare, dealwire, limit).await?;

        report::print(&self.title(), &dealwire, limit.as_ref());
        Ok(())
    }

    async fn measure(&self, catalogue: &Catalogue) -> Result<Run, BoxError> {
        let target = &catalogue.target;
        let hot_seller = match self.hot {
            Some(rate) => Some(HotSeller::start(catalogue, rate).await?),
            None => None,
        };

        // A gateway keeps a page in memory only from its second request on.
        let server = Server::at(&target.url)?;
        self.load.warm_up(&server, self.requests(target)).await?;
        let requests = self.requests(target);
        let mut run = self.load.run_dealwire(target, requests).await?;

        if let Some(hot_seller) = hot_seller {
            let changes = hot_seller.stop().await?;
            run.figures.push(("changes per second", changes));
        }
        Ok(run)
    }

    async fn measure_limit(&self, target: &Target, limit: &Limit) -> Result<Run, BoxError> {
        let limit = limit.start().await?;
        self.check_limit(target, &limit).await?;

        // The limit begins as warm as Dealwire does.
        let server = Server::of_limit(&limit)?;
        self.load.warm_up(&server, self.requests(target)).await?;
        self.load.run_limit(&limit, self.requests(target)).await
    }

    /// Returns the limit with the name of its row, if there is to be one.
    fn limit(&self, target: &Target) -> Option<(&'static str, Limit)> {
        match self.limit {
            Kind::Tables => {
                let limit = Limit::Page {
                    database: target.database.clone()?,
                    rows: self.deals,
                    items: self.items,
                };
                Some(("page", limit))
            }
            Kind::Memory => {
                let limit = Limit::Memory {
                    url: target.graphql_url(),
                    key: target.buyer_key.clone(),
                    body: page_body(self.items),
                };
                Some(("memory", limit))
            }
            Kind::None => None,
        }
    }

    /// Checks that the limit's answer is no less than Dealwire's.
    async fn check_limit(&self, target: &Target, limit: &RunningLimit) -> Result<(), BoxError> {
        let mut dealwire = Http::open(address(&target.url)?).await?;
        let ours = dealwire.call(&target.page_request(self.items)).await?;

        let url = limit.url.join("graphql")?;
        let request = post(&url, &target.buyer_key, &page_body(self.items));
        let mut limit = Http::open(address(&url)?).await?;

        same_answer::check(ours, limit.call(&request).await?)
    }

    /// Returns the requests of a run. Every request is the same, so that latencies differ only by
    /// what the server does.
    fn requests(&self, target: &Target) -> impl Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static {
        let page = target.page_request(self.items);
        move |_, _| page.clone()
    }

    fn title(&self) -> String {
        let Self {
            deals,
            sellers,
            load,
            ..
        } = self;
        let selection = if self.items {
            "with discount and items"
        } else {
            "flat"
        };
        let changes = match self.hot {
            Some(rate) => format!(" while one seller makes {rate} changes/s"),
            None => String::new(),
        };

        format!("first 20 of {deals} deals of {sellers} seller(s), {selection}{changes}, {load}")
    }
}
