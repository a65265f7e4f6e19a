//! Servers of a real installation: credentials, permissions and certificates, each with a real server.

mod certificates;
mod nats;
mod postgres;
mod redis;

use std::time::Duration;

use backbone::testkit::wait_for;

/// Time for what must happen on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// Waits until a store says why it cannot be used, in other words than that it is being connected to.
async fn reason(what: &str, mut ask: impl AsyncFnMut() -> Option<String>) -> String {
    wait_for(SOON, what, async || ask().await).await
}
