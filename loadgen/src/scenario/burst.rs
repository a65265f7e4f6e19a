//! Burst: many changes at once to many sockets. Changes that wait for the same socket can go out in
//! one write.

use std::time::Instant;

use clap::Args;

use super::subscribers::{
    BroadcastControl, ExpectedOrder, Marker, Subscribers, compare_with_broadcast,
};
use crate::client::{Http, address, run_over_connections};
use crate::error::BoxError;
use crate::report::Run;
use crate::target::Target;

/// Metrics of a gateway that show how many frames one write carried.
const FRAMES_AND_WRITES: [&str; 2] = [
    "dealwire_socket_frames_total",
    "dealwire_socket_writes_total",
];

#[derive(Args, Clone)]
pub(crate) struct Burst {
    /// Number of subscribed sockets
    #[arg(long, default_value_t = 1_000)]
    sockets: usize,
    /// Number of changes
    #[arg(long, default_value_t = 1_000)]
    changes: u64,
    /// Number of connections that make the changes, each as fast as it can
    #[arg(long, default_value_t = 32)]
    connections: usize,
}

impl Burst {
    pub(crate) async fn run(self, target: &Target) -> Result<(), BoxError> {
        let Self {
            sockets,
            changes,
            connections,
        } = self;

        let dealwire =
            async |subscribers: Subscribers| self.measure_dealwire(target, subscribers).await;
        let limit = async |subscribers: Subscribers, mut control: BroadcastControl| {
            // The limit receives all lines at once: no number of connections could make a denser
            // burst.
            let produce = async |started| {
                let markers = (1..=changes).map(|number| Marker::text(number, started));
                control.broadcast(markers).await
            };
            subscribers
                .measure(changes, ExpectedOrder::Sequential, produce)
                .await
        };

        let title = format!(
            "{changes} changes as fast as {connections} connections can, to {sockets} sockets"
        );
        compare_with_broadcast(target, &title, sockets, dealwire, limit).await
    }

    async fn measure_dealwire(
        &self,
        target: &Target,
        subscribers: Subscribers,
    ) -> Result<Run, BoxError> {
        let [frames_before, writes_before] = target.read_metrics(FRAMES_AND_WRITES).await?;

        let mut run = subscribers
            .measure(
                self.changes,
                ExpectedOrder::AsFirstSubscriber,
                async |started| self.produce(target, started).await,
            )
            .await?;

        let [frames, writes] = target.read_metrics(FRAMES_AND_WRITES).await?;
        let frames = (frames - frames_before) as f64;
        let writes = (writes - writes_before) as f64;
        run.figures
            .push(("frames per write", frames / writes.max(1.0)));
        Ok(run)
    }

    async fn produce(&self, target: &Target, started: Instant) -> Result<(), BoxError> {
        let address = address(&target.url)?;
        let create = async |http: &mut Http, number: u64| {
            let request = target.create_request(&Marker::text(number, started), None);
            http.execute(&request).await.map(|_| ())
        };

        let others = self.changes.saturating_sub(1) as usize;
        let create_other =
            async |http: &mut Http, index: usize| create(http, index as u64 + 1).await;
        run_over_connections(address, self.connections, others, create_other).await?;

        // The connections race, so only a change made after all others are acknowledged is certain
        // to be the last in the log. A subscriber that sees it has been sent everything, and can
        // stop reading.
        create(&mut Http::open(address).await?, self.changes).await
    }
}
