//! Stalled sockets: what subscribers that read nothing cost the gateway, and the subscribers that
//! do read.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::subscribers::{Schedule, Subscribers};
use crate::accounts::BuyerKeys;
use crate::client::{Http, Socket, address, run_over_connections};
use crate::compare::alternate;
use crate::error::BoxError;
use crate::report;
use crate::report::Run;
use crate::requests::MutationResult;
use crate::target::Target;

/// Time for which a stalled socket stays open: a little longer than the 10 s after which the
/// gateway gives up a write.
const STALL: Duration = Duration::from_secs(12);
/// Number of connections that the backlog is made over.
const SETUP_CONNECTIONS: usize = 32;
/// Metric of a gateway that counts the sockets it closed for being too slow (close code 4290).
const CLOSED_AS_TOO_SLOW: [&str; 1] = ["dealwire_sockets_closed_total{code=\"4290\"}"];

#[derive(Args, Clone)]
pub(crate) struct Stalled {
    /// Number of sockets that read, and are measured
    #[arg(long, default_value_t = 1_000)]
    sockets: usize,
    /// Number of sockets that subscribe, with the smallest receive buffer that the system allows,
    /// and read nothing; each comes back every 12 s from the position at which it began
    #[arg(long, default_value_t = 1_000)]
    stalled: usize,
    /// Number of changes before the runs, which the stalled sockets have missed; choose more than
    /// the buffers between gateway and client hold
    #[arg(long, default_value_t = 2_000)]
    backlog: usize,
    /// Changes per second
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// Length of a run, in seconds; a multiple of the 12 s after which stalled sockets come back
    #[arg(long, default_value_t = 24)]
    seconds: u64,
}

impl Stalled {
    pub(crate) async fn run(self, target: &Target) -> Result<(), BoxError> {
        let keys = target.buyer_keys(self.sockets + self.stalled).await?;
        let position = self.make_backlog(target).await?;
        let open = target.open_sockets().await?;

        // Allocators return memory late, so later runs alone would start from a higher level. Only
        // the first shows what the readers need by themselves.
        let resident_alone = Cell::new(None);
        let alone = async || {
            target.wait_for_open_sockets(open).await?;
            let run = self.measure_readers(target, &keys).await?;
            resident_alone.set(resident_alone.get().or(Some(run.resident)));
            Ok(run)
        };
        let beside = async || {
            target.wait_for_open_sockets(open).await?;
            let resident_alone = resident_alone.get().unwrap_or(0);
            self.measure_beside_stalled(target, &keys, &position, resident_alone)
                .await
        };
        let (alone, beside) =
            alternate(target.compare, ("alone", alone), ("beside stalled", beside)).await?;

        let Self {
            sockets,
            stalled,
            rate,
            seconds,
            ..
        } = self;
        let title = format!(
            "{sockets} sockets, {rate} changes/s, {seconds} s a run, \
             alone and beside {stalled} that read nothing"
        );
        report::print_beside(&title, &alone, &beside);
        Ok(())
    }

    /// Makes the backlog and returns the position before it.
    async fn make_backlog(&self, target: &Target) -> Result<String, BoxError> {
        let address = address(&target.url)?;
        let mut http = Http::open(address).await?;
        let before =
            MutationResult::of_request(&mut http, &target.create_request("before", None)).await?;

        let create =
            async |http: &mut Http, _| http.execute(&target.create_request("missed", None)).await;
        run_over_connections(address, SETUP_CONNECTIONS, self.backlog, create).await?;
        Ok(before.position)
    }

    async fn measure_readers(&self, target: &Target, keys: &BuyerKeys) -> Result<Run, BoxError> {
        let schedule = Schedule {
            rate: self.rate,
            seconds: self.seconds,
        };
        let payload = |_| target.all_changes(None);

        Subscribers::of_dealwire(target, keys, 0..self.sockets, payload)
            .await?
            .measure_schedule(target, schedule)
            .await
    }

    /// Measures the readers beside stalled sockets. `resident_alone` is the resident memory of the
    /// gateway with the readers alone, in bytes.
    async fn measure_beside_stalled(
        &self,
        target: &Target,
        keys: &BuyerKeys,
        position: &str,
        resident_alone: u64,
    ) -> Result<Run, BoxError> {
        let failures = Arc::new(AtomicU64::new(0));

        // The set owns the tasks: leaving this function, even by an error, closes all stalled
        // sockets.
        let _stalled = self.start_stalled(target, keys, position, &failures);

        // After one stall all of them have come, and the first are about to come back.
        sleep(STALL).await;
        let [closed_before] = target.read_metrics(CLOSED_AS_TOO_SLOW).await?;
        let mut run = self.measure_readers(target, keys).await?;
        let [closed] = target.read_metrics(CLOSED_AS_TOO_SLOW).await?;

        run.figures
            .push(("closed as too slow", (closed - closed_before) as f64));
        let extra = run.resident as f64 - resident_alone as f64;
        run.figures.push((
            "bytes of memory per stalled socket",
            extra / self.stalled.max(1) as f64,
        ));
        run.faults.push((
            "failed attempts of stalled sockets to come back",
            failures.load(Ordering::Relaxed),
        ));
        Ok(run)
    }

    fn start_stalled(
        &self,
        target: &Target,
        keys: &BuyerKeys,
        position: &str,
        failures: &Arc<AtomicU64>,
    ) -> JoinSet<()> {
        let mut tasks = JoinSet::new();

        for number in 0..self.stalled {
            let socket = StalledSocket {
                target: target.clone(),
                key: keys.for_socket(self.sockets + number).to_owned(),
                position: position.to_owned(),
                failures: Arc::clone(failures),
            };

            // Their starts are spread over one stall, so that at any time some of them come back.
            // All at once would measure a burst of reconnections instead.
            let delay = STALL.mul_f64(number as f64 / self.stalled as f64);
            tasks.spawn(socket.run(delay));
        }

        tasks
    }
}

/// Subscriber that reads nothing.
struct StalledSocket {
    target: Target,
    key: String,
    /// Position that every subscription starts from.
    position: String,
    /// Number of attempts to subscribe that failed, over all stalled sockets.
    failures: Arc<AtomicU64>,
}

impl StalledSocket {
    /// Subscribes, reads nothing for the length of a stall, and begins again.
    async fn run(self, delay: Duration) {
        sleep(delay).await;

        loop {
            let socket = self.subscribe().await;
            if socket.is_err() {
                // Relaxed is enough for a counter that is read after the run.
                self.failures.fetch_add(1, Ordering::Relaxed);
            }

            // The socket must stay open, or the gateway would notice the end at once and have
            // nothing to wait for.
            sleep(STALL).await;
            drop(socket);
        }
    }

    async fn subscribe(&self) -> Result<Socket, BoxError> {
        let url = self.target.graphql_url();
        let address = address(&url)?;
        let payload = self.target.all_changes(Some(&self.position));

        // The smallest buffer makes the gateway's writes block as soon as possible.
        Socket::open_with_small_buffer(&url, address)
            .await?
            .subscribe(&self.key, &payload)
            .await
    }
}
