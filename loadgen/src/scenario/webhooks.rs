//! Deliveries of webhooks: buyers register endpoints that lead to a receiver of ours, a seller makes changes, and what
//! comes is held against what was made and against what Dealwire says of it.
//!
//! The server must take `http://127.0.0.1`: `DEALWIRE_WEBHOOK_ALLOW_HTTP=true`,
//! `DEALWIRE_WEBHOOK_ALLOW_NET=127.0.0.0/8`.

mod changes;
mod dead;
mod drain;
mod endpoints;
mod hanging;
mod receiver;
mod steady;
mod tally;

use std::time::Duration;

use clap::{Args, Subcommand};
use url::Url;

use self::changes::{Changes, Made};
use self::endpoints::{Counts, Endpoints};
use self::receiver::Manner;
use self::tally::tally;
use super::Server;
use crate::compare::Meter;
use crate::process::Process;
use crate::report::Run;
use crate::{Failed, Target};

#[derive(Args)]
pub(crate) struct Webhooks {
    #[command(subcommand)]
    mode: Mode,
    /// A URL of the process that calls, whose CPU and memory are told; the gateway's unless told otherwise
    #[arg(long, global = true)]
    dispatcher: Option<Url>,
    /// A URL of the process of the buyer projection, whose CPU is told; the gateway's unless told otherwise
    #[arg(long, global = true)]
    projection: Option<Url>,
}

#[derive(Subcommand)]
enum Mode {
    /// Changes at a rate, or as fast as they can be made, each to every endpoint
    Steady(steady::Steady),
    /// What paused endpoints have collected, once they are called again
    Drain(drain::Drain),
    /// Endpoints that answer, beside others that do not, and the same with all answering
    Hanging(hanging::Hanging),
    /// An endpoint that answers, beside dead ones with many deliveries pending, and before there were any
    Dead(dead::Dead),
}

/// What is measured: the market, and the processes that do the work.
struct Bench<'a> {
    target: &'a Target,
    dispatcher: Process,
    projection: Process,
}

/// What the projection's process uses from here on.
struct Projection {
    process: Process,
    before: Duration,
}

impl Webhooks {
    pub(crate) async fn run(self, target: &Target) -> Result<(), Failed> {
        let process = |url: &Option<Url>| {
            Ok::<_, Failed>(Server::at(url.as_ref().unwrap_or(&target.url))?.process)
        };
        let (dispatcher, projection) = (process(&self.dispatcher)?, process(&self.projection)?);
        let bench = Bench {
            target,
            dispatcher,
            projection,
        };
        match self.mode {
            Mode::Steady(mode) => mode.run(&bench).await,
            Mode::Drain(mode) => mode.run(&bench).await,
            Mode::Hanging(mode) => mode.run(&bench).await,
            Mode::Dead(mode) => mode.run(&bench).await,
        }
    }
}

impl Bench<'_> {
    /// Measures changes from when they are made until the endpoints that answer have been called for all of them. The
    /// latencies are those of the first `measured` endpoints. The endpoints are deleted then.
    async fn watch(
        &self,
        endpoints: &Endpoints<'_>,
        changes: Changes,
        measured: usize,
    ) -> Result<Run, Failed> {
        let (projection, meter) = (self.projection()?, Meter::start(self.dispatcher)?);
        let made = changes
            .make(self.target, endpoints.receiver.begun())
            .await?;
        let (counts, mut run) = self
            .take_all(endpoints, meter, made, measured, None)
            .await?;
        run.figures.push(("p95 ms", run.quantile(0.95)));
        projection.tell(self, &mut run)?;
        if !matches!(changes, Changes::Paced { .. }) {
            let making = Duration::from_micros(made.last - made.first).as_secs_f64();
            let calls = endpoints.receiver.calls();
            let meanwhile = calls
                .iter()
                .flatten()
                .filter(|call| call.arrived <= made.last)
                .count();
            run.figures
                .push(("changes/s", made.changes as f64 / making));
            run.figures.push((
                "deliveries/s while changes were made",
                meanwhile as f64 / making,
            ));
        }
        run.faults
            .extend(endpoints.end(made.changes, run.count, &counts).await?);
        Ok(run)
    }

    /// Waits until all that was made has come and is accounted for. `from`: when deliveries could begin, if that was
    /// not when the first change was made, in microseconds since the run began; latencies then count from there.
    async fn take_all(
        &self,
        endpoints: &Endpoints<'_>,
        meter: Meter,
        made: Made,
        measured: usize,
        from: Option<u64>,
    ) -> Result<(Vec<Counts>, Run), Failed> {
        endpoints
            .called(made.changes * endpoints.answering() as u64)
            .await;
        let settled = |manner, counts: Counts| {
            counts.owed >= made.changes && (manner != Manner::Answers || counts.pending == 0)
        };
        let counts = endpoints.settled(settled).await?;
        let tally = tally(&endpoints.receiver.calls(), made.changes, measured, from);
        let mut run = meter.stop(tally.deliveries, tally.latencies, tally.faults)?;
        run.wall = Duration::from_micros(tally.last.saturating_sub(from.unwrap_or(made.first)));
        run.faults
            .push(("calls that are no deliveries", endpoints.receiver.strange()));
        Ok((counts, run))
    }

    fn projection(&self) -> Result<Projection, Failed> {
        Ok(Projection {
            process: self.projection,
            before: self.projection.cpu()?,
        })
    }
}

impl Projection {
    /// Tells what it has used for each delivery, where it is another process than the dispatcher's.
    fn tell(self, bench: &Bench<'_>, run: &mut Run) -> Result<(), Failed> {
        if self.process != bench.dispatcher {
            let used = self.process.cpu()? - self.before;
            run.figures.push((
                "projection µs/op",
                used.as_secs_f64() * 1e6 / run.count.max(1) as f64,
            ));
        }
        Ok(())
    }
}
