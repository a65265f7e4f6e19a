//! What sockets that read nothing cost the gateway, and those that do read.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::audience::{Audience, Paced};
use crate::accounts::Keys;
use crate::client::{Http, Socket, address, in_shares};
use crate::compare::alternate;
use crate::market::Written;
use crate::report::Run;
use crate::{Failed, Target, report};

/// How long one of them stays: a little longer than the gateway lets a write wait.
const STAY: Duration = Duration::from_secs(12);
/// Connections that the backlog is made over.
const MAKERS: usize = 32;

#[derive(Args, Clone)]
pub(crate) struct Stalled {
    /// Sockets that read, and are measured
    #[arg(long, default_value_t = 1_000)]
    sockets: usize,
    /// Sockets that subscribe, with as small a receive buffer as the system allows, and read nothing; each comes back
    /// every 12 s from the position where it began
    #[arg(long, default_value_t = 1_000)]
    stalled: usize,
    /// Changes before the runs, which those that read nothing have missed: more than the buffers between hold
    #[arg(long, default_value_t = 2_000)]
    backlog: usize,
    /// Changes a second
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// Length of a run: those that read nothing come back every 12 s
    #[arg(long, default_value_t = 24)]
    seconds: u64,
}

impl Stalled {
    pub(crate) async fn run(self, target: &Target) -> Result<(), Failed> {
        let keys = target.buyers(self.sockets + self.stalled).await?;
        let position = self.backlog(target).await?;
        let open = target.sockets_open().await?;
        let least = Cell::new(None);
        let alone = async || {
            target.let_go(open).await?;
            let run = self.read(target, &keys).await?;
            least.set(least.get().or(Some(run.resident)));
            Ok(run)
        };
        let beside = async || {
            target.let_go(open).await?;
            self.beside(target, &keys, &position, least.get().unwrap_or(0))
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
        let what = format!(
            "{sockets} sockets, {rate} changes/s, {seconds} s a run, alone and beside {stalled} that read nothing"
        );
        report::print_beside(&what, &alone, &beside);
        Ok(())
    }

    /// Makes it; the position before.
    async fn backlog(&self, target: &Target) -> Result<String, Failed> {
        let at = address(&target.url)?;
        let first = Written::by(&mut Http::open(at).await?, &target.create("before", None)).await?;
        let make = async |http: &mut Http, _| http.ask(&target.create("missed", None)).await;
        in_shares(at, MAKERS, self.backlog, make).await?;
        Ok(first.position)
    }

    async fn read(&self, target: &Target, keys: &Keys) -> Result<Run, Failed> {
        let paced = Paced {
            rate: self.rate,
            seconds: self.seconds,
        };
        let all =
            Audience::of_dealwire(target, keys, 0..self.sockets, |_| target.changes(None)).await?;
        all.watch_paced(target, paced).await
    }

    /// `least`: resident memory of the gateway when it first served the readers alone, in bytes.
    async fn beside(
        &self,
        target: &Target,
        keys: &Keys,
        position: &str,
        least: u64,
    ) -> Result<Run, Failed> {
        const CLOSED: [&str; 1] = ["dealwire_sockets_closed_total{code=\"4290\"}"];
        let refused = Arc::new(AtomicU64::new(0));
        let mut stalled = JoinSet::new();
        for number in 0..self.stalled {
            // One after the other over a stay, so that at any time some come back.
            let turn = STAY.mul_f64(number as f64 / self.stalled as f64);
            let key = keys.of(self.sockets + number).to_owned();
            stalled.spawn(stall(
                target.clone(),
                key,
                position.to_owned(),
                turn,
                Arc::clone(&refused),
            ));
        }
        sleep(STAY).await;
        let [before] = target.counted(CLOSED).await?;
        let mut run = self.read(target, keys).await?;
        let [after] = target.counted(CLOSED).await?;
        run.figures
            .push(("closed as too slow", (after - before) as f64));
        let more = run.resident as f64 - least as f64;
        run.figures.push((
            "bytes of memory for each that reads nothing",
            more / self.stalled.max(1) as f64,
        ));
        run.faults.push((
            "times that one could not come back",
            refused.load(Ordering::Relaxed),
        ));
        Ok(run)
    }
}

/// Subscribes and reads nothing, again and again.
async fn stall(
    target: Target,
    key: String,
    position: String,
    turn: Duration,
    refused: Arc<AtomicU64>,
) {
    let (url, payload) = (target.graphql(), target.changes(Some(&position)));
    let come = async || -> Result<Socket, Failed> {
        Socket::open_narrow(&url, address(&url)?)
            .await?
            .subscribe(&key, &payload)
            .await
    };
    sleep(turn).await;
    loop {
        let came = come().await;
        refused.fetch_add(u64::from(came.is_err()), Ordering::Relaxed);
        sleep(STAY).await;
        drop(came);
    }
}
