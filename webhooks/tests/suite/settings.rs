//! Settings and access as intervals of the log: every change is judged by what held at its place,
//! although the fan-out comes later.

use backbone::contract::DealField;
use webhooks::{Changes, DeliveryState, Refusal, Registration, WebhookEvent};

use super::kit::{NOWHERE, registration, states};
use crate::market::{ANN, BOB, BUYER, Market};
use crate::on_both_backends;

on_both_backends!(Market; changes_are_judged_by_the_settings_at_their_place,
    changes_are_judged_by_the_fields_at_their_place,
    changes_are_judged_by_the_access_at_their_place,
    endpoint_registered_before_the_fanout_gets_nothing_earlier,
    endpoint_deleted_before_the_fanout_gets_nothing,
    past_settings_are_dropped_behind_the_fanout,
);

async fn changes_are_judged_by_the_settings_at_their_place(market: Market) {
    market.grant(BOB, BUYER).await;
    let id = market.subscribed(ANN, NOWHERE).await;
    let webhooks = market.webhooks();
    let update = async |changes| {
        market.project_only().await;
        webhooks.update(BUYER, id, changes).await.unwrap();
    };

    let ann = market.create(ANN).await;
    let first = market.log.head().await.unwrap();
    update(Changes {
        events: Some(vec![WebhookEvent::DealUpdated]),
        ..Changes::default()
    })
    .await;
    let updated = market.change(ann).await;
    market.create(ANN).await;
    update(Changes {
        seller_ids: Some(Some(vec![BOB])),
        paused: Some(true),
        ..Changes::default()
    })
    .await;
    market.change(ann).await;
    let bob = market.create(BOB).await;
    let of_bob = market.change(bob).await;
    // Two changes of settings at one place: only the later one ever holds.
    update(Changes {
        events: Some(vec![WebhookEvent::DealCreated]),
        ..Changes::default()
    })
    .await;
    update(Changes {
        events: Some(vec![WebhookEvent::DealCreated, WebhookEvent::DealUpdated]),
        seller_ids: Some(None),
        paused: Some(false),
        url: Some("https://example.org/".to_owned()),
        ..Changes::default()
    })
    .await;
    let all = [market.change(ann).await, market.change(bob).await];

    assert!(market.sequences(id).await.is_empty());
    market.project().await;
    assert_eq!(
        market.sequences(id).await,
        [first, updated, of_bob, all[0], all[1]]
    );
    market.check_sums().await;
}

/// Changes of this market touch `TOTAL_PRICE` and nothing else.
async fn changes_are_judged_by_the_fields_at_their_place(market: Market) {
    market.grant(ANN, BUYER).await;
    market.project().await;
    let webhooks = market.webhooks();
    let of_names = Registration {
        only_when_changed: Some(vec![DealField::Name]),
        ..registration(NOWHERE)
    };
    let (webhook, _) = webhooks.register(BUYER, of_names).await.unwrap();
    let want = async |fields: Option<&[DealField]>| {
        market.project_only().await;
        let changes = Changes {
            only_when_changed: Some(fields.map(<[_]>::to_vec)),
            ..Changes::default()
        };
        webhooks.update(BUYER, webhook.id, changes).await.unwrap();
    };

    let deal = market.create(ANN).await;
    let created = market.log.head().await.unwrap();
    market.change(deal).await;
    want(Some(&[DealField::Status, DealField::TotalPrice])).await;
    let of_price = market.change(deal).await;
    want(Some(&[DealField::Items])).await;
    market.change(deal).await;
    want(None).await;
    let of_all = market.change(deal).await;
    want(Some(&[DealField::Discount])).await;
    // Fields that are left out stay as they are.
    let others = Changes {
        seller_ids: Some(Some(vec![ANN])),
        ..Changes::default()
    };
    webhooks.update(BUYER, webhook.id, others).await.unwrap();
    market.change(deal).await;

    market.project().await;
    assert_eq!(
        market.sequences(webhook.id).await,
        [created, of_price, of_all]
    );
    market.check_sums().await;
}

async fn changes_are_judged_by_the_access_at_their_place(market: Market) {
    let id = market.subscribed(ANN, NOWHERE).await;
    let deal = market.create(ANN).await;
    let before = market.log.head().await.unwrap();
    market.toggle_access(ANN, BUYER).await;
    market.change(deal).await;
    market.toggle_access(ANN, BUYER).await;
    let after = market.change(deal).await;
    market.toggle_access(ANN, BUYER).await;
    market.change(deal).await;

    market.project_only().await;
    assert!(market.sequences(id).await.is_empty());
    market.project().await;
    assert_eq!(market.sequences(id).await, [before, after]);
}

async fn endpoint_registered_before_the_fanout_gets_nothing_earlier(market: Market) {
    market.grant(ANN, BUYER).await;
    let other = market.register(NOWHERE).await;
    let deal = market.create(ANN).await;
    let created = market.log.head().await.unwrap();
    market.project_only().await;

    let id = market.register(NOWHERE).await;
    let later = market.change(deal).await;
    market.project().await;
    assert_eq!(market.sequences(other).await, [created, later]);
    assert_eq!(market.sequences(id).await, [later]);
}

async fn endpoint_deleted_before_the_fanout_gets_nothing(market: Market) {
    let id = market.subscribed(ANN, NOWHERE).await;
    market.create(ANN).await;
    market.project().await;
    market.create(ANN).await;
    market.project_only().await;

    let webhooks = market.webhooks();
    webhooks.delete(BUYER, id).await.unwrap();
    market.project().await;
    assert_eq!(
        states(&market.deliveries(id).await),
        [DeliveryState::Discarded]
    );
    assert!(matches!(
        webhooks.test(BUYER, id).await,
        Err(Refusal::NotFound)
    ));
    market.check_sums().await;
}

async fn past_settings_are_dropped_behind_the_fanout(market: Market) {
    let webhooks = market.webhooks();
    let id = market.subscribed(ANN, NOWHERE).await;
    market.create(ANN).await;
    market.project_only().await;
    let created_only = Changes {
        events: Some(vec![WebhookEvent::DealCreated]),
        ..Changes::default()
    };
    webhooks.update(BUYER, id, created_only).await.unwrap();

    let kept = async || -> i64 {
        const COUNT: &str = "SELECT count(*) FROM webhook_past_settings";
        backbone::on_db!(market.webhook_db.read(), pool =>
            sqlx::query_scalar(COUNT).fetch_one(pool).await)
        .unwrap()
    };
    webhooks.forget_old().await.unwrap();
    assert_eq!(kept().await, 1, "the fan-out needs them");

    market.create(ANN).await;
    market.project().await;
    webhooks.forget_old().await.unwrap();
    assert_eq!(kept().await, 0);
    assert_eq!(market.sequences(id).await.len(), 2);

    // Registered like any other, so that the order of the two is one of places, not of time.
    let another = webhooks.register(BUYER, registration(NOWHERE)).await;
    assert!(market.sequences(another.unwrap().0.id).await.is_empty());
}
