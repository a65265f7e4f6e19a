//! Queries for the first page of many deals.

use clap::Args;

use super::request_load::RequestLoad;
use crate::error::BoxError;
use crate::limit::Limit;
use crate::report;
use crate::target::Target;

#[derive(Args)]
pub(crate) struct Query {
    /// Selects the items too
    #[arg(long)]
    items: bool,
    /// Number of deals in the market
    #[arg(long, default_value_t = 20_000)]
    deals: usize,
    #[command(flatten)]
    load: RequestLoad,
}

impl Query {
    pub(crate) async fn run(self, target: &Target) -> Result<(), BoxError> {
        // A page must come from a table of realistic size: with a handful of deals, any plan of the
        // database is fast.
        target.ensure_deals(self.deals).await?;

        let requests = || {
            let page = target.page_request(self.items);

            // Every request is the same, so that latencies differ only by what the server does.
            move |_, _| page.clone()
        };
        let limit = target.database.clone().map(|database| {
            let limit = Limit::Page {
                database,
                rows: self.deals,
                items: self.items,
            };
            ("page", limit)
        });
        let (dealwire, limit) = self.load.compare(target, limit, requests).await?;

        let selection = if self.items { "with items" } else { "flat" };
        let title = format!(
            "first 20 of {} deals, {selection}, {}",
            self.deals, self.load
        );
        report::print(&title, &dealwire, limit.as_ref());
        Ok(())
    }
}
