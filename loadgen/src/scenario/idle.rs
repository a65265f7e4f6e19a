//! Idle sockets: memory and CPU time that subscriptions cost while nothing happens.

use std::time::Duration;

use clap::Args;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::subscribers::{BackgroundSockets, subscribe_all};
use super::{Server, open_all};
use crate::client::{Socket, address};
use crate::error::BoxError;
use crate::limit::Limit;
use crate::process::Process;
use crate::target::Target;

#[derive(Args)]
pub(crate) struct Idle {
    /// Number of sockets, each with a subscription
    #[arg(long, default_value_t = 10_000)]
    sockets: usize,
    /// Time for which the sockets are held, in seconds
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

impl Idle {
    pub(crate) async fn run(self, target: &Target) -> Result<(), BoxError> {
        let keys = target.buyer_keys(self.sockets).await?;
        println!("{} sockets, held for {} s", self.sockets, self.seconds);
        println!(
            "{:<16} {:>14} {:>16} {:>12}",
            "", "KiB / socket", "server CPU ms/s", "RSS MiB"
        );

        let process = Server::at(&target.url)?.process;
        let sockets = subscribe_all(target, &keys, 0..self.sockets, |_| target.all_changes(None));
        self.hold("dealwire", process, sockets).await?;

        let limit = Limit::Broadcast.start().await?;
        let url = &limit.url;
        let address = address(url)?;

        // The first connection becomes the control connection of the limit. It must stay open,
        // since the limit ends the broadcast, and drops its sockets, when it closes.
        let _control = TcpStream::connect(address).await?;
        let sockets = open_all((0..self.sockets).map(|_| Socket::open(url, address)));
        self.hold("limit websocket", limit.process, sockets).await
    }

    async fn hold(
        &self,
        name: &str,
        process: Process,
        open: impl Future<Output = Result<Vec<Socket>, BoxError>>,
    ) -> Result<(), BoxError> {
        // Memory counts from before the sockets are opened, CPU time from after: opening is not
        // idling.
        let resident_before = process.resident_bytes()?;
        let mut sockets = BackgroundSockets::read(open.await?);
        let cpu_before = process.cpu_time()?;

        sleep(Duration::from_secs(self.seconds)).await;
        let cpu = process.cpu_time()? - cpu_before;
        let resident = process.resident_bytes()?;

        println!(
            "{name:<16} {:>14.1} {:>16.1} {:>12.1}",
            resident.saturating_sub(resident_before) as f64 / 1024.0 / self.sockets as f64,
            cpu.as_secs_f64() * 1e3 / self.seconds as f64,
            resident as f64 / (1 << 20) as f64,
        );
        let closed = sockets.closed();
        if closed > 0 {
            println!("{name:<16} FAULT sockets that were closed: {closed}");
        }
        Ok(())
    }
}
