//! Many changes at once to many sockets: what waits for a socket can go out in one write.

use clap::Args;

use super::audience::{Audience, Lines, Marker, Order, compare_with_broadcast};
use crate::client::{Http, address, in_shares};
use crate::report::Run;
use crate::{Failed, Target};

#[derive(Args, Clone)]
pub(crate) struct Burst {
    /// Subscribed sockets
    #[arg(long, default_value_t = 1_000)]
    sockets: usize,
    /// Changes
    #[arg(long, default_value_t = 1_000)]
    changes: u64,
    /// Connections that make them, each as fast as it can
    #[arg(long, default_value_t = 32)]
    connections: usize,
}

impl Burst {
    pub(crate) async fn run(self, target: &Target) -> Result<(), Failed> {
        let Self {
            sockets,
            changes,
            connections,
        } = self;
        let ours = async |audience: Audience| self.dealwire(target, audience).await;
        let bare = async |audience: Audience, mut lines: Lines| {
            let make = async |begun| {
                lines
                    .write((1..=changes).map(|number| Marker::write(number, begun)))
                    .await
            };
            audience.watch(changes, Order::ByNumber, make).await
        };
        let what = format!(
            "{changes} changes as fast as {connections} connections can to {sockets} sockets"
        );
        compare_with_broadcast(target, &what, sockets, ours, bare).await
    }

    async fn dealwire(&self, target: &Target, audience: Audience) -> Result<Run, Failed> {
        const WRITTEN: [&str; 2] = [
            "dealwire_socket_frames_total",
            "dealwire_socket_writes_total",
        ];
        let (at, before) = (address(&target.url)?, target.counted(WRITTEN).await?);
        let make = async |begun| {
            let send = async |http: &mut Http, number: u64| {
                http.ask(&target.create(&Marker::write(number, begun), None))
                    .await
                    .map(|_| ())
            };
            let others = self.changes.saturating_sub(1) as usize;
            let numbered = async |http: &mut Http, index: usize| send(http, index as u64 + 1).await;
            in_shares(at, self.connections, others, numbered).await?;
            // The last: whoever sees it has been sent all.
            send(&mut Http::open(at).await?, self.changes).await
        };
        let mut run = audience
            .watch(self.changes, Order::AsTheFirst, make)
            .await?;
        let after = target.counted(WRITTEN).await?;
        let [frames, writes] = [0, 1].map(|which| (after[which] - before[which]) as f64);
        run.figures
            .push(("frames a write", frames / writes.max(1.0)));
        Ok(run)
    }
}
