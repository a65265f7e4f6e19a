//! Leases: one call at a time for each delivery, whichever dispatcher dies, and nothing recorded
//! under a lost lease.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use backbone::telemetry::Metrics;
use backbone::testkit::{Receiver, Reply, Request, wait_until};
use tokio::sync::Semaphore;
use webhooks::dispatcher::Limits;
use webhooks::{DeliveryState, WebhookState};

use super::kit::{SwitchableReceiver, ids, states};
use crate::market::{ANN, BUYER, Market};
use crate::on_both_backends;

on_both_backends!(Market; leases_let_three_dispatchers_call_each_delivery_once,
    lease_keeps_other_dispatchers_away,
    lost_lease_means_nothing_is_recorded,
    lease_is_renewed_while_the_call_goes_on,
    call_that_outlives_its_endpoint_is_not_recorded,
    replay_during_a_call_belongs_to_the_next_claim,
);

const SOON: Duration = Duration::from_secs(10);
/// Time longer than a lease.
const AFTER_LEASE: Duration = Duration::from_secs(16);

// Goal: dispatchers beside each other share the work and never call a delivery twice.
// Method: three dispatchers run rounds at once over four endpoints, until nothing is due.
// Proven: 128 deliveries, 128 calls, 128 distinct ids, and counts that add up after every round.
async fn leases_let_three_dispatchers_call_each_delivery_once(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let first = market.subscribed(ANN, &receiver.url()).await;
    for _ in 0..3 {
        market.register(&receiver.url()).await;
    }

    let deals = [market.create(ANN).await, market.create(ANN).await];
    for _ in 0..10 {
        market.create(ANN).await;
        market.change(deals[0]).await;
        market.change(deals[1]).await;
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

    let called = receiver.delivery_ids();
    let distinct: BTreeSet<&String> = called.iter().collect();
    assert_eq!((recorded, called.len(), distinct.len()), (128, 128, 128));
    assert!(
        states(&market.deliveries(first).await)
            .iter()
            .all(|state| *state == DeliveryState::Delivered)
    );
}

async fn lease_keeps_other_dispatchers_away(market: Market) {
    let gate = Arc::new(Semaphore::new(0));
    let receiver_gate = Arc::clone(&gate);
    let receiver = Receiver::start(move |_| Reply::ok().through(&receiver_gate)).await;
    let id = market.subscribed(ANN, &receiver.url("/")).await;
    for _ in 0..12 {
        market.create(ANN).await;
    }
    market.project().await;

    let one = market.dispatcher();
    let other = market.dispatcher();
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

/// Starts a receiver that holds the first call at a gate and then answers it 410 Gone; it accepts
/// all others.
async fn receiver_that_holds_the_first_call(gate: &Arc<Semaphore>) -> Receiver {
    let receiver_gate = Arc::clone(gate);
    Receiver::start(move |request: &Request| match request.number {
        0 => Reply::status(410).through(&receiver_gate),
        _ => Reply::ok(),
    })
    .await
}

// Goal: a dispatcher that stalls longer than its lease changes nothing when it comes back.
// Method: its call is held at a gate, the clock passes the lease, another dispatcher sends; then
// the first call is answered with 410.
// Proven: nothing of the first call is recorded: no attempt, no disabled endpoint, one lease
// counted as lost.
async fn lost_lease_means_nothing_is_recorded(market: Market) {
    let gate = Arc::new(Semaphore::new(0));
    let receiver = receiver_that_holds_the_first_call(&gate).await;
    let id = market.subscribed(ANN, &receiver.url("/")).await;
    let deal = market.create(ANN).await;
    market.change(deal).await;
    market.project().await;

    let metrics = Metrics::new();
    let overtaken = market.dispatcher_with(Limits::default(), &metrics);
    let taken_over = async {
        wait_until(SOON, "the call", async || receiver.requests().len() == 1).await;
        let other = market.dispatcher();
        assert_eq!(other.run_once().await.unwrap(), 0, "the lease holds");

        market.clock.advance(AFTER_LEASE);
        assert_eq!(other.run_once().await.unwrap(), 1, "it has run out");

        gate.add_permits(1);
    };

    let (recorded, ()) = tokio::join!(overtaken.run_once(), taken_over);
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

async fn lease_is_renewed_while_the_call_goes_on(market: Market) {
    let gate = Arc::new(Semaphore::new(0));
    let receiver_gate = Arc::clone(&gate);
    let receiver = Receiver::start(move |_| Reply::ok().through(&receiver_gate)).await;
    let id = market.subscribed(ANN, &receiver.url("/")).await;
    market.create(ANN).await;
    market.project().await;

    let leased_until = async || -> i64 {
        let until: backbone::time::Timestamp = backbone::on_db!(market.webhook_db.read(), pool =>
            sqlx::query_scalar("SELECT leased_until FROM webhook_delivery").fetch_one(pool).await)
        .unwrap();
        until.as_micros()
    };

    let dispatcher = market.dispatcher();
    let renewal = async {
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

    let (recorded, ()) = tokio::join!(dispatcher.run_once(), renewal);
    assert_eq!(recorded.unwrap(), 1);
    assert_eq!(market.webhook(id).await.counts.delivered, 1);
}

// Goal: an endpoint that is deleted during a call is left as the deletion made it.
// Method: the call is held at a gate while the endpoint is deleted, then answered with 410.
// Proven: the delivery is discarded without an attempt, and the reason is the deletion.
async fn call_that_outlives_its_endpoint_is_not_recorded(market: Market) {
    let gate = Arc::new(Semaphore::new(0));
    let receiver = receiver_that_holds_the_first_call(&gate).await;
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

// Goal: a replay that comes while an overtaken call still goes on is not decided by that call.
// Method: a second dispatcher delivers, the owner replays, and only then is the first call
// answered.
// Proven: the replay is pending until it is claimed, and ends with attempts 1 and 2.
async fn replay_during_a_call_belongs_to_the_next_claim(market: Market) {
    let gate = Arc::new(Semaphore::new(0));
    let receiver = receiver_that_holds_the_first_call(&gate).await;
    let id = market.subscribed(ANN, &receiver.url("/")).await;
    market.create(ANN).await;
    market.project().await;

    let overtaken = market.dispatcher();
    let replayed = async {
        wait_until(SOON, "the call", async || receiver.requests().len() == 1).await;
        market.clock.advance(AFTER_LEASE);
        assert_eq!(market.dispatcher().run_once().await.unwrap(), 1);

        let delivery = market.deliveries(id).await.remove(0);
        market.webhooks().replay(BUYER, delivery.id).await.unwrap();
        gate.add_permits(1);
    };

    let (recorded, ()) = tokio::join!(overtaken.run_once(), replayed);
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
