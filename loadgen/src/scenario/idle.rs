//! What sockets cost while nothing happens.

use std::time::Duration;

use clap::Args;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::audience::{Held, subscribe_all};
use super::{Server, open_all};
use crate::client::{Socket, address};
use crate::limit::Limit;
use crate::process::Process;
use crate::{Failed, Target};

#[derive(Args)]
pub(crate) struct Idle {
    /// Sockets, each with a subscription
    #[arg(long, default_value_t = 10_000)]
    sockets: usize,
    /// How long they are held
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

impl Idle {
    pub(crate) async fn run(self, target: &Target) -> Result<(), Failed> {
        let keys = target.buyers(self.sockets).await?;
        println!("{} sockets, held for {} s", self.sockets, self.seconds);
        println!(
            "{:<16} {:>14} {:>16} {:>12}",
            "", "KiB / socket", "server CPU ms/s", "RSS MiB"
        );
        let process = Server::at(&target.url)?.process;
        let sockets = subscribe_all(target, &keys, 0..self.sockets, |_| target.changes(None));
        self.hold("dealwire", process, sockets).await?;

        let bare = Limit::Broadcast.start().await?;
        let (url, at) = (&bare.url, address(&bare.url)?);
        let _control = TcpStream::connect(at).await?;
        let sockets = open_all((0..self.sockets).map(|_| Socket::open(url, at)));
        self.hold("limit websocket", bare.process, sockets).await
    }

    async fn hold(
        &self,
        name: &str,
        process: Process,
        open: impl Future<Output = Result<Vec<Socket>, Failed>>,
    ) -> Result<(), Failed> {
        let before = process.resident()?;
        let mut held = Held::of(open.await?);
        let cpu = process.cpu()?;
        sleep(Duration::from_secs(self.seconds)).await;
        let used = process.cpu()? - cpu;
        let after = process.resident()?;
        println!(
            "{name:<16} {:>14.1} {:>16.1} {:>12.1}",
            after.saturating_sub(before) as f64 / 1024.0 / self.sockets as f64,
            used.as_secs_f64() * 1e3 / self.seconds as f64,
            after as f64 / (1 << 20) as f64,
        );
        let ended = held.ended();
        if ended > 0 {
            println!("{name:<16} FAULT sockets that ended: {ended}");
        }
        Ok(())
    }
}
