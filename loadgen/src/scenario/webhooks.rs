//! Webhook deliveries: buyers register endpoints that lead to a receiver inside loadgen, a seller
//! makes changes, and the calls that arrive are compared with what was changed and with what
//! Dealwire reports about it.
//!
//! The server must be allowed to call plain HTTP on this machine:
//! `DEALWIRE_WEBHOOK_ALLOW_HTTP=true` and `DEALWIRE_WEBHOOK_ALLOW_NET=127.0.0.0/8`.

mod audit;
mod beside;
mod dead;
mod drain;
mod endpoints;
mod fanout;
mod hanging;
mod receiver;
mod steady;
mod workload;

use std::time::Duration;

use clap::{Args, Subcommand};
use url::Url;

use self::audit::audit;
use self::endpoints::{Counts, Endpoints};
use self::receiver::Behaviour;
use self::workload::{Produced, Workload};
use super::Server;
use crate::compare::Meter;
use crate::error::BoxError;
use crate::process::Process;
use crate::report::{Run, micros_per_operation};
use crate::target::Target;

#[derive(Args)]
pub(crate) struct Webhooks {
    #[command(subcommand)]
    mode: Mode,
    /// URL served by the dispatcher's process, whose CPU time and memory are reported [default: the
    /// gateway's]
    #[arg(long, global = true)]
    dispatcher: Option<Url>,
    /// URL served by the buyer projection's process, whose CPU time is reported [default: the
    /// gateway's]
    #[arg(long, global = true)]
    projection: Option<Url>,
}

#[derive(Subcommand)]
enum Mode {
    /// Delivers changes, made at a rate or as fast as possible, to every endpoint
    Steady(steady::Steady),
    /// Delivers the backlog of paused endpoints once they are called again
    Drain(drain::Drain),
    /// Delivers to endpoints that answer, beside others that hang, and again with all answering
    Hanging(hanging::Hanging),
    /// Delivers to one endpoint that answers, before and beside dead endpoints with many pending
    /// deliveries
    Dead(dead::Dead),
    /// Pushes changes to sockets, without endpoints and beside many paused ones that are owed each
    /// change
    Beside(beside::Beside),
}

/// Market under test, and the processes that do the work.
struct Bench<'a> {
    target: &'a Target,
    dispatcher: Process,
    projection: Process,
    /// URL of the metrics of the dispatcher's process.
    dispatcher_metrics: Url,
    /// URL of the metrics of the projection's process.
    projection_metrics: Url,
}

/// Measurement in progress of the projection's CPU time.
struct ProjectionMeter {
    process: Process,
    cpu_before: Duration,
}

impl Webhooks {
    pub(crate) async fn run(self, target: &Target) -> Result<(), BoxError> {
        let dispatcher = self.dispatcher.as_ref().unwrap_or(&target.url);
        let projection = self.projection.as_ref().unwrap_or(&target.url);
        let bench = Bench {
            target,
            dispatcher: Server::at(dispatcher)?.process,
            projection: Server::at(projection)?.process,
            dispatcher_metrics: dispatcher.join("metrics")?,
            projection_metrics: projection.join("metrics")?,
        };

        match self.mode {
            Mode::Steady(mode) => mode.run(&bench).await,
            Mode::Drain(mode) => mode.run(&bench).await,
            Mode::Hanging(mode) => mode.run(&bench).await,
            Mode::Dead(mode) => mode.run(&bench).await,
            Mode::Beside(mode) => mode.run(&bench).await,
        }
    }
}

impl Bench<'_> {
    /// Measures from the first change until the answering endpoints have been called for every
    /// change, and deletes the endpoints. The latencies are those of the first `measured`
    /// endpoints.
    async fn measure(
        &self,
        endpoints: &Endpoints<'_>,
        workload: Workload,
        measured: usize,
    ) -> Result<Run, BoxError> {
        let projection = ProjectionMeter::start(self.projection)?;
        let meter = Meter::start(self.dispatcher)?;

        // Endpoints are registered before the meters start, and calls may arrive while changes are
        // still being made: what is measured is the whole path, not the dispatcher on its own.
        let produced = workload
            .produce(self.target, endpoints.receiver.started())
            .await?;

        let (counts, mut run) = self
            .collect(endpoints, meter, produced, measured, None)
            .await?;
        run.figures.push(("p95 ms", run.quantile(0.95)));
        projection.report(self, &mut run)?;

        // At a fixed rate these figures would only repeat the rate.
        if !matches!(workload, Workload::Paced { .. }) {
            let calls = endpoints.receiver.calls();
            let arrivals = calls.iter().flatten().map(|call| call.arrived_micros);
            run.figures.extend(produced.throughput(arrivals));
        }

        let faults = endpoints
            .delete_and_check(produced.changes, run.count, &counts)
            .await?;
        run.faults.extend(faults);
        Ok(run)
    }

    /// Waits until every change has arrived and is accounted for, and stops the meter.
    ///
    /// `deliverable_from` is the time, in microseconds since the start of the run, from which
    /// deliveries were possible, if that was later than the first change. Latencies and duration
    /// then count from there.
    async fn collect(
        &self,
        endpoints: &Endpoints<'_>,
        meter: Meter,
        produced: Produced,
        measured: usize,
        deliverable_from: Option<u64>,
    ) -> Result<(Vec<Counts>, Run), BoxError> {
        let expected = produced.changes * endpoints.answering() as u64;
        endpoints.wait_for_calls(expected).await;

        // The dispatcher records an answer after the call, so its counts lag behind the receiver's
        // for a moment. They are compared only once nothing is pending; endpoints that do not
        // answer keep their deliveries pending forever.
        let complete = |behaviour, counts: Counts| {
            counts.owed >= produced.changes
                && (behaviour != Behaviour::Answers || counts.pending == 0)
        };

        // Asking for counts costs the gateway CPU time, so it begins only when the calls are over;
        // the wait above looks at the receiver alone.
        let counts = endpoints.wait_for_counts(complete).await?;

        let audit = audit(
            &endpoints.receiver.calls(),
            produced.changes,
            measured,
            deliverable_from,
        );
        let mut run = meter.stop(audit.deliveries, audit.latencies, audit.faults)?;

        // The run ended with the last delivery, not with the wait above.
        let begin = deliverable_from.unwrap_or(produced.first_micros);
        run.wall = Duration::from_micros(audit.last_micros.saturating_sub(begin));
        run.faults.push((
            "calls that are no deliveries",
            endpoints.receiver.unrecognised(),
        ));
        Ok((counts, run))
    }
}

impl ProjectionMeter {
    fn start(process: Process) -> Result<Self, BoxError> {
        Ok(Self {
            process,
            cpu_before: process.cpu_time()?,
        })
    }

    /// Adds the CPU time per delivery to a run's figures. Where the projection runs in the
    /// dispatcher's process, that process's CPU time already includes it.
    fn report(self, bench: &Bench<'_>, run: &mut Run) -> Result<(), BoxError> {
        if self.process != bench.dispatcher {
            let cpu = self.process.cpu_time()? - self.cpu_before;
            run.figures
                .push(("projection µs/op", micros_per_operation(cpu, run.count)));
        }
        Ok(())
    }
}
