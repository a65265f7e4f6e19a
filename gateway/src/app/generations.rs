//! The watch over generations of the tables: rendered objects of one are not those of the next.

use std::time::Duration;

use backbone::Error;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::backends::Backends;
use crate::graphql::Executor;

/// Pause between two looks. Until the next one, a deal whose row a rebuild has mended may be shown as it was.
const INTERVAL: Duration = Duration::from_secs(1);

/// Drops rendered objects whenever the tables of a side were built anew, until `stop`.
pub(super) async fn run(
    backends: Backends,
    executor: Executor,
    stop: CancellationToken,
) -> Result<(), Error> {
    let mut known = [None, None];
    let mut is_changed = false;

    loop {
        let generations = read(&backends).await;
        let was_changed = is_changed;
        is_changed = known
            .iter()
            .zip(&generations)
            .any(|(known, now)| known.is_some() && now.is_some() && known != now);

        // Once more after the change: a request that had read the old tables may have kept what it rendered since.
        if is_changed || was_changed {
            executor.forget_rendered();
        }
        for (known, now) in known.iter_mut().zip(generations) {
            *known = now.or(*known);
        }

        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sleep(INTERVAL) => {}
        }
    }
}

/// Returns the generations of both sides; `None` of one whose database does not answer.
async fn read(backends: &Backends) -> [Option<i32>; 2] {
    let (sellers, buyers) =
        tokio::join!(backends.sellers.checkpoint(), backends.buyers.checkpoint());

    [sellers, buyers].map(|checkpoint| checkpoint.ok().map(|checkpoint| checkpoint.generation))
}
