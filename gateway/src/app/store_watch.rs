//! Periodic checks of the event log, the live bus and the databases, reported in `/health/ready`.

use std::convert::Infallible;
use std::time::Duration;

use backbone::Error;
use backbone::health::{Health, Part};
use backbone::telemetry::Metrics;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::progress::ProgressWatch;
use crate::backends::Backends;
use crate::settings::Roles;

/// Pause between two rounds of checks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Pause while the process is not ready. The stores wait for each other: the log is proven by tables that may have to be
/// made first.
const INTERVAL_UNTIL_READY: Duration = Duration::from_millis(200);

/// Time after which a check counts as failed. Longer than the interval, so that a slow store is not reported as down.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks of the stores that this process needs; `None` for those that its roles do not use.
pub(super) struct StoreWatch {
    backends: Backends,
    health: Health,
    log: Part,
    bus: Option<Part>,
    seller_database: Option<Part>,
    buyer_database: Option<Part>,
    progress: Option<ProgressWatch>,
}

impl StoreWatch {
    /// Registers a health part for each store that `roles` need.
    pub(super) fn new(
        backends: Backends,
        roles: Roles,
        health: &Health,
        metrics: &Metrics,
    ) -> Self {
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
            health: health.clone(),
            log: health.part("event log"),
            bus: needs_bus.then(|| health.part("live bus")),
            seller_database: needs_seller_database.then(|| health.part("seller database")),
            buyer_database: needs_buyer_database.then(|| health.part("buyer database")),
            progress: gateway.then(|| ProgressWatch::new(health, metrics)),
        }
    }

    /// Migrates the databases once they answer, and keeps checking all stores until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let progress = self.progress.take();
        // Side by side, so that a store that hangs, or a migration that takes an hour, does not
        // delay the reports about the others.
        let watches = async {
            tokio::join!(
                self.watch_log(),
                self.watch_bus(),
                self.watch_sellers(),
                self.watch_buyers(),
                self.watch_progress(progress),
            )
        };

        let _stopped = stop.run_until_cancelled(watches).await;
        Ok(())
    }

    /// Reports the log as away rather than down: without it mutations fail, while queries and pushes go on.
    async fn watch_log(&self) {
        loop {
            match check(self.backends.log.check()).await {
                Ok(()) => self.log.up(),
                Err(why) => self.log.away(why),
            }

            let is_ready = self.health.down().is_empty();
            sleep(if is_ready {
                INTERVAL
            } else {
                INTERVAL_UNTIL_READY
            })
            .await;
        }
    }

    async fn watch_progress(&self, progress: Option<ProgressWatch>) {
        let Some(mut progress) = progress else { return };
        loop {
            // A store that does not answer is reported by the others.
            let _unanswered = timeout(CHECK_TIMEOUT, progress.look(&self.backends)).await;
            sleep(INTERVAL).await;
        }
    }

    async fn watch_bus(&self) {
        let Some(part) = &self.bus else { return };
        loop {
            check_bus(&self.backends, part);
            sleep(INTERVAL).await;
        }
    }

    async fn watch_sellers(&self) {
        let Some(part) = &self.seller_database else {
            return;
        };

        let sellers = &self.backends.sellers;
        migrate(part, || sellers.migrate(), || sellers.migration()).await;
        loop {
            report(part, sellers.checkpoint()).await;
            sleep(INTERVAL).await;
        }
    }

    async fn watch_buyers(&self) {
        let Some(part) = &self.buyer_database else {
            return;
        };

        let buyers = &self.backends.buyers;
        migrate(
            part,
            || self.backends.migrate_buyers(),
            || buyers.migration(),
        )
        .await;
        loop {
            report(part, buyers.checkpoint()).await;
            sleep(INTERVAL).await;
        }
    }
}

/// Migrates a database, however long that takes, and reports meanwhile what the migration is doing. Once is enough: a
/// schema does not go back.
async fn migrate<F: Future<Output = Result<(), Error>>>(
    part: &Part,
    run: impl Fn() -> F,
    progress: impl Fn() -> Option<String>,
) {
    loop {
        let done = tokio::select! {
            done = run() => done,
            never = tell(part, &progress) => match never {},
        };

        match done {
            Ok(()) => return,
            // Down rather than away: what the process does for this database's side of the market
            // is refused or stands still.
            Err(why) => part.down(why),
        }

        sleep(INTERVAL).await;
    }
}

/// Reports what a migration is doing, for as long as it does.
async fn tell(part: &Part, progress: &impl Fn() -> Option<String>) -> Infallible {
    loop {
        sleep(INTERVAL).await;
        if let Some(now) = progress() {
            part.down(now);
        }
    }
}

/// Reports the bus as away rather than down: without it the feed is polled, so pushes are slower but complete.
fn check_bus(backends: &Backends, part: &Part) {
    if backends.bus.is_up() {
        part.up();
    } else {
        part.away(backends.bus.trouble().as_deref().unwrap_or("not connected"));
    }
}

/// Sets the state of `part` by the outcome of `call`.
async fn report<T>(part: &Part, call: impl Future<Output = Result<T, Error>>) {
    match check(call).await {
        Ok(()) => part.up(),
        // As for a migration that fails.
        Err(why) => part.down(why),
    }
}

/// Runs `call` under the time limit of a check. Returns the reason when it fails.
async fn check<T>(call: impl Future<Output = Result<T, Error>>) -> Result<(), String> {
    match timeout(CHECK_TIMEOUT, call).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {CHECK_TIMEOUT:?}")),
    }
}
