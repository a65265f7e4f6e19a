//! Steps of the fan-out: bounded, each its own transaction, and apart from the projection.

use backbone::Error;
use backbone::db::{Db, TxEngine};
use backbone::ids::{BuyerId, WebhookId};
use backbone::on_db;
use backbone::position::Sequence;
use uuid::Uuid;
use webhooks::{Changes, Fanout, WebhookEvent};

use super::kit::{NOWHERE, registration};
use crate::market::{ANN, BUYER, Market};
use crate::on_both_backends;

on_both_backends!(Market; projection_does_not_wait_for_five_hundred_endpoints,
    change_for_many_endpoints_takes_several_steps,
    killed_steps_lose_and_double_nothing,
    fanouts_beside_each_other_double_nothing,
    settings_that_change_between_steps_hold_for_later_changes,
    market_without_endpoints_is_passed_in_one_step,
);

/// Registers endpoints of as many buyers with access as are needed, 20 each at most.
async fn endpoints(market: &Market, count: usize) -> Vec<(BuyerId, WebhookId)> {
    let webhooks = market.webhooks();
    let mut ids = Vec::with_capacity(count);

    for number in 0..count {
        let buyer = BuyerId(Uuid::from_u128(0xb000 + number as u128 / 20));
        if number % 20 == 0 {
            market.grant(ANN, buyer).await;
        }
        let (webhook, _) = webhooks
            .register(buyer, registration(NOWHERE))
            .await
            .unwrap();
        ids.push((buyer, webhook.id));
    }
    // The order in which a change's deliveries are made.
    ids.sort_by_key(|(_, webhook)| *webhook);

    ids
}

async fn count_deliveries(market: &Market) -> i64 {
    const COUNT: &str = "SELECT count(*) FROM webhook_delivery";
    on_db!(market.webhook_db.read(), pool => sqlx::query_scalar(COUNT).fetch_one(pool).await)
        .unwrap()
}

/// Checks that each endpoint has one delivery for each of these changes.
async fn assert_complete(
    market: &Market,
    endpoints: &[(BuyerId, WebhookId)],
    expected: &[Sequence],
) {
    for (buyer, id) in endpoints {
        let deliveries = market.deliveries_of(*buyer, *id).await;
        let sequences: Vec<Sequence> = deliveries
            .iter()
            .map(|delivery| delivery.position.sequence)
            .collect();
        assert_eq!(sequences, expected, "{id}");
    }
    market.check_sums().await;
}

/// Runs one step with a fan-out that is dropped after it, as a process that is killed.
async fn one_step(market: &Market, rows: usize) -> Option<usize> {
    market.fanout_of(rows).step().await.unwrap()
}

// Goal: neither the number of endpoints nor a lock on their deliveries slows the projection.
// Method: 500 endpoints, an import of 40 deals, and a transaction that holds every table of
// webhooks locked while the import is projected.
// Proven: the projection reaches the head without writing or waiting for any row of webhooks, and
// the fan-out makes all 20,000 deliveries afterwards.
async fn projection_does_not_wait_for_five_hundred_endpoints(market: Market) {
    let endpoints = endpoints(&market, 500).await;
    market.project().await;
    let mut expected = Vec::new();
    for _ in 0..40 {
        let deal = (ANN, backbone::ids::DealId(backbone::random::random_id()));
        expected.push(market.change(deal).await);
    }

    let locked = lock_webhooks(&market.webhook_db).await;
    let head = market.project_only().await;
    assert_eq!(market.side.checkpoint().await.unwrap().position, head);
    drop(locked);

    assert_eq!(count_deliveries(&market).await, 0);
    let mut fanout = market.fanout();
    assert_eq!(fanout.run_to_end().await.unwrap(), 20_000);
    assert_eq!(market.webhooks().fanned_out().await.unwrap(), head);
    assert_complete(&market, &endpoints[..3], &expected).await;
}

/// Begins a transaction that keeps everybody else from the tables of webhooks.
async fn lock_webhooks(db: &Db) -> backbone::db::Tx {
    let mut tx = db.begin().await.unwrap();
    // A transaction that writes locks an SQLite file as a whole.
    if let TxEngine::Postgres(connection) = tx.engine() {
        let lock =
            "LOCK TABLE webhook, webhook_count, webhook_delivery, webhook_message, webhook_fanout
                    IN ACCESS EXCLUSIVE MODE";
        sqlx::query(lock).execute(&mut **connection).await.unwrap();
    }

    tx
}

async fn change_for_many_endpoints_takes_several_steps(market: Market) {
    let endpoints = endpoints(&market, 10).await;
    market.project().await;
    let deal = market.create(ANN).await;
    let created = market.log.head().await.unwrap();
    market.project_only().await;

    let mut fanout = market.fanout_of(4);
    let mut steps = Vec::new();
    while let Some(inserted) = fanout.step().await.unwrap() {
        steps.push(inserted);
        market.check_sums().await;
    }
    assert_eq!(steps, [4, 4, 2], "no step is larger than its bound");
    assert_complete(&market, &endpoints, &[created]).await;

    // Several changes share a step as far as they fit, and what is left of one begins the next.
    let expected = [
        created,
        market.change(deal).await,
        market.change(deal).await,
    ];
    market.project_only().await;
    let mut fanout = market.fanout_of(15);
    assert_eq!(fanout.step().await.unwrap(), Some(15));
    assert_eq!(fanout.step().await.unwrap(), Some(5));
    assert_eq!(fanout.step().await.unwrap(), None);
    assert_complete(&market, &endpoints, &expected).await;
}

// Goal: a process that dies between two steps loses and doubles nothing.
// Method: every step is made by a fan-out of its own, which reads from the tables where it is; the
// boundaries fall into changes and between them.
// Proven: each endpoint has each change once, and the changes of the deal in one lane.
async fn killed_steps_lose_and_double_nothing(market: Market) {
    let endpoints = endpoints(&market, 7).await;
    market.project().await;
    let deal = (ANN, backbone::ids::DealId(backbone::random::random_id()));
    let mut expected = Vec::new();
    for _ in 0..6 {
        expected.push(market.change(deal).await);
        market.grant(ANN, BUYER).await;
    }
    market.project_only().await;

    let mut inserted = 0;
    for rows in [3, 4, 1, 5, 7, 2].into_iter().cycle() {
        match one_step(&market, rows).await {
            Some(count) => inserted += count,
            None => break,
        }
    }
    assert_eq!(inserted, 42);
    assert_complete(&market, &endpoints, &expected).await;

    const DUE: &str = "SELECT count(*) FROM webhook_delivery WHERE due_at IS NOT NULL";
    let due: i64 =
        on_db!(market.webhook_db.read(), pool => sqlx::query_scalar(DUE).fetch_one(pool).await)
            .unwrap();
    assert_eq!(
        due, 7,
        "the first delivery of each lane is due, and no other"
    );
}

async fn fanouts_beside_each_other_double_nothing(market: Market) {
    let endpoints = endpoints(&market, 6).await;
    market.project().await;
    let deal = (ANN, backbone::ids::DealId(backbone::random::random_id()));
    let mut expected = Vec::new();
    for _ in 0..20 {
        expected.push(market.change(deal).await);
    }
    market.project_only().await;

    let run = async |mut fanout: Fanout| {
        let mut inserted = 0;
        loop {
            match fanout.step().await {
                Ok(Some(count)) => inserted += count,
                Ok(None) => return inserted,
                Err(Error::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    let (one, other, third) = tokio::join!(
        run(market.fanout_of(5)),
        run(market.fanout_of(4)),
        run(market.fanout_of(3))
    );
    assert_eq!(one + other + third, 120, "{one} {other} {third}");
    assert_complete(&market, &endpoints, &expected).await;
}

async fn settings_that_change_between_steps_hold_for_later_changes(market: Market) {
    let endpoints = endpoints(&market, 4).await;
    market.project().await;
    let deal = market.create(ANN).await;
    let created = market.log.head().await.unwrap();
    let updated = market.change(deal).await;
    market.project_only().await;
    let mut fanout = market.fanout_of(1);
    assert_eq!(fanout.step().await.unwrap(), Some(1));

    // The last endpoint has nothing yet. What lies up to the projection was claimed with the old
    // settings, whether a fan-out that was killed or this one goes on.
    let (buyer, last) = endpoints[3];
    let no_updates = Changes {
        events: Some(vec![WebhookEvent::DealCreated]),
        ..Changes::default()
    };
    let webhooks = market.webhooks();
    webhooks.update(buyer, last, no_updates).await.unwrap();
    let (late, _) = webhooks
        .register(buyer, registration(NOWHERE))
        .await
        .unwrap();
    for _ in 0..3 {
        assert_eq!(one_step(&market, 1).await, Some(1));
    }
    fanout.run_to_end().await.unwrap_err();
    fanout.run_to_end().await.unwrap();
    assert_complete(&market, &endpoints, &[created, updated]).await;

    let later = market.change(deal).await;
    market.project().await;
    assert_complete(&market, &endpoints[..3], &[created, updated, later]).await;
    assert_complete(&market, &endpoints[3..], &[created, updated]).await;
    assert_complete(&market, &[(buyer, late.id)], &[later]).await;
}

async fn market_without_endpoints_is_passed_in_one_step(market: Market) {
    for _ in 0..300 {
        market.toggle_access(ANN, BUYER).await;
    }
    let head = market.project_only().await;

    let mut fanout = market.fanout();
    assert_eq!(fanout.step().await.unwrap(), Some(0));
    assert_eq!(fanout.step().await.unwrap(), None);
    assert_eq!(market.webhooks().fanned_out().await.unwrap(), head);
}
