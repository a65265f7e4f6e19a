//! The accept loop.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use backbone::telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{self, Shared, canonical};
use crate::metrics::Counters;
use crate::settings::Settings;
use crate::slots::{Slot, Slots};
use crate::socket;
use crate::tls::Tls;

/// Time without accepting after a failure such as too many open files, which lasts until some connection ends.
const PAUSE: Duration = Duration::from_millis(100);
/// Time between two log lines about failures to accept.
const LOG_INTERVAL: Duration = Duration::from_secs(1);
/// Time in which a connection that is dropped must reach its next await.
const ABORTING: Duration = Duration::from_millis(200);

/// Bound socket that does not accept connections yet.
pub struct Listener {
    socket: TcpListener,
    settings: Settings,
    counters: Counters,
    tls: Option<Tls>,
    requests: TaskTracker,
}

impl Listener {
    /// Listens on `address` and loads the TLS files. The system chooses the port if it is 0.
    ///
    /// # Errors
    /// Those of the socket, when the address is taken or not local, and an error that names the TLS file which cannot
    /// be used.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn bind(address: SocketAddr, settings: Settings, metrics: &Metrics) -> io::Result<Self> {
        let tls = settings.tls.as_ref().map(Tls::load).transpose()?;
        Ok(Self {
            socket: socket::listen(address)?,
            settings,
            counters: Counters::new(metrics),
            tls,
            requests: TaskTracker::new(),
        })
    }

    /// Returns the bound address.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Returns the tracker of requests whose body or response is not complete; an upgraded connection is none. To
    /// drain, close it and wait for it: requests are still accepted and waited for.
    pub fn requests(&self) -> TaskTracker {
        self.requests.clone()
    }

    /// Accepts connections and gives their requests to `router`, each with a [`Peer`](crate::Peer) as an extension.
    ///
    /// The loop ends with `stopping`: no more connections are accepted, requests may finish for [`Settings::grace`], and
    /// the connections that are left are dropped, whatever clients do. It never ends before. Upgraded connections
    /// belong to their owners and are left alone.
    ///
    /// # Errors
    /// None: failures to accept are logged, and accepting goes on.
    pub async fn serve(
        self,
        router: Router,
        stopping: CancellationToken,
    ) -> Result<(), Infallible> {
        let slots = Slots::new(self.settings.caps, self.counters.clone());
        let shared = Arc::new(Shared {
            slots,
            settings: self.settings,
            counters: self.counters,
            tls: self.tls,
            requests: self.requests,
            stopping,
            // Layers are applied once here instead of for each request.
            router: router.with_state(()),
        });

        let mut connections = JoinSet::new();
        tokio::select! {
            () = accept_all(&shared, &self.socket, &mut connections) => {}
            () = follow_tls_files(&shared) => {}
            () = shared.stopping.cancelled() => {}
        }

        // From here on the system refuses connections, so that clients try another process.
        drop(self.socket);
        finish(connections, shared.settings.grace).await;
        Ok(())
    }
}

/// Accepts connections. Never ends.
async fn accept_all(shared: &Arc<Shared>, socket: &TcpListener, connections: &mut JoinSet<()>) {
    let mut failures = Failures::default();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
        };

        match accepted {
            Ok((tcp, from)) => {
                let from = canonical(from);
                if let Some(slot) = admit(shared, from) {
                    connections.spawn(connection::serve(Arc::clone(shared), tcp, from, slot));
                }
            }
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                failures.log(&error);
                sleep(PAUSE).await;
            }
        }
    }
}

/// Takes a slot for a connection, unless too many are open.
fn admit(shared: &Shared, from: SocketAddr) -> Option<Slot> {
    shared.counters.accepted.inc();
    let slot = shared.slots.take().and_then(|mut slot| {
        // A proxy is not a client. Its connections are counted for the clients that it announces, once they are known.
        if !shared.is_proxy(from.ip()) {
            slot.claim(from.ip())?;
        }
        Ok(slot)
    });

    slot.inspect_err(|&reason| shared.counters.refuse(reason))
        .ok()
}

/// Returns whether a failure to accept concerns only the connection that would have been accepted.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

/// Failures to accept, for the log.
#[derive(Default)]
struct Failures {
    logged: Option<Instant>,
    unlogged: u64,
}

impl Failures {
    fn log(&mut self, error: &io::Error) {
        let now = Instant::now();
        if self
            .logged
            .is_some_and(|logged| now < logged + LOG_INTERVAL)
        {
            self.unlogged += 1;
            return;
        }

        tracing::error!(%error, more = self.unlogged, "cannot accept connections, trying again");
        self.logged = Some(now);
        self.unlogged = 0;
    }
}

async fn follow_tls_files(shared: &Shared) {
    match &shared.tls {
        Some(tls) => {
            tls.follow(shared.settings.tls_check, &shared.counters)
                .await
        }
        None => pending().await,
    }
}

/// Waits for connections to end, and drops those that do not within the grace.
async fn finish(mut connections: JoinSet<()>, grace: Duration) {
    if timeout(grace, all_end(&mut connections)).await.is_ok() {
        return;
    }

    tracing::info!(
        connections = connections.len(),
        "dropping connections that are still open"
    );
    connections.abort_all();
    // A handler that never yields cannot be dropped, and must not hold the shutdown either.
    let _still_running = timeout(ABORTING, all_end(&mut connections)).await;
}

async fn all_end(connections: &mut JoinSet<()>) {
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "the task of a connection panicked");
    }
}
