//! Mutations as fast as a number of connections can ask for them.

use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::{Pace, hammer_in_turns};
use crate::limit::Limit;
use crate::{Failed, Target, report};

/// Deals that updates go round, each connection over its own.
const DEALS: usize = 1_024;

#[derive(Args)]
pub(crate) struct Mutate {
    /// What is done
    #[arg(value_enum)]
    kind: Kind,
    #[command(flatten)]
    pace: Pace,
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
        let deals = target.deals(DEALS).await?;
        let deals = Arc::new(deals);
        let connections = self.pace.connections;
        let requests = || {
            let (target, deals, update) = (
                target.clone(),
                Arc::clone(&deals),
                self.kind == Kind::Update,
            );
            let run = uuid::Uuid::new_v4().simple().to_string();
            move |connection: usize, number: u64| {
                let name = format!("{run} {connection} {number}");
                if update {
                    let own = (deals.len() / connections).max(1);
                    target.rename(
                        deals[(connection * own + number as usize % own) % deals.len()],
                        &name,
                    )
                } else {
                    target.create(&name, None)
                }
            }
        };
        let limit = target.nats.clone().map(|nats| {
            (
                "publish",
                Limit::Publish {
                    nats,
                    like: self.stream.clone(),
                },
            )
        });
        let (ours, bare) = hammer_in_turns(target, limit, self.pace, requests).await?;
        let kind = if self.kind == Kind::Update {
            "updates"
        } else {
            "creates"
        };
        report::print(&format!("{kind}, {}", self.pace), &ours, bare.as_ref());
        Ok(())
    }
}
