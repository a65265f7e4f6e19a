//! The first page of many deals, as fast as a number of connections can ask for it.

use std::time::Duration;

use clap::Args;

use super::Server;
use crate::compare::alternate;
use crate::limit::Limit;
use crate::{Failed, Target, report};

#[derive(Args)]
pub(crate) struct Query {
    /// Select the items too
    #[arg(long)]
    items: bool,
    /// Deals that there are
    #[arg(long, default_value_t = 20_000)]
    deals: usize,
    /// Requests at a time
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Length of a run
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

impl Query {
    pub(crate) async fn run(self, target: &Target) -> Result<(), Failed> {
        let (time, connections) = (Duration::from_secs(self.seconds), self.connections);
        target.deals(self.deals).await?;
        let page = || {
            let page = target.page(self.items);
            move |_, _| page.clone()
        };
        let limit = target.database.clone().map(|database| Limit::Page {
            database,
            rows: self.deals,
            items: self.items,
        });
        let dealwire = Server::at(&target.url)?;
        let ours = async || dealwire.hammer(connections, time, page()).await;
        let bare = limit.as_ref().map(|limit| {
            let run = async || {
                let running = limit.start().await?;
                let server =
                    Server { address: crate::client::address(&running.url)?, process: running.process };
                server.hammer(connections, time, page()).await
            };
            ("page", run)
        });
        let (ours, bare) = alternate(target.compare, ours, bare).await?;
        let what = if self.items { "with items" } else { "flat" };
        let what =
            format!("first 20 of {} deals, {what}, {connections} connections, {time:?} a run", self.deals);
        report::print(&what, &ours, bare.as_ref());
        Ok(())
    }
}
