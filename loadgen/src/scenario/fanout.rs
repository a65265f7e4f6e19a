//! Every change to many sockets.

use clap::Args;

use super::audience::{Audience, Lines, Order, Paced, compare_with_broadcast};
use crate::{Failed, Target};

#[derive(Args, Clone)]
pub(crate) struct Fanout {
    /// Subscribed sockets
    #[arg(long, default_value_t = 5_000)]
    sockets: usize,
    /// Changes a second
    #[arg(long, default_value_t = 3.0)]
    rate: f64,
    /// Length of a run
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

impl Fanout {
    pub(crate) async fn run(self, target: &Target) -> Result<(), Failed> {
        let Self {
            sockets,
            rate,
            seconds,
        } = self;
        let paced = Paced { rate, seconds };
        let ours = async |audience: Audience| audience.watch_paced(target, paced).await;
        let bare = async |audience: Audience, mut lines: Lines| {
            let send = async |marker| lines.write(std::iter::once(marker)).await;
            let make = async |begun| paced.make(begun, send).await;
            audience.watch(paced.changes(), Order::ByNumber, make).await
        };
        let what = format!("{sockets} sockets, {rate} changes/s, {seconds} s a run");
        compare_with_broadcast(target, &what, sockets, ours, bare).await
    }
}
