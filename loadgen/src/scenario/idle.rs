//! What sockets cost while nothing happens.

use std::time::Duration;

use clap::Args;
use tokio::net::TcpStream;
use tokio::time::sleep;

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
        println!("{} sockets, held for {} s", self.sockets, self.seconds);
        println!("{:<16} {:>14} {:>16} {:>12}", "", "KiB / socket", "server CPU ms/s", "RSS MiB");
        let server = Server::at(&target.url)?;
        let (graphql, payload) = (target.graphql(), target.changes(None));
        let (graphql, payload, at) = (&graphql, &payload, server.address);
        let open = |_| async move {
            let mut socket = Socket::subscribe(graphql, at, &target.buyer_key, payload).await?;
            socket.settle().await?;
            Ok(socket)
        };
        self.hold("dealwire", server.process, async || open_all(self.sockets, open).await).await?;

        let bare = Limit::Broadcast.start().await?;
        let (url, at) = (&bare.url, address(&bare.url)?);
        let _control = TcpStream::connect(at).await?;
        self.hold("limit websocket", bare.process, async || {
            open_all(self.sockets, |_| Socket::open(url, at)).await
        })
        .await
    }

    async fn hold(
        &self,
        name: &str,
        process: Process,
        open: impl AsyncFn() -> Result<Vec<Socket>, Failed>,
    ) -> Result<(), Failed> {
        let before = process.resident()?;
        // Pings are answered as a client would.
        let held: Vec<_> = open()
            .await?
            .into_iter()
            .map(|mut socket| tokio::spawn(async move { while socket.text().await.is_ok() {} }))
            .collect();
        let cpu = process.cpu()?;
        sleep(Duration::from_secs(self.seconds)).await;
        let used = process.cpu()? - cpu;
        let after = process.resident()?;
        let ended = held.iter().filter(|socket| socket.is_finished()).count();
        println!(
            "{name:<16} {:>14.1} {:>16.1} {:>12.1}",
            after.saturating_sub(before) as f64 / 1024.0 / self.sockets as f64,
            used.as_secs_f64() * 1e3 / self.seconds as f64,
            after as f64 / (1 << 20) as f64,
        );
        if ended > 0 {
            println!("{name:<16} FAULT sockets that ended: {ended}");
        }
        held.iter().for_each(tokio::task::JoinHandle::abort);
        Ok(())
    }
}
