//! The running dispatcher: notified or not, stopped, without name servers, without its key.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backbone::telemetry::Metrics;
use backbone::testkit::{Receiver, Reply, wait_until};
use tokio::sync::Semaphore;
use webhooks::dispatcher::Limits;
use webhooks::resolver::Resolver;
use webhooks::seal::SealKey;
use webhooks::sender::Sender;
use webhooks::{DeliveryState, Dispatcher, Webhooks};

use super::kit::{
    Running, SwitchableReceiver, dispatcher_of, egress, install_tls_provider, states,
};
use crate::market::{ANN, Market};
use crate::on_both_backends;

on_both_backends!(Market; notified_dispatcher_sends_at_once,
    polling_finds_what_the_bus_did_not_announce,
    retry_is_sent_without_a_notification,
    stopped_dispatcher_finishes_the_calls_under_way,
    operator_s_failure_uses_up_no_try,
    undecryptable_secret_uses_up_no_try,
);

const SOON: Duration = Duration::from_secs(10);

async fn notified_dispatcher_sends_at_once(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    let running = Running::start(&market, market.dispatcher());
    wait_until(SOON, "the first poll", async || {
        running.health.down().is_empty()
    })
    .await;

    let mut at_once = 0;
    for count in 1..=8 {
        market.create(ANN).await;
        market.project().await;
        let committed = Instant::now();
        wait_until(SOON, "the call", async || {
            receiver.delivery_ids().len() == count
        })
        .await;
        at_once += usize::from(committed.elapsed() < Duration::from_millis(250));
    }

    // Polling every second would find a quarter of them within 250 ms.
    assert!(at_once >= 6, "{at_once} of 8 within 250 ms of their commit");

    let recorded = async || market.webhook(id).await.counts.delivered == 8;
    wait_until(SOON, "all to be recorded", recorded).await;

    running.end().await;
}

async fn polling_finds_what_the_bus_did_not_announce(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    market.bus.faults().unwrap().cut();
    let running = Running::start(&market, market.dispatcher());
    for _ in 0..30 {
        market.create(ANN).await;
    }

    market.project().await;
    wait_until(SOON, "all of it", async || {
        market.webhook(id).await.counts.delivered == 30
    })
    .await;
    assert_eq!(receiver.delivery_ids().len(), 30);

    running.end().await;
}

async fn retry_is_sent_without_a_notification(market: Market) {
    let receiver = SwitchableReceiver::start(500).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    let deal = market.create(ANN).await;
    market.change(deal).await;
    market.project().await;

    let running = Running::start(&market, market.dispatcher());
    let failed = async || market.deliveries(id).await[0].attempts.len() == 1;
    wait_until(SOON, "the failure to be recorded", failed).await;

    receiver.answer_with(200);
    market.clock.advance(Duration::from_secs(7));
    let delivered = async || states(&market.deliveries(id).await) == [DeliveryState::Delivered; 2];
    wait_until(SOON, "the retry, and what waited behind it", delivered).await;
    assert_eq!(receiver.delivery_ids().len(), 3);

    running.end().await;
}

async fn stopped_dispatcher_finishes_the_calls_under_way(market: Market) {
    let gate = Arc::new(Semaphore::new(0));
    let receiver_gate = Arc::clone(&gate);
    let receiver = Receiver::start(move |_| Reply::ok().through(&receiver_gate)).await;
    let id = market.subscribed(ANN, &receiver.url("/")).await;
    for _ in 0..3 {
        market.create(ANN).await;
    }
    market.project().await;

    let limits = Limits {
        per_endpoint: 1,
        ..Limits::default()
    };
    let mut running = Running::start(&market, market.dispatcher_with(limits, &Metrics::new()));
    wait_until(SOON, "the call", async || receiver.requests().len() == 1).await;

    running.stop.cancel();
    assert!(
        running.tasks.try_join_next().is_none(),
        "it waits for the call"
    );

    gate.add_permits(1);
    running.end().await;
    assert_eq!(receiver.requests().len(), 1, "nothing more was sent");
    assert_eq!(market.webhook(id).await.counts.delivered, 1);

    gate.add_permits(2);
    assert_eq!(
        market.dispatcher().run_once().await.unwrap(),
        2,
        "no lease of the stopped dispatcher is left"
    );
}

async fn operator_s_failure_uses_up_no_try(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let url = format!("http://receiver.test:{}/", receiver.receiver.port());
    let id = market.subscribed(ANN, &url).await;
    market.create(ANN).await;
    market.project().await;

    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let resolver = Resolver::with_servers(&[nobody], Duration::from_millis(100)).unwrap();
    install_tls_provider();
    let sender = Sender::new(egress(), resolver).unwrap();
    let dispatcher = Dispatcher::new(
        market.webhooks(),
        sender,
        Limits::default(),
        &Metrics::new(),
    );

    for _ in 0..12 {
        assert_eq!(dispatcher.run_once().await.unwrap(), 1);
        assert_eq!(dispatcher.run_once().await.unwrap(), 0, "not at once");

        market.clock.advance(Duration::from_secs(5));
    }

    let delivery = market.deliveries(id).await.remove(0);
    assert_eq!(
        (delivery.state, delivery.attempts.len()),
        (DeliveryState::Pending, 0)
    );
}

async fn undecryptable_secret_uses_up_no_try(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    market.create(ANN).await;
    market.project().await;

    let other_key = Webhooks::new(
        &market.side,
        market.webhook_db.clone(),
        market.bus.clone(),
        egress(),
        SealKey::generate(),
    );
    assert_eq!(dispatcher_of(other_key).run_once().await.unwrap(), 0);
    assert!(receiver.delivery_ids().is_empty());

    market.clock.advance(Duration::from_secs(16));
    assert_eq!(market.dispatcher().run_once().await.unwrap(), 1);
    assert_eq!(market.deliveries(id).await[0].attempts.len(), 1);
}
