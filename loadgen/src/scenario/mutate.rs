//! Mutations as fast as a number of connections can ask for them.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Server;
use crate::compare::alternate;
use crate::limit::Limit;
use crate::{Failed, Target, report};

/// Deals that updates go round, each connection over its own.
const DEALS: usize = 1_024;

#[derive(Args)]
pub(crate) struct Mutate {
    /// What is done
    #[arg(value_enum)]
    kind: Kind,
    /// Requests at a time
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Length of a run
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The stream that Dealwire keeps its log in
    #[arg(long, default_value = "MARKET")]
    stream: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Create,
    Update,
}

impl Mutate {
    pub(crate) async fn run(self, target: &Target) -> Result<(), Failed> {
        let time = Duration::from_secs(self.seconds);
        let (deals, _) = target.deals(DEALS).await?;
        let deals = Arc::new(deals);
        let connections = self.connections;
        let requests = || {
            let (target, deals, update) = (target.clone(), Arc::clone(&deals), self.kind == Kind::Update);
            let run = uuid::Uuid::new_v4().simple().to_string();
            move |connection: usize, number: u64| {
                let name = format!("{run} {connection} {number}");
                if update {
                    let own = deals.len() / connections;
                    target.rename(deals[connection * own + number as usize % own], &name)
                } else {
                    target.create(&name, None)
                }
            }
        };
        let limit = target.nats.clone().map(|nats| Limit::Publish { nats, like: self.stream.clone() });
        let dealwire = Server::at(&target.url)?;
        let ours = async || dealwire.hammer(connections, time, requests()).await;
        let bare = limit.as_ref().map(|limit| {
            let run = async || {
                let running = limit.start().await?;
                let server =
                    Server { address: crate::client::address(&running.url)?, process: running.process };
                server.hammer(connections, time, requests()).await
            };
            ("publish", run)
        });
        let (ours, bare) = alternate(target.compare, ours, bare).await?;
        let kind = if self.kind == Kind::Update { "updates" } else { "creates" };
        report::print(
            &format!("{kind} over {connections} connections, {time:?} a run"),
            &ours,
            bare.as_ref(),
        );
        Ok(())
    }
}
