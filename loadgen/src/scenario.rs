//! What is measured.

mod audience;
pub(crate) mod burst;
pub(crate) mod fanout;
pub(crate) mod idle;
pub(crate) mod interest;
pub(crate) mod mutate;
pub(crate) mod project;
pub(crate) mod query;
pub(crate) mod resume;
pub(crate) mod stalled;
pub(crate) mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::time::interval_at;
use url::Url;

use crate::client::{Http, Socket, address};
use crate::compare::{Meter, with_limit};
use crate::limit::Limit;
use crate::process::Process;
use crate::report::{Run, Runs, latencies};
use crate::{Failed, Target};

/// Sockets that are opened at a time.
const OPENING: usize = 64;

/// How requests are made.
#[derive(Args, Clone, Copy)]
pub(crate) struct Pace {
    /// Connections, each of one request at a time
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Length of a run
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Requests a second over all connections, whatever the answers take, so that both servers do the same work;
    /// without it each connection asks again as soon as it has its answer
    #[arg(long)]
    rate: Option<f64>,
}

impl std::fmt::Display for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            connections,
            seconds,
            rate,
        } = self;
        match rate {
            Some(rate) => write!(
                f,
                "{rate} a second over {connections} connections, {seconds} s a run"
            ),
            None => write!(
                f,
                "as fast as {connections} connections can, {seconds} s a run"
            ),
        }
    }
}

/// A server that answers requests, and its process.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    process: Process,
}

impl Server {
    fn at(url: &Url) -> Result<Self, Failed> {
        let address = address(url)?;
        Ok(Self {
            address,
            process: Process::listening_on(address.port())?,
        })
    }

    /// Sends requests. `request(connection, number)` makes the bytes; an answer that speaks of errors is a fault. With
    /// a rate, the time of an answer counts from when its request was due.
    async fn hammer(
        &self,
        pace: Pace,
        request: impl Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static,
    ) -> Result<Run, Failed> {
        let request = Arc::new(request);
        let meter = Meter::start(self.process)?;
        let begun = Instant::now();
        let until = begun + Duration::from_secs(pace.seconds);
        let workers = (0..pace.connections).map(|connection| {
            let (request, address) = (Arc::clone(&request), self.address);
            let gap = pace
                .rate
                .map(|rate| Duration::from_secs_f64(pace.connections as f64 / rate));
            tokio::spawn(async move {
                let mut http = Http::open(address).await?;
                let (mut seen, mut errors, mut number) = (latencies(), 0, 0);
                let mut due = gap.map(|gap| {
                    let first = begun + gap.mul_f64(connection as f64 / pace.connections as f64);
                    interval_at(first.into(), gap)
                });
                while Instant::now() < until {
                    let bytes = request(connection, number);
                    let asked = match &mut due {
                        Some(due) => due.tick().await.into_std(),
                        None => Instant::now(),
                    };
                    let answer = http.call(&bytes).await?;
                    seen.saturating_record(asked.elapsed().as_micros() as u64);
                    errors += u64::from(answer.windows(9).any(|window| window == br#""errors":"#));
                    number += 1;
                }
                Ok::<_, Failed>((seen, errors))
            })
        });
        let (mut all, mut errors) = (latencies(), 0);
        for worker in futures_util::future::try_join_all(workers).await? {
            let (seen, wrong) = worker?;
            all.add(seen)?;
            errors += wrong;
        }
        meter.stop(all.len(), all, vec![("answers with errors", errors)])
    }
}

/// Hammers Dealwire and its limit with the same requests, in turns.
async fn hammer_in_turns<R: Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static>(
    target: &Target,
    limit: Option<(&str, Limit)>,
    pace: Pace,
    requests: impl Fn() -> R,
) -> Result<(Runs, Option<Runs>), Failed> {
    let dealwire = Server::at(&target.url)?;
    let ours = async || dealwire.hammer(pace, requests()).await;
    let bare = limit.as_ref().map(|(name, limit)| {
        let run = async || {
            let running = limit.start().await?;
            let server = Server {
                address: address(&running.url)?,
                process: running.process,
            };
            server.hammer(pace, requests()).await
        };
        (*name, run)
    });
    with_limit(target.compare, ours, bare).await
}

/// Opens many sockets, a few at a time.
async fn open_all(
    sockets: impl Iterator<Item = impl Future<Output = Result<Socket, Failed>>>,
) -> Result<Vec<Socket>, Failed> {
    use futures_util::stream::{StreamExt, TryStreamExt, iter};
    iter(sockets).buffer_unordered(OPENING).try_collect().await
}
