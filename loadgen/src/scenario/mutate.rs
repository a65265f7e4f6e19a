//! Mutations: creates or updates of deals.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use uuid::Uuid;

use super::request_load::RequestLoad;
use crate::error::BoxError;
use crate::limit::Limit;
use crate::report;
use crate::requests::Renames;
use crate::target::Target;

/// Number of deals that are updated in rotation.
const DEALS: usize = 1_024;

#[derive(Args)]
pub(crate) struct Mutate {
    /// Kind of mutation
    #[arg(value_enum)]
    kind: Kind,
    #[command(flatten)]
    load: RequestLoad,
    /// Name of the JetStream stream in which Dealwire keeps its log
    #[arg(long, default_value = "MARKET")]
    stream: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Create,
    Update,
}

impl Mutate {
    pub(crate) async fn run(self, target: &Target) -> Result<(), BoxError> {
        let deals = Arc::new(target.ensure_deals(DEALS).await?);
        let requests = || self.requests(target.clone(), Arc::clone(&deals));

        let limit = target.nats.clone().map(|nats| {
            let like = self.stream.clone();
            ("publish", Limit::Publish { nats, like })
        });
        let (dealwire, limit) = self.load.compare(target, limit, requests).await?;

        let kind = match self.kind {
            Kind::Create => "creates",
            Kind::Update => "updates",
        };
        let title = format!("{kind}, {}", self.load);
        report::print(&title, &dealwire, limit.as_ref());
        Ok(())
    }

    fn requests(
        &self,
        target: Target,
        deals: Arc<Vec<Uuid>>,
    ) -> impl Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static {
        let kind = self.kind;
        let renames = Renames::new(deals, self.load.connections);

        move |connection, number| match kind {
            Kind::Create => target.create_request(&renames.name(connection, number), None),
            Kind::Update => renames.request(&target, connection, number),
        }
    }
}
