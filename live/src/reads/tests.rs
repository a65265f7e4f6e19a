//! Pages from Views compared with the tables, in a random order of everything that can happen between them.
//!
//! `DEALWIRE_TEST_SEED` replays a run, and `DEALWIRE_TEST_STEPS` makes it longer.

mod dice;
mod gateway;
mod history;
mod run;
mod walk;

use buyer_core::on_both_backends;
use buyer_core::testkit::Market;

use run::Run;

/// Number of steps of a run if the environment names none.
const STEPS: u64 = 1_000;

on_both_backends!(Market; pages_from_memory_are_the_pages_of_the_tables);

async fn pages_from_memory_are_the_pages_of_the_tables(market: Market) {
    // Goal: an answer from memory is what the tables would answer, and paging with a subscription after it loses nothing.
    // Method: writes, grants, revocations, rebuilt tables, announcements that are late, partial or lost, expired signs of
    // life, and reads that are overtaken, at two gateways over one database, in an order that follows from a seed. Proven:
    // every answer equals the statement's at the position that it shows; no gateway's positions go back, nor below what
    // the caller named; and every deal is on a page of a walk or among the changes after its first page.
    let seed = number("DEALWIRE_TEST_SEED").unwrap_or(1);
    let steps = number("DEALWIRE_TEST_STEPS").unwrap_or(STEPS);

    let _hint = ReplayHint(seed);
    let mut run = Run::start(market, seed).await;
    for _ in 0..steps {
        run.step().await;
    }

    run.finish();
}

/// Says how to replay the run if it fails.
struct ReplayHint(u64);

impl Drop for ReplayHint {
    #[expect(clippy::print_stderr, reason = "a test reports to whoever runs it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay this run with DEALWIRE_TEST_SEED={}", self.0);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the settings of the service are not concerned"
)]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;

    Some(text.parse().expect("the variable holds a number"))
}
