//! Pushes beside endpoints: what many endpoints, each of which is owed every change, cost the
//! projection and the pushes, neither of which has anything to do with them.
//!
//! The endpoints are paused. What they are owed collects, and the dispatcher has no calls to make:
//! at 10,000 calls a change it would be the calls that are measured. The fan-out remains, and it
//! shares the machine with everything else. A change to 10,000 endpoints is 10,000 rows, which take
//! about half a second of PostgreSQL's CPU time, so the default rate already keeps a quarter of a
//! machine with 2 cores busy. At a rate that the fan-out cannot follow, the pushes would be those
//! of an overloaded machine, and would tell nothing about a dependence on the endpoints.
//!
//! A run in which a change is missing at a socket or at an endpoint ends the scenario: its figures
//! would be those of less work.

use std::time::{Duration, Instant};

use clap::Args;
use tokio::time::sleep;

use super::endpoints::{Endpoints, Owners};
use super::receiver::Behaviour;
use super::{Bench, fanout};
use crate::accounts::BuyerKeys;
use crate::compare::alternate;
use crate::error::BoxError;
use crate::report;
use crate::report::{Run, Runs};
use crate::scenario::subscribers::{Schedule, Subscribers};
use crate::target::Target;

/// Names of the figures of the projection's process: its CPU time per change, and that less what it
/// uses at rest.
const PROJECTION: [&str; 2] = ["projection µs/op", "projection µs/op beyond rest"];
/// Names of the same figures of the process with the fan-out and the dispatcher.
const WEBHOOKS: [&str; 2] = ["webhooks µs/op", "webhooks µs/op beyond rest"];

/// Largest number of changes in a run, as markers number them.
const MOST_CHANGES: u64 = 999_999;

#[derive(Args)]
pub(crate) struct Beside {
    /// Number of endpoints in every other run; the runs between have none. Each buyer has 20
    #[arg(long, default_value_t = 10_000)]
    endpoints: usize,
    /// Number of sockets that subscribe to the changes
    #[arg(long, default_value_t = 10)]
    sockets: usize,
    /// Changes per second, each of which is owed to every endpoint. The fan-out must be able to
    /// follow: if the time until it is complete grows with the length of a run, the rate is too
    /// high
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// Length of a run, and of the rest before it, in seconds. CPU time is counted in steps of
    /// 10 ms, so a short run with few changes tells little about it
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

/// Seller whose changes are measured, and the buyers with access to it.
struct Market {
    /// Target whose seller makes the changes.
    target: Target,
    owners: Owners,
    subscribers: BuyerKeys,
}

/// CPU times used so far by the processes that work on changes, at one moment.
#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    projection: Duration,
    webhooks: Duration,
}

impl Beside {
    pub(super) async fn run(self, bench: &Bench<'_>) -> Result<(), BoxError> {
        self.check()?;
        let market = self.market(bench.target).await?;

        let measure = async |endpoints: usize| {
            let run = self.measure(bench, &market, endpoints).await?;
            without_faults(run)
        };
        let alone = ("no endpoints", async || measure(0).await);
        let beside = ("beside endpoints", async || measure(self.endpoints).await);
        let (alone, beside) = alternate(bench.target.compare, alone, beside).await?;

        self.print(&alone, &beside);
        Ok(())
    }

    fn check(&self) -> Result<(), BoxError> {
        if self.sockets == 0 || self.endpoints == 0 {
            return Err("--sockets and --endpoints must be at least 1".into());
        }

        // A rate that is negative or not a number comes to 0 changes, an infinite one to too many.
        let changes = self.schedule().changes();
        if !(1..=MOST_CHANGES).contains(&changes) {
            return Err(format!(
                "--rate times --seconds must be between 1 and {MOST_CHANGES} changes, not {changes}"
            )
            .into());
        }
        Ok(())
    }

    fn schedule(&self) -> Schedule {
        Schedule {
            rate: self.rate,
            seconds: self.seconds,
        }
    }

    /// Creates a seller with nothing but what this scenario needs. The owners have access in all
    /// runs, so that the runs differ in their endpoints only.
    async fn market(&self, target: &Target) -> Result<Market, BoxError> {
        let admin = target.admin()?;
        let seller = admin
            .create_seller("loadgen seller beside endpoints")
            .await?;
        let owners =
            Owners::create(&admin, "loadgen beside endpoints", self.endpoints, seller).await?;
        let subscribers = admin.buyer_keys(self.sockets, |_| seller).await?;

        let target = Target {
            seller_key: admin.issue_key(seller).await?,
            ..target.clone()
        };
        Ok(Market {
            target,
            owners,
            subscribers,
        })
    }

    async fn measure(
        &self,
        bench: &Bench<'_>,
        market: &Market,
        count: usize,
    ) -> Result<Run, BoxError> {
        let target = &market.target;
        let behaviours = vec![Behaviour::Answers; count];
        let endpoints = Endpoints::register(target, &market.owners, &behaviours).await?;
        endpoints.set_paused(true).await?;

        // Two purposes: what the processes use without any change is subtracted below, and
        // PostgreSQL gets over the endpoints that were just registered, or deleted after the run
        // before.
        let at_rest = self.rest(bench).await?;

        // Opened after the rest, in which nobody would have answered the gateway's pings.
        let payload = |_| target.all_changes(None);
        let sockets = 0..self.sockets;
        let subscribers =
            Subscribers::of_dealwire(target, &market.subscribers, sockets, payload).await?;

        let inserted_before = fanout::inserted(bench).await?;
        let before = Sample::of(bench)?;
        let mut run = subscribers
            .measure_schedule(target, self.schedule())
            .await?;

        // The projection is done when the last change has arrived, since a change is pushed after
        // it is projected. The fan-out may still be at work, and its CPU time counts to the end.
        let pushed = Sample::of(bench)?;
        fanout::wait_until_complete(bench).await?;
        let complete = Sample::of(bench)?;

        // An operation is a change, however many sockets and endpoints it has.
        run.count = self.schedule().changes();
        let projection = pushed.since(before, |sample| sample.projection, &at_rest, run.count);
        let webhooks = complete.since(before, |sample| sample.webhooks, &at_rest, run.count);
        run.figures.extend(PROJECTION.into_iter().zip(projection));
        run.figures.extend(WEBHOOKS.into_iter().zip(webhooks));
        run.figures.push((
            "ms from the last push until the fan-out was complete",
            (complete.at - pushed.at).as_secs_f64() * 1e3,
        ));

        let inserted = fanout::inserted(bench)
            .await?
            .saturating_sub(inserted_before);
        let faults = check_and_delete(&endpoints, run.count, inserted).await?;
        run.faults.extend(faults);
        Ok(run)
    }

    /// Waits for the length of a run, and returns the samples from before and after.
    async fn rest(&self, bench: &Bench<'_>) -> Result<[Sample; 2], BoxError> {
        let before = Sample::of(bench)?;
        sleep(Duration::from_secs(self.seconds)).await;
        let after = Sample::of(bench)?;

        Ok([before, after])
    }

    fn print(&self, alone: &Runs, beside: &Runs) {
        let Self {
            endpoints,
            sockets,
            rate,
            seconds,
        } = self;
        let title = format!(
            "webhooks: {rate} changes/s to {sockets} sockets, {seconds} s a run, without endpoints \
             and beside {endpoints} paused ones that are owed each change; an operation is a \
             change, the server the gateway"
        );
        report::print_beside(&title, alone, beside);

        let factor = |name: &str| beside.figure(name) / alone.figure(name);
        let [projection, projection_beyond_rest] = PROJECTION.map(factor);
        println!(
            "{:<16} {projection:>8.2} times the projection's CPU, \
             {projection_beyond_rest:.2} beyond rest",
            ""
        );
    }
}

impl Sample {
    fn of(bench: &Bench<'_>) -> Result<Self, BoxError> {
        Ok(Self {
            at: Instant::now(),
            projection: bench.projection.cpu_time()?,
            webhooks: bench.dispatcher.cpu_time()?,
        })
    }

    /// Returns the CPU time of one of the processes per change since an earlier sample, in
    /// microseconds: all of it, and less what the process used in the same time at rest.
    fn since(
        self,
        before: Self,
        process: impl Fn(&Self) -> Duration,
        [rest_before, rest_after]: &[Self; 2],
        changes: u64,
    ) -> [f64; 2] {
        let used = (process(&self) - process(&before)).as_secs_f64();
        let at_rest = (process(rest_after) - process(rest_before)).as_secs_f64();
        let rest_length = (rest_after.at - rest_before.at).as_secs_f64();

        // The difference may be negative in a run that is too short, which a duration cannot be.
        let beyond_rest = used - at_rest * (self.at - before.at).as_secs_f64() / rest_length;
        [used, beyond_rest].map(|seconds| seconds * 1e6 / changes as f64)
    }
}

/// Checks that every endpoint is owed every change and was not called, and deletes the endpoints.
/// Returns the number of faults by name.
async fn check_and_delete(
    endpoints: &Endpoints<'_>,
    changes: u64,
    inserted: u64,
) -> Result<Vec<(&'static str, u64)>, BoxError> {
    let counts = endpoints
        .wait_for_counts(|_, counts| counts.owed >= changes)
        .await?;

    // Where there are no endpoints of this run, nobody else's may be in the market either, or the
    // runs without would not be without.
    let expected = changes * counts.len() as u64;
    let called = endpoints.receiver.answered() + endpoints.receiver.unrecognised();
    let mut faults = vec![
        (
            "deliveries inserted beyond those owed, or missing",
            inserted.abs_diff(expected),
        ),
        ("calls to paused endpoints", called),
    ];

    faults.extend(endpoints.delete_and_check(changes, 0, &counts).await?);
    Ok(faults)
}

/// Returns the run if it has no faults.
///
/// # Errors
/// A change did not arrive or is not owed, so that the figures would be those of less work.
fn without_faults(run: Run) -> Result<Run, BoxError> {
    let faults: Vec<String> = run
        .faults
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name}: {count}"))
        .collect();

    if faults.is_empty() {
        return Ok(run);
    }
    Err(format!(
        "the run did not do the work that it measures ({})",
        faults.join("; ")
    )
    .into())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Sample;

    #[test]
    fn cpu_time_at_rest_is_subtracted_for_as_long_as_the_run_took() {
        let start = Instant::now();
        let sample = |seconds: u64, cpu_millis: u64| Sample {
            at: start + Duration::from_secs(seconds),
            projection: Duration::from_millis(cpu_millis),
            webhooks: Duration::ZERO,
        };

        // 2 ms a second at rest, then 60 ms in 10 s with 4 changes.
        let rest = [sample(0, 100), sample(5, 110)];
        let used = sample(20, 180).since(sample(10, 120), |sample| sample.projection, &rest, 4);

        assert_eq!(used.map(f64::round), [15_000.0, 10_000.0]);
    }
}
