//! Retention of the feed, which waits for the fan-out in bounds.

use backbone::position::Sequence;
use backbone::telemetry::Metrics;
use webhooks::{Fanout, Renderer};

use super::kit::NOWHERE;
use crate::market::{ANN, HOUR, Market};
use crate::on_both_backends;

on_both_backends!(Market; feed_waits_for_the_fanout,
    fanout_that_was_away_too_long_gets_what_is_left,
);

/// Projects 35 changes of one deal, which an endpoint is owed. Returns their sequences.
async fn changes(market: &Market) -> Vec<Sequence> {
    let deal = market.create(ANN).await;
    let mut sequences = vec![market.log.head().await.unwrap()];
    for _ in 1..35 {
        sequences.push(market.change(deal).await);
    }
    market.project_only().await;

    sequences
}

async fn drop_old_changes(market: &Market) -> Sequence {
    let read = market.webhooks().fanned_out().await.unwrap();
    market.side.drop_old_changes(read).await.unwrap()
}

async fn feed_waits_for_the_fanout(market: Market) {
    let id = market.subscribed(ANN, NOWHERE).await;
    let read = market.webhooks().fanned_out().await.unwrap();
    let expected = changes(&market).await;
    market.clock.advance(HOUR * 3);
    market.create(ANN).await;
    market.project_only().await;

    // Older than the feed keeps changes, but not read.
    assert!(drop_old_changes(&market).await <= read);

    market.project().await;
    assert_eq!(market.sequences(id).await[..35], expected);
    assert!(drop_old_changes(&market).await > expected[20]);
}

async fn fanout_that_was_away_too_long_gets_what_is_left(market: Market) {
    let id = market.subscribed(ANN, NOWHERE).await;
    let expected = changes(&market).await;
    market.clock.advance(HOUR * 5);
    market.create(ANN).await;
    let kept = market.log.head().await.unwrap();
    market.project_only().await;
    let before = market.webhooks().fanned_out().await.unwrap();
    let horizon = drop_old_changes(&market).await;
    assert!(horizon > expected[20], "{horizon}");

    let metrics = Metrics::new();
    let mut fanout = Fanout::new(market.webhooks(), Renderer::standard(), &metrics);
    fanout.run_to_end().await.unwrap();
    let left: Vec<Sequence> = expected
        .iter()
        .copied()
        .filter(|sequence| *sequence > horizon)
        .chain([kept])
        .collect();
    assert_eq!(market.sequences(id).await, left);

    let missed = format!("webhook_fanout_missed_total {}\n", horizon - before);
    let text = metrics.encode();
    assert!(text.contains(&missed), "{missed} in {text}");
    market.check_sums().await;
}
