//! Leases: one call at a time of each delivery, whoever dies, and nothing recorded by who lost it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use backbone::telemetry::Metrics;
use backbone::testkit::wait_until;
use tokio::sync::Semaphore;
use webhooks::dispatcher::Limits;
use webhooks::{DeliveryState, WebhookState};

use super::kit::{Moody, ids, states};
use crate::market::{ANN, BUYER, Market};
use crate::on_both_backends;
use backbone::testkit::{Receiver, Reply, Request};

on_both_backends!(Market; dispatchers_beside_each_other_call_each_delivery_once,
    what_a_dispatcher_holds_no_other_claims,
    who_lost_a_lease_records_nothing,
    a_lease_is_kept_while_the_call_goes_on,
    a_call_that_outlives_its_endpoint_records_nothing,
    a_replay_meanwhile_belongs_to_whoever_claims_it_next,
);

const SOON: Duration = Duration::from_secs(10);
/// More than a lease lasts.
const LATE: Duration = Duration::from_secs(16);

async fn dispatchers_beside_each_other_call_each_delivery_once(market: Market) {
    let receiver = Moody::start(200).await;
    let first = market.subscribed(ANN, &receiver.url()).await;
    for _ in 0..3 {
        market.register(&receiver.url()).await;
    }
    let lots = [market.create(ANN).await, market.create(ANN).await];
    for _ in 0..10 {
        market.create(ANN).await;
        market.change(lots[0]).await;
        market.change(lots[1]).await;
    }
    market.project().await;
    let dispatchers = [
        market.dispatcher(),
        market.dispatcher(),
        market.dispatcher(),
    ];
    let mut recorded = 0;
    loop {
        let [one, two, three] = &dispatchers;
        let (one, two, three) = tokio::join!(one.run_once(), two.run_once(), three.run_once());
        let round = one.unwrap() + two.unwrap() + three.unwrap();
        market.check_sums().await;
        if round == 0 {
            break;
        }
        recorded += round;
    }
    let called = receiver.called();
    let distinct: BTreeSet<&String> = called.iter().collect();
    assert_eq!((recorded, called.len(), distinct.len()), (128, 128, 128));
    assert!(
        states(&market.deliveries(first).await)
            .iter()
            .all(|state| *state == DeliveryState::Delivered)
    );
}

async fn what_a_dispatcher_holds_no_other_claims(market: Market) {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let receiver = Receiver::start(move |_| Reply::ok().through(&held)).await;
    let id = market.subscribed(ANN, &receiver.url("/")).await;
    for _ in 0..12 {
        market.create(ANN).await;
    }
    market.project().await;
    let (one, other) = (market.dispatcher(), market.dispatcher());
    let rounds = async {
        let eight = async || receiver.requests().len() == 8;
        wait_until(SOON, "as many calls as one dispatcher may make", eight).await;
        let twelve = async || receiver.requests().len() == 12;
        let freeing = async {
            wait_until(SOON, "the rest from the other", twelve).await;
            gate.add_permits(12);
        };
        tokio::join!(other.run_once(), freeing).0.unwrap()
    };
    let (first, second) = tokio::join!(one.run_once(), rounds);
    assert_eq!((first.unwrap(), second), (8, 4));
    assert_eq!(ids(&receiver).iter().collect::<BTreeSet<_>>().len(), 12);
    assert_eq!(market.webhook(id).await.counts.delivered, 12);
}

/// A receiver that lets the first call wait at a gate, then fails it, and takes all others.
async fn keeps_the_first(gate: &Arc<Semaphore>) -> Receiver {
    let held = Arc::clone(gate);
    Receiver::start(move |request: &Request| match request.number {
        0 => Reply::status(410).through(&held),
        _ => Reply::ok(),
    })
    .await
}

async fn who_lost_a_lease_records_nothing(market: Market) {
    let gate = Arc::new(Semaphore::new(0));
    let receiver = keeps_the_first(&gate).await;
    let id = market.subscribed(ANN, &receiver.url("/")).await;
    let lot = market.create(ANN).await;
    market.change(lot).await;
    market.project().await;
    let metrics = Metrics::new();
    let zombie = market.dispatcher_with(Limits::default(), &metrics);
    let taken_over = async {
        wait_until(SOON, "the call", async || receiver.requests().len() == 1).await;
        let other = market.dispatcher();
        assert_eq!(other.run_once().await.unwrap(), 0, "the lease holds");
        market.clock.advance(LATE);
        assert_eq!(other.run_once().await.unwrap(), 1, "it has run out");
        gate.add_permits(1);
    };
    let (recorded, ()) = tokio::join!(zombie.run_once(), taken_over);
    assert_eq!(recorded.unwrap(), 0);
    assert!(
        metrics
            .encode()
            .contains("dealwire_webhook_leases_lost_total 1\n"),
        "{}",
        metrics.encode()
    );
    let deliveries = market.deliveries(id).await;
    assert_eq!(
        states(&deliveries),
        [DeliveryState::Delivered, DeliveryState::Pending]
    );
    assert_eq!(
        deliveries[0].attempts.len(),
        1,
        "the lost one is no attempt"
    );
    assert_eq!(
        market.webhook(id).await.state,
        WebhookState::Active,
        "and its 410 says nothing"
    );
    market.check_sums().await;
    assert_eq!(market.dispatcher().run_once().await.unwrap(), 1);
}

async fn a_lease_is_kept_while_the_call_goes_on(market: Market) {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let receiver = Receiver::start(move |_| Reply::ok().through(&held)).await;
    let id = market.subscribed(ANN, &receiver.url("/")).await;
    market.create(ANN).await;
    market.project().await;
    let leased_until = async || -> i64 {
        let until: backbone::time::Timestamp = backbone::on_db!(market.db.read(), pool =>
            sqlx::query_scalar("SELECT leased_until FROM webhook_delivery").fetch_one(pool).await)
        .unwrap();
        until.as_micros()
    };
    let dispatcher = market.dispatcher();
    let kept = async {
        wait_until(SOON, "the call", async || receiver.requests().len() == 1).await;
        let before = leased_until().await;
        market.clock.advance(Duration::from_secs(5));
        wait_until(SOON, "the lease to be renewed", async || {
            leased_until().await == before + 5_000_000
        })
        .await;
        market.clock.advance(Duration::from_secs(11));
        assert_eq!(
            market.dispatcher().run_once().await.unwrap(),
            0,
            "the first lease would be over"
        );
        gate.add_permits(1);
    };
    let (recorded, ()) = tokio::join!(dispatcher.run_once(), kept);
    assert_eq!(recorded.unwrap(), 1);
    assert_eq!(market.webhook(id).await.counts.delivered, 1);
}

async fn a_call_that_outlives_its_endpoint_records_nothing(market: Market) {
    let gate = Arc::new(Semaphore::new(0));
    let receiver = keeps_the_first(&gate).await;
    let id = market.subscribed(ANN, &receiver.url("/")).await;
    market.create(ANN).await;
    market.project().await;
    let dispatcher = market.dispatcher();
    let deleted = async {
        wait_until(SOON, "the call", async || receiver.requests().len() == 1).await;
        market.webhooks().delete(BUYER, id).await.unwrap();
        gate.add_permits(1);
    };
    let (recorded, ()) = tokio::join!(dispatcher.run_once(), deleted);
    assert_eq!(recorded.unwrap(), 0);
    let delivery = market.deliveries(id).await.remove(0);
    assert_eq!(
        (delivery.state, delivery.attempts.len()),
        (DeliveryState::Discarded, 0)
    );
    assert_eq!(
        market.webhook(id).await.disabled_reason.as_deref(),
        Some("deleted")
    );
    market.check_sums().await;
}

async fn a_replay_meanwhile_belongs_to_whoever_claims_it_next(market: Market) {
    let gate = Arc::new(Semaphore::new(0));
    let receiver = keeps_the_first(&gate).await;
    let id = market.subscribed(ANN, &receiver.url("/")).await;
    market.create(ANN).await;
    market.project().await;
    let zombie = market.dispatcher();
    let replayed = async {
        wait_until(SOON, "the call", async || receiver.requests().len() == 1).await;
        market.clock.advance(LATE);
        assert_eq!(market.dispatcher().run_once().await.unwrap(), 1);
        let delivery = market.deliveries(id).await.remove(0);
        market.webhooks().replay(BUYER, delivery.id).await.unwrap();
        gate.add_permits(1);
    };
    let (recorded, ()) = tokio::join!(zombie.run_once(), replayed);
    assert_eq!(recorded.unwrap(), 0);
    assert_eq!(
        states(&market.deliveries(id).await),
        [DeliveryState::Pending]
    );
    assert_eq!(market.dispatcher().run_once().await.unwrap(), 1);
    let delivery = market.deliveries(id).await.remove(0);
    let numbers: Vec<_> = delivery
        .attempts
        .iter()
        .map(|attempt| attempt.number)
        .collect();
    assert_eq!(
        (delivery.state, numbers),
        (DeliveryState::Delivered, vec![1, 2])
    );
    market.check_sums().await;
}
