//! Interest: what subscribers to other sellers cost. Many sockets each subscribe to one seller, and
//! only one of the sellers makes changes.

use std::time::Duration;

use clap::Args;
use tokio::time::sleep;
use uuid::Uuid;

use super::Server;
use super::subscribers::{BackgroundSockets, Schedule, Subscribers, subscribe_all};
use crate::accounts::BuyerKeys;
use crate::compare::alternate;
use crate::error::BoxError;
use crate::process::Process;
use crate::report;
use crate::report::Run;
use crate::target::Target;

/// Name of a figure: server CPU time per change, less what the sockets cost at rest.
const CPU_BEYOND_REST: &str = "server µs/op beyond rest";

#[derive(Args, Clone)]
pub(crate) struct Interest {
    /// Number of sellers, one of which makes changes
    #[arg(long, default_value_t = 1_000)]
    sellers: usize,
    /// Number of sockets that subscribe to each seller
    #[arg(long, default_value_t = 10)]
    sockets: usize,
    /// Changes per second
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Length of a run, and of the rest before it, in seconds. The gateway pings every 12 s, so a
    /// multiple of 12 gives both the same number of pings
    #[arg(long, default_value_t = 12)]
    seconds: u64,
}

/// Sellers and buyers of the scenario.
struct Participants {
    /// Target whose seller is the one that makes changes.
    target: Target,
    sellers: Vec<Uuid>,
    keys: BuyerKeys,
}

impl Interest {
    pub(crate) async fn run(self, target: &Target) -> Result<(), BoxError> {
        let participants = self.participants(target).await?;
        let open = target.open_sockets().await?;

        // Sockets of the run before must be gone, or closing ten thousand of them would be charged
        // to this run.
        let measure = async |with_others: bool| {
            target.wait_for_open_sockets(open).await?;
            self.measure(&participants, with_others).await
        };
        let alone = ("alone", async || measure(false).await);
        let among = ("among others", async || measure(true).await);
        let (alone, among) = alternate(target.compare, alone, among).await?;

        let Self {
            sellers,
            sockets,
            rate,
            seconds,
        } = self;
        let title = format!(
            "{rate} changes/s of one seller to {sockets} sockets, {seconds} s a run, \
             alone and among {} on {sellers} sellers",
            sellers * sockets
        );
        report::print_beside(&title, &alone, &among);
        println!(
            "{:<16} {:>8.2} times the server CPU beyond rest",
            "",
            among.figure(CPU_BEYOND_REST) / alone.figure(CPU_BEYOND_REST)
        );
        Ok(())
    }

    async fn participants(&self, target: &Target) -> Result<Participants, BoxError> {
        let admin = target.admin()?;
        let sellers = admin.create_sellers(self.sellers).await?;

        let sockets = sellers.len() * self.sockets;
        let keys = admin
            .buyer_keys(sockets, |socket| sellers[socket / self.sockets])
            .await?;

        let active = sellers.first().ok_or("--sellers must be at least 1")?;
        let target = Target {
            seller_key: admin.issue_key(*active).await?,
            ..target.clone()
        };

        Ok(Participants {
            target,
            sellers,
            keys,
        })
    }

    async fn measure(
        &self,
        participants: &Participants,
        with_others: bool,
    ) -> Result<Run, BoxError> {
        let Participants {
            target,
            sellers,
            keys,
        } = participants;
        let payload = |socket: usize| target.changes_of_seller(sellers[socket / self.sockets]);

        // The first sockets subscribe to the active seller; all that follow want other sellers'
        // changes.
        let end = if with_others {
            sellers.len() * self.sockets
        } else {
            self.sockets
        };
        let others = subscribe_all(target, keys, self.sockets..end, payload).await?;
        let mut others = BackgroundSockets::read(others);

        // Ten thousand sockets cost CPU time by being pinged. That is measured first and subtracted
        // below: the question is what a change costs beyond it.
        let gateway = Server::at(&target.url)?.process;
        let at_rest = self.cpu_at_rest(gateway).await?;

        let schedule = Schedule {
            rate: self.rate,
            seconds: self.seconds,
        };
        let subscribers = Subscribers::of_dealwire(target, keys, 0..self.sockets, payload).await?;
        let mut run = subscribers.measure_schedule(target, schedule).await?;

        // An operation is a change here, however many sockets see it.
        run.count = schedule.changes();
        let rest = at_rest.mul_f64(run.wall.as_secs_f64());
        let beyond_rest = run.server_cpu.as_secs_f64() - rest.as_secs_f64();
        run.figures
            .push(("server ms/s at rest", at_rest.as_secs_f64() * 1e3));
        run.figures
            .push((CPU_BEYOND_REST, beyond_rest * 1e6 / run.count.max(1) as f64));
        run.faults
            .push(("changes pushed to uninterested sockets", others.received()));
        run.faults
            .push(("uninterested sockets that were closed", others.closed()));
        Ok(run)
    }

    /// Measures the CPU time that a process uses per second while nothing changes.
    async fn cpu_at_rest(&self, process: Process) -> Result<Duration, BoxError> {
        let length = Duration::from_secs(self.seconds);

        let before = process.cpu_time()?;
        sleep(length).await;
        let used = process.cpu_time()? - before;

        Ok(used.div_f64(length.as_secs_f64()))
    }
}
