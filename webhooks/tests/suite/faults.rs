//! A dispatcher whose database fails.

use std::sync::Arc;
use std::time::Duration;

use backbone::db::Db;
use backbone::testkit::{Proxy, Receiver, Reply, wait_until};
use buyer_core::BuyerSide;
use buyer_core::feed::Retention;
use tokio::sync::Semaphore;
use webhooks::seal::SealKey;
use webhooks::{DeliveryState, Webhooks};

use super::kit::{Running, SEAL, dispatcher_of, egress, states};
use crate::market::{ANN, Market};

const SOON: Duration = Duration::from_secs(10);

// Goal: a database that is away while a call goes on costs neither the outcome nor a second call.
// Method: a proxy in front of PostgreSQL is cut during a call and restored after its response.
// Proven: the dispatcher reports degraded health, then records both deliveries; each is called
// once.
#[tokio::test]
async fn outcome_waits_for_an_unavailable_database() {
    let market = Market::production().await;
    let gate = Arc::new(Semaphore::new(0));
    let receiver_gate = Arc::clone(&gate);
    let receiver = Receiver::start(move |_| Reply::ok().through(&receiver_gate)).await;

    let id = market.subscribed(ANN, &receiver.url("/")).await;
    let deal = market.create(ANN).await;
    market.change(deal).await;
    market.project().await;

    let direct = market.database_url.as_ref().unwrap();
    let proxy = Proxy::in_front_of(direct).await;
    let db = Db::postgres("buyer database", &proxy.url(direct), 12).unwrap();
    let retention = Retention::in_partitions(Duration::from_secs(60));
    let side = BuyerSide::new(db.clone(), market.clock.clone(), retention);
    let key = SealKey::parse(SEAL).unwrap();
    let dispatcher = dispatcher_of(Webhooks::new(&side, db, market.bus.clone(), egress(), key));
    let running = Running::start(&market, dispatcher);

    // Cut while the call waits at its gate: its outcome then meets a database that is away.
    wait_until(SOON, "the call", async || receiver.requests().len() == 1).await;

    proxy.cut().await;
    gate.add_permits(1);

    let away = async || !running.health.degraded().is_empty();
    wait_until(SOON, "the dispatcher to miss its database", away).await;
    assert_eq!(
        states(&market.deliveries(id).await),
        [DeliveryState::Pending; 2]
    );

    proxy.restore().await;
    gate.add_permits(1);
    let delivered = async || states(&market.deliveries(id).await) == [DeliveryState::Delivered; 2];
    wait_until(SOON, "the outcome, and the next of the deal", delivered).await;
    assert_eq!(receiver.requests().len(), 2, "no call was made twice");
    market.check_sums().await;

    running.end().await;
}
