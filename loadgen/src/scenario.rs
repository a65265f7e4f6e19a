//! What is measured.

pub(crate) mod fanout;
pub(crate) mod idle;
pub(crate) mod mutate;
pub(crate) mod project;
pub(crate) mod query;
pub(crate) mod resume;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use url::Url;

use crate::Failed;
use crate::client::{Http, Socket, address};
use crate::compare::Meter;
use crate::process::Process;
use crate::report::{Run, latencies};

/// Sockets that are opened at a time.
const OPENING: usize = 64;

/// A server that answers requests, and its process.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    process: Process,
}

impl Server {
    fn at(url: &Url) -> Result<Self, Failed> {
        let address = address(url)?;
        Ok(Self { address, process: Process::listening_on(address.port())? })
    }

    /// Sends requests over connections, each the next as soon as it has its answer. `request(connection, number)` makes
    /// the bytes; an answer that speaks of errors is a fault.
    async fn hammer(
        &self,
        connections: usize,
        time: Duration,
        request: impl Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static,
    ) -> Result<Run, Failed> {
        let request = Arc::new(request);
        let meter = Meter::start(self.process)?;
        let until = Instant::now() + time;
        let workers = (0..connections).map(|connection| {
            let (request, address) = (Arc::clone(&request), self.address);
            tokio::spawn(async move {
                let mut http = Http::open(address).await?;
                let (mut seen, mut errors, mut number) = (latencies(), 0, 0);
                while Instant::now() < until {
                    let bytes = request(connection, number);
                    let asked = Instant::now();
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

/// Opens many sockets, a few at a time.
async fn open_all<F>(count: usize, open: impl Fn(usize) -> F) -> Result<Vec<Socket>, Failed>
where
    F: Future<Output = Result<Socket, Failed>>,
{
    use futures_util::stream::{StreamExt, TryStreamExt, iter};
    iter((0..count).map(open)).buffer_unordered(OPENING).try_collect().await
}
