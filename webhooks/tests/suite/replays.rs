//! Replays of one delivery, pages of deliveries, and retention.

use std::time::Duration;

use backbone::ids::WebhookId;
use backbone::on_db;
use webhooks::WebhookEvent::DealCreated;
use webhooks::retention::KEEP;
use webhooks::{Changes, Delivery, DeliveryFilter, DeliveryState, Refusal};

use super::kit::{SwitchableReceiver, states};
use crate::market::{ANN, BUYER, Market};
use crate::on_both_backends;

on_both_backends!(Market; replay_reopens_the_same_delivery,
    replay_stands_outside_the_order_of_its_deal,
    pages_go_from_newest_to_oldest,
    pages_are_filtered,
    retention_drops_what_finished_a_month_ago,
);

const HOUR: Duration = Duration::from_hours(1);

async fn replay_reopens_the_same_delivery(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    market.create(ANN).await;
    market.project().await;

    let webhooks = market.webhooks();
    let dispatcher = market.dispatcher();
    let delivery = market.deliveries(id).await[0].id;
    assert!(
        matches!(
            webhooks.replay(BUYER, delivery).await,
            Err(Refusal::Conflict(_))
        ),
        "it is pending"
    );

    dispatcher.run_once().await.unwrap();
    let replayed = webhooks.replay(BUYER, delivery).await.unwrap();
    assert_eq!(
        (replayed.id, replayed.state),
        (delivery, DeliveryState::Pending)
    );
    assert_eq!(replayed.next_attempt_at, Some(market.clock.now()));

    let counts = market.webhook(id).await.counts;
    assert_eq!((counts.owed, counts.pending, counts.delivered), (1, 1, 0));
    assert_eq!(dispatcher.run_once().await.unwrap(), 1);

    let requests = receiver.receiver.requests();
    let headers: Vec<_> = requests
        .iter()
        .map(|request| request.header("webhook-replay"))
        .collect();
    assert_eq!(headers, [None, Some("true")]);
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!(
        receiver.delivery_ids(),
        [delivery.to_string(), delivery.to_string()]
    );
    assert_eq!(market.deliveries(id).await[0].attempts.len(), 2);
    market.check_sums().await;
}

async fn replay_stands_outside_the_order_of_its_deal(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    let deal = market.create(ANN).await;
    market.project().await;

    let dispatcher = market.dispatcher();
    dispatcher.run_once().await.unwrap();
    receiver.answer_with(500);
    let first = market.deliveries(id).await[0].id;
    market.webhooks().replay(BUYER, first).await.unwrap();
    dispatcher.run_once().await.unwrap();
    // The replay failed and waits for its next try; the deal goes on all the same.
    receiver.answer_with(200);
    market.change(deal).await;
    market.change(deal).await;
    market.project().await;
    assert_eq!(dispatcher.run_once().await.unwrap(), 1);
    assert_eq!(dispatcher.run_once().await.unwrap(), 1);

    let expected = [
        DeliveryState::Pending,
        DeliveryState::Delivered,
        DeliveryState::Delivered,
    ];
    assert_eq!(states(&market.deliveries(id).await), expected);

    // A replay that ends does not advance the lane either: what waits behind another stays there.
    receiver.answer_with(500);
    market.change(deal).await;
    market.change(deal).await;
    market.project().await;
    assert_eq!(dispatcher.run_once().await.unwrap(), 1);

    receiver.answer_with(200);
    market
        .webhooks()
        .replay(BUYER, market.deliveries(id).await[1].id)
        .await
        .unwrap();
    assert_eq!(dispatcher.run_once().await.unwrap(), 1, "the replay alone");
    assert_eq!(dispatcher.run_once().await.unwrap(), 0);

    let last = market.deliveries(id).await.pop().unwrap();
    assert_eq!(
        (last.attempts.len(), last.next_attempt_at),
        (0, None),
        "it waits behind the one before it"
    );
    market.check_sums().await;
}

async fn pages_go_from_newest_to_oldest(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let ids = [
        market.subscribed(ANN, &receiver.url()).await,
        market.register(&receiver.url()).await,
    ];

    for round in 0..4 {
        market.create(ANN).await;
        market.project().await;
        if round < 2 {
            market.dispatcher().run_once().await.unwrap();
        }
        market.clock.advance(Duration::from_secs(1));
    }

    let webhooks = market.webhooks();
    for (webhook, state, count) in [
        (None, None, 8),
        (Some(ids[0]), None, 4),
        (None, Some(DeliveryState::Delivered), 4),
        (Some(ids[1]), Some(DeliveryState::Pending), 2),
        (None, Some(DeliveryState::Dead), 0),
    ] {
        let filter = DeliveryFilter {
            webhook,
            state,
            ..DeliveryFilter::default()
        };
        let mut all: Vec<Delivery> = Vec::new();
        let mut after = None;
        loop {
            let page = webhooks
                .deliveries(BUYER, filter.clone(), 3, after)
                .await
                .unwrap();
            assert!(page.deliveries.len() == 3 || !page.has_next);
            all.extend(page.deliveries);
            after = all.last().map(|delivery| delivery.id);
            if !page.has_next {
                break;
            }
        }
        assert_eq!(all.len(), count, "{webhook:?} {state:?}");
        assert!(all.is_sorted_by(|one, other| one.id > other.id));
        assert!(
            all.iter()
                .all(|delivery| webhook.is_none_or(|webhook| webhook == delivery.webhook_id))
        );
        assert!(
            all.iter()
                .all(|delivery| state.is_none_or(|state| state == delivery.state))
        );

        let tried = all
            .iter()
            .filter(|delivery| delivery.attempts.len() == 1)
            .count();
        let delivered = all
            .iter()
            .filter(|delivery| delivery.state == DeliveryState::Delivered)
            .count();
        assert_eq!(tried, delivered, "each with its attempts");
    }
}

async fn pages_are_filtered(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    let second = Duration::from_secs(1);
    let deal = market.create(ANN).await;
    market.project().await;
    let dispatcher = market.dispatcher();
    dispatcher.run_once().await.unwrap();

    market.clock.advance(second);
    let middle = Some(market.clock.now());
    receiver.answer_with(500);
    market.change(deal).await;
    market.project().await;
    dispatcher.run_once().await.unwrap();
    market.clock.advance(second);
    market.create(ANN).await;
    market.project().await;

    let of = |change: fn(&mut DeliveryFilter)| {
        let mut filter = DeliveryFilter::default();
        change(&mut filter);
        filter
    };
    let in_time = |since, until| DeliveryFilter {
        since,
        until,
        ..DeliveryFilter::default()
    };
    let of_deal = DeliveryFilter {
        deal: Some(deal.1),
        ..DeliveryFilter::default()
    };
    let created = |filter: &mut DeliveryFilter| filter.events = Some(vec![DealCreated]);
    let none = |filter: &mut DeliveryFilter| filter.events = Some(Vec::new());
    let failed = |filter: &mut DeliveryFilter| filter.failed = true;
    for (filter, expected) in [
        (of(|_| {}), vec![0, 1, 2]),
        (of(created), vec![0, 2]),
        (of(none), vec![]),
        (of_deal, vec![0, 1]),
        (in_time(middle, None), vec![1, 2]),
        (in_time(None, middle), vec![0, 1]),
        (in_time(middle, middle), vec![1]),
        (of(failed), vec![1]),
    ] {
        assert_found(&market, id, &filter, &expected).await;
    }

    let sent = receiver.receiver.requests();
    for (delivery, request) in market.deliveries(id).await.iter().zip(&sent) {
        let body = delivery.body.as_ref().unwrap();
        assert_eq!(body.as_bytes(), &request.body[..], "the body that was sent");
    }
}

/// Checks which of an endpoint's deliveries a filter finds, in pages of one.
async fn assert_found(market: &Market, id: WebhookId, filter: &DeliveryFilter, expected: &[usize]) {
    let mut found: Vec<Delivery> = Vec::new();
    loop {
        let after = found.last().map(|delivery| delivery.id);
        let webhooks = market.webhooks();
        let page = webhooks.deliveries(BUYER, filter.clone(), 1, after).await;
        let page = page.unwrap();

        found.extend(page.deliveries);
        if !page.has_next {
            break;
        }
    }

    let all = market.deliveries(id).await;
    let expected: Vec<&Delivery> = expected.iter().rev().map(|index| &all[*index]).collect();
    assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
}

async fn retention_drops_what_finished_a_month_ago(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let ids = [
        market.subscribed(ANN, &receiver.url()).await,
        market.register(&receiver.url()).await,
    ];
    let deal = market.create(ANN).await;
    market.project().await;

    let webhooks = market.webhooks();
    let dispatcher = market.dispatcher();
    dispatcher.run_once().await.unwrap();
    let rows = async || -> (i64, i64, i64) {
        const ROWS: &str =
            "SELECT (SELECT count(*) FROM webhook_delivery), (SELECT count(*) FROM webhook_attempt),
                                   (SELECT count(*) FROM webhook_message)";
        on_db!(market.webhook_db.read(), pool => sqlx::query_as(ROWS).fetch_one(pool).await)
            .unwrap()
    };

    market.clock.advance(KEEP - HOUR);
    let pause = Changes {
        paused: Some(true),
        ..Changes::default()
    };

    webhooks.update(BUYER, ids[1], pause).await.unwrap();
    market.change(deal).await;
    market.project().await;

    dispatcher.run_once().await.unwrap();
    assert_eq!(rows().await, (4, 3, 2));
    assert_eq!(
        webhooks.forget_old().await.unwrap(),
        0,
        "nothing is a month old yet"
    );

    market.clock.advance(HOUR * 2);
    // The replay is pending again and stays; the other delivery of the message is dropped.
    let old = market.deliveries(ids[0]).await[0].id;
    webhooks.replay(BUYER, old).await.unwrap();
    assert_eq!(webhooks.forget_old().await.unwrap(), 1);
    assert_eq!(rows().await, (3, 2, 2), "the message is still used");
    market.check_sums().await;

    dispatcher.run_once().await.unwrap();
    market.clock.advance(KEEP * 2);
    assert_eq!(webhooks.forget_old().await.unwrap(), 2);
    assert_eq!(
        rows().await,
        (1, 0, 1),
        "a pending delivery stays, however old"
    );
    market.check_sums().await;

    let counts = market.webhook(ids[1]).await.counts;
    assert_eq!((counts.owed, counts.pending), (1, 1));
    assert_eq!(market.webhook(ids[0]).await.counts.owed, 0);
}
