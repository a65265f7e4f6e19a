//! Periodic checks of the event log, the live bus and the databases, reported in `/health/ready`.

use std::time::Duration;

use backbone::Error;
use backbone::health::{Health, Part};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::backends::Backends;
use crate::settings::Roles;

/// Pause between two rounds of checks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Time after which a check counts as failed. Longer than the interval, so that a slow store is not reported as down.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks of the stores that this process needs; `None` for those that its roles do not use.
pub(super) struct StoreWatch {
    backends: Backends,
    log: Part,
    bus: Option<Part>,
    seller_database: Option<DatabaseWatch>,
    buyer_database: Option<DatabaseWatch>,
}

/// Health of one database, and whether this process has migrated it yet.
struct DatabaseWatch {
    part: Part,
    migrated: bool,
}

impl StoreWatch {
    /// Registers a health part for each store that `roles` need.
    pub(super) fn new(backends: Backends, roles: Roles, health: &Health) -> Self {
        let Roles {
            gateway,
            seller,
            buyer,
            webhooks,
        } = roles;
        let needs_bus = gateway || buyer || webhooks;
        let needs_seller_database = gateway || seller;
        let needs_buyer_database = gateway || buyer || webhooks;

        Self {
            backends,
            log: health.part("event log"),
            bus: needs_bus.then(|| health.part("live bus")),
            seller_database: needs_seller_database
                .then(|| DatabaseWatch::new(health.part("seller database"))),
            buyer_database: needs_buyer_database
                .then(|| DatabaseWatch::new(health.part("buyer database"))),
        }
    }

    /// Migrates the databases once they answer, and keeps checking all stores until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let Self {
            backends,
            log,
            bus,
            mut seller_database,
            mut buyer_database,
        } = self;
        loop {
            // Side by side, so that a store that hangs does not delay the report about the others.
            tokio::join!(
                check_log(&backends, &log),
                check_sellers(&backends, seller_database.as_mut()),
                check_buyers(&backends, buyer_database.as_mut()),
            );
            if let Some(part) = &bus {
                check_bus(&backends, part);
            }

            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(INTERVAL) => {}
            }
        }
    }
}

impl DatabaseWatch {
    fn new(part: Part) -> Self {
        Self {
            part,
            migrated: false,
        }
    }
}

/// Reports the log as away rather than down: without it mutations fail, while queries and pushes go on.
async fn check_log(backends: &Backends, part: &Part) {
    match check(backends.log.epoch()).await {
        Ok(()) => part.up(),
        Err(why) => part.away(why),
    }
}

async fn check_sellers(backends: &Backends, watch: Option<&mut DatabaseWatch>) {
    let Some(DatabaseWatch { part, migrated }) = watch else {
        return;
    };

    // Once is enough: a schema does not go back, and every migration run takes the lock that other
    // processes wait for.
    *migrated = *migrated || report(part, backends.sellers.migrate()).await;
    if *migrated {
        report(part, backends.sellers.checkpoint()).await;
    }
}

async fn check_buyers(backends: &Backends, watch: Option<&mut DatabaseWatch>) {
    let Some(DatabaseWatch { part, migrated }) = watch else {
        return;
    };

    *migrated = *migrated || report(part, backends.migrate_buyers()).await;
    if *migrated {
        report(part, backends.buyers.checkpoint()).await;
    }
}

/// Reports the bus as away rather than down: without it the feed is polled, so pushes are slower but complete.
fn check_bus(backends: &Backends, part: &Part) {
    if backends.bus.is_up() {
        part.up();
    } else {
        part.away("not connected");
    }
}

/// Sets the state of `part` by the outcome of `call`. Returns whether the call succeeded.
async fn report<T>(part: &Part, call: impl Future<Output = Result<T, Error>>) -> bool {
    let outcome = check(call).await;

    match &outcome {
        Ok(()) => part.up(),
        // Down rather than away: what the process does for this database's side of the market is
        // refused or stands still.
        Err(why) => part.down(why),
    }
    outcome.is_ok()
}

/// Runs `call` under the time limit of a check. Returns the reason when it fails.
async fn check<T>(call: impl Future<Output = Result<T, Error>>) -> Result<(), String> {
    match timeout(CHECK_TIMEOUT, call).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {CHECK_TIMEOUT:?}")),
    }
}
