//! The first page of many deals, as fast as a number of connections can ask for it.

use clap::Args;

use super::{Pace, hammer_in_turns};
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
    #[command(flatten)]
    pace: Pace,
}

impl Query {
    pub(crate) async fn run(self, target: &Target) -> Result<(), Failed> {
        target.deals(self.deals).await?;
        let page = || {
            let page = target.page(self.items);
            move |_, _| page.clone()
        };
        let limit = |database| Limit::Page {
            database,
            rows: self.deals,
            items: self.items,
        };
        let limit = target
            .database
            .clone()
            .map(|database| ("page", limit(database)));
        let (ours, bare) = hammer_in_turns(target, limit, self.pace, page).await?;
        let what = if self.items { "with items" } else { "flat" };
        let what = format!("first 20 of {} deals, {what}, {}", self.deals, self.pace);
        report::print(&what, &ours, bare.as_ref());
        Ok(())
    }
}
