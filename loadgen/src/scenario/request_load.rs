//! Load of HTTP requests over a fixed number of connections.

mod gateway_work;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::future::try_join_all;
use tokio::time::{Interval, interval_at};

use super::Server;
use crate::client::Http;
use crate::compare::{Meter, alternate_with_limit};
use crate::error::BoxError;
use crate::limit::{Limit, RunningLimit};
use crate::report::{Latencies, Run, Runs, latencies};
use crate::target::Target;
use gateway_work::GatewayWork;

/// Bytes that a JSON body contains if and only if GraphQL reports errors in it.
const ERRORS: &[u8] = br#""errors":"#;

/// Length of a warm-up, in seconds.
const WARM_UP_SECONDS: u64 = 1;

/// Number, duration and rate of the requests of a run.
#[derive(Args, Clone, Copy)]
pub(super) struct RequestLoad {
    /// Number of connections, each with one request at a time
    #[arg(long, default_value_t = 32)]
    pub(super) connections: usize,
    /// Length of a run, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Requests per second over all connections, however long the answers take, so that Dealwire
    /// and its limit do the same work; without it, each connection sends its next request as soon
    /// as it has the answer to the last
    #[arg(long)]
    rate: Option<f64>,
}

/// Measurements of one connection.
struct ConnectionResult {
    latencies: Latencies,
    /// Number of answers with GraphQL errors.
    errors: u64,
}

impl std::fmt::Display for RequestLoad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let connections = self.connections;
        let seconds = self.seconds;

        match self.rate {
            Some(rate) => write!(
                f,
                "{rate} requests/s over {connections} connections, {seconds} s a run"
            ),
            None => write!(
                f,
                "as fast as {connections} connections can, {seconds} s a run"
            ),
        }
    }
}

impl RequestLoad {
    /// Puts the same load on Dealwire and on its limit, in turns. `requests` returns a new function
    /// for each run, which returns the bytes of a request by the connection's number and the
    /// request's number on that connection.
    pub(super) async fn compare<R: Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static>(
        self,
        target: &Target,
        limit: Option<(&str, Limit)>,
        requests: impl Fn() -> R,
    ) -> Result<(Runs, Option<Runs>), BoxError> {
        let dealwire = async || self.run_dealwire(target, requests()).await;

        let limit = limit.as_ref().map(|(name, limit)| {
            let run = async || {
                let running = limit.start().await?;
                self.run_limit(&running, requests()).await
            };
            (*name, run)
        });

        alternate_with_limit(target.compare, dealwire, limit).await
    }

    /// Puts the load on a server for a moment, as fast as it can, without measuring it. Connections
    /// to the database are then open, statements prepared and pages in memory.
    ///
    /// Mutations need none, and their requests must not be sent twice.
    pub(super) async fn warm_up(
        self,
        server: &Server,
        request: impl Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static,
    ) -> Result<(), BoxError> {
        let load = Self {
            seconds: WARM_UP_SECONDS,
            rate: None,
            ..self
        };

        load.run(server, request).await.map(|_| ())
    }

    /// Puts the load on Dealwire, and adds what its gateway did for the requests to the figures.
    pub(super) async fn run_dealwire(
        self,
        target: &Target,
        request: impl Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static,
    ) -> Result<Run, BoxError> {
        let server = Server::at(&target.url)?;

        // The metrics are read before the meter starts and after it has stopped, so that the run
        // does not pay for them.
        let before = GatewayWork::read(target).await?;
        let mut run = self.run(&server, request).await?;
        let after = GatewayWork::read(target).await?;

        run.figures = after.figures_since(before, run.count);
        Ok(run)
    }

    /// Puts the load on a limit.
    pub(super) async fn run_limit(
        self,
        limit: &RunningLimit,
        request: impl Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static,
    ) -> Result<Run, BoxError> {
        self.run(&Server::of_limit(limit)?, request).await
    }

    async fn run(
        self,
        server: &Server,
        request: impl Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static,
    ) -> Result<Run, BoxError> {
        let request = Arc::new(request);
        let meter = Meter::start(server.process)?;
        let started = Instant::now();

        let connections = (0..self.connections).map(|connection| {
            let request = Arc::clone(&request);
            tokio::spawn(self.drive_connection(connection, server.address, started, request))
        });

        let mut all = latencies();
        let mut errors = 0;
        for connection in try_join_all(connections).await? {
            let result = connection?;
            all.add(result.latencies)?;
            errors += result.errors;
        }

        meter.stop(all.len(), all, vec![("answers with errors", errors)])
    }

    async fn drive_connection(
        self,
        connection: usize,
        address: SocketAddr,
        started: Instant,
        request: Arc<impl Fn(usize, u64) -> Vec<u8>>,
    ) -> Result<ConnectionResult, BoxError> {
        let mut http = Http::open(address).await?;
        let mut schedule = self.schedule(connection, started);
        let end = started + Duration::from_secs(self.seconds);

        let mut result = ConnectionResult {
            latencies: latencies(),
            errors: 0,
        };
        let mut number = 0;
        while Instant::now() < end {
            let bytes = request(connection, number);

            // With a rate, latency counts from when the request was due rather than from when it
            // was sent. A slow answer delays the requests behind it, and without this their wait
            // would be left out of the figures (coordinated omission).
            let due = match &mut schedule {
                Some(schedule) => schedule.tick().await.into_std(),
                None => Instant::now(),
            };

            let answer = http.call(&bytes).await?;
            result
                .latencies
                .saturating_record(due.elapsed().as_micros() as u64);
            let has_errors = answer.windows(ERRORS.len()).any(|window| window == ERRORS);
            result.errors += u64::from(has_errors);
            number += 1;
        }

        Ok(result)
    }

    /// Returns the times at which a connection's requests are due, if a rate is given.
    fn schedule(self, connection: usize, started: Instant) -> Option<Interval> {
        let connections = self.connections as f64;
        let gap = Duration::from_secs_f64(connections / self.rate?);

        // The connections begin one after the other within the first gap, so that requests are
        // spread evenly over time. An interval catches up with ticks that it missed, which keeps
        // the number of requests at the rate.
        let first = started + gap.mul_f64(connection as f64 / connections);
        Some(interval_at(first.into(), gap))
    }
}
