//! End of kept calls: an API key can be shown again for a day, and not for longer.

use std::time::Duration;

use backbone::Error;
use backbone::accounts::Accounts;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Pause between two looks for calls that are old. They are not repeated any more by then, only stored.
const INTERVAL: Duration = Duration::from_mins(5);

/// Drops calls that were kept for 24 hours from the seller database, until `stop`.
///
/// # Errors
/// None: the type is that of the process's tasks.
pub async fn run(sellers: Accounts, stop: CancellationToken) -> Result<(), Error> {
    loop {
        if let Err(error) = sellers.drop_old_calls().await {
            // The next look finds them.
            tracing::debug!(%error, "Could not drop old calls: {error}");
        }

        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sleep(INTERVAL) => {}
        }
    }
}
