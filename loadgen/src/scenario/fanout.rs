//! Fan-out: every change to many sockets, at a steady rate.

use clap::Args;

use super::subscribers::{
    BroadcastControl, ExpectedOrder, Schedule, Subscribers, compare_with_broadcast,
};
use crate::error::BoxError;
use crate::target::Target;

#[derive(Args, Clone)]
pub(crate) struct Fanout {
    /// Number of subscribed sockets
    #[arg(long, default_value_t = 5_000)]
    sockets: usize,
    /// Changes per second
    #[arg(long, default_value_t = 3.0)]
    rate: f64,
    /// Length of a run, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

impl Fanout {
    pub(crate) async fn run(self, target: &Target) -> Result<(), BoxError> {
        let Self {
            sockets,
            rate,
            seconds,
        } = self;

        // The default rate stays well below what the server can do. Beyond that, changes would
        // queue, and latency would show the length of the queue instead of the time that a push
        // takes.
        let schedule = Schedule { rate, seconds };

        let dealwire =
            async |subscribers: Subscribers| subscribers.measure_schedule(target, schedule).await;
        let limit = async |subscribers: Subscribers, mut control: BroadcastControl| {
            // One line at a time, on the same schedule as the changes of Dealwire, so that both
            // servers have the same work at the same times.
            let send = async |marker| control.broadcast(std::iter::once(marker)).await;
            let produce = async |started| schedule.produce(started, send).await;
            subscribers
                .measure(schedule.changes(), ExpectedOrder::Sequential, produce)
                .await
        };

        let title = format!("{sockets} sockets, {rate} changes/s, {seconds} s a run");
        compare_with_broadcast(target, &title, sockets, dealwire, limit).await
    }
}
