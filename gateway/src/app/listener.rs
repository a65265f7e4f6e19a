//! The listeners of a process: one for the public API, and one for the probes if they have an address of their own.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use backbone::lifecycle::Lifecycle;
use backbone::telemetry::Metrics;
use listener::{Listener, Settings};

use super::error::StartError;

/// Serves `router` on `address`. Returns the bound address.
///
/// Requests are answered until the process stops, not only until it drains: whoever probes it meanwhile learns that it
/// is not ready. The drain waits for those that are under way.
///
/// # Errors
/// [`StartError::Listen`] when the address is taken or not local, or a TLS file cannot be used.
pub(super) fn serve(
    lifecycle: &Lifecycle,
    address: SocketAddr,
    settings: Settings,
    router: Router,
    metrics: &Metrics,
) -> Result<SocketAddr, StartError> {
    let listen_error = |why| StartError::Listen { address, why };
    let listener = Listener::bind(address, settings, metrics).map_err(listen_error)?;
    let bound = listener.local_addr().map_err(listen_error)?;

    let requests = listener.requests();
    let draining = lifecycle.draining();
    let stopping = lifecycle.stopping();
    lifecycle.spawn("requests", async move {
        draining.cancelled().await;
        requests.close();
        tokio::select! {
            () = requests.wait() => {}
            () = stopping.cancelled() => {}
        }
        Ok::<_, Infallible>(())
    });

    let stopping = lifecycle.stopping();
    lifecycle.spawn_support("listener", listener.serve(router, stopping));
    Ok(bound)
}
