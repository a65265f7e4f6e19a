//! Guard against a server that is reachable from other machines and holds the demo's public API keys.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::error::StartError;
use crate::backends::Backends;
use crate::demo;

/// Pause between two attempts to look the keys up.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Fails, which ends the process, if the market holds keys of the demo. Returns once that is ruled out.
///
/// # Errors
/// [`StartError::PublicKeys`] when any of the demo's keys is valid in this market.
pub(super) async fn run(
    backends: Backends,
    listen: SocketAddr,
    stop: CancellationToken,
) -> Result<(), StartError> {
    loop {
        // Databases may still be starting. Until they answer, the key ring refuses the demo's keys by itself.
        match demo::is_present(&backends).await {
            Ok(true) => return Err(StartError::PublicKeys(listen)),
            Ok(false) => return Ok(()),
            Err(error) => tracing::debug!(%error, "Could not check for demo keys; will retry"),
        }

        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sleep(RETRY_PAUSE) => {}
        }
    }
}
