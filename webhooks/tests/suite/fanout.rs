//! Fan-out: exactly one delivery for every change and every endpoint that is entitled to it.

use backbone::Error;
use backbone::ids::{BuyerId, DealId, SellerId, WebhookId};
use backbone::on_db;
use backbone::position::Sequence;
use buyer_core::notification::webhooks_of;
use serde_json::Value;
use uuid::Uuid;
use webhooks::{Changes, DeliveryFilter, DeliveryState, Registration, WebhookEvent};

use super::kit::{NOWHERE, SwitchableReceiver, registration};
use crate::market::{ANN, BOB, BUYER, Market};
use crate::on_both_backends;

on_both_backends!(Market; access_is_judged_at_the_change_in_one_batch_or_many,
    registration_creates_no_delivery_for_earlier_changes,
    deliveries_match_the_endpoint_s_events_and_sellers,
    message_is_shared_by_twenty_endpoints,
    worker_that_was_overtaken_creates_no_delivery,
    body_is_the_change_in_the_contract_s_form,
    batch_without_deals_creates_no_delivery,
    dispatchers_are_notified_of_endpoints_with_something_due,
);

const FIRST: BuyerId = BuyerId(Uuid::from_u128(0xb1));
const SECOND: BuyerId = BuyerId(Uuid::from_u128(0xb2));

/// Turn of the market. `Some`: this seller grants access to this buyer, or revokes it. `None`: both
/// sellers change their deals.
type Turn = Option<(usize, usize)>;

/// Two turns in which both sellers change their deals.
const CHANGES: [Turn; 2] = [None, None];
/// Turns in their order, in pairs.
const SCRIPT: [[Turn; 2]; 9] = [
    CHANGES,
    [Some((0, 0)), None],
    [Some((1, 0)), Some((0, 1))],
    [Some((0, 0)), None],
    CHANGES,
    [Some((0, 0)), Some((1, 0))],
    [Some((1, 1)), None],
    [Some((0, 1)), None],
    CHANGES,
];

async fn access_is_judged_at_the_change_in_one_batch_or_many(market: Market) {
    for (round, in_one_batch) in [(0, true), (1, false)] {
        let sellers = [1, 2].map(|number| SellerId(Uuid::from_u128(0x100 + 2 * round + number)));
        let webhooks = market.webhooks();
        let mut ids = Vec::new();
        for buyer in [FIRST, SECOND] {
            ids.push(
                webhooks
                    .register(buyer, registration(NOWHERE))
                    .await
                    .unwrap()
                    .0
                    .id,
            );
        }
        let mut expected = [Vec::new(), Vec::new()];
        let mut granted = [[false; 2]; 2];
        let deals = sellers.map(|seller| (seller, DealId(backbone::random::random_id())));

        for turn in SCRIPT.iter().flatten() {
            if let Some((seller, buyer)) = *turn {
                market
                    .toggle_access(sellers[seller], [FIRST, SECOND][buyer])
                    .await;
                granted[seller][buyer] ^= true;
            } else {
                for (seller, deal) in deals.iter().enumerate() {
                    let sequence = market.change(*deal).await;
                    for buyer in 0..2 {
                        if granted[seller][buyer] {
                            expected[buyer].push(sequence);
                        }
                    }
                }
            }
            if !in_one_batch {
                market.project().await;
            }
        }
        market.project().await;
        assert!(
            expected.iter().all(|sequences| sequences.len() >= 6),
            "{expected:?}"
        );

        for (buyer, id) in [FIRST, SECOND].into_iter().zip(ids) {
            let deliveries = market.deliveries_of(buyer, id).await;
            let sequences: Vec<Sequence> = deliveries
                .iter()
                .map(|delivery| delivery.position.sequence)
                .collect();
            let expected = &expected[usize::from(buyer == SECOND)];
            assert_eq!(sequences, *expected, "{buyer}, one batch: {in_one_batch}");
            webhooks.delete(buyer, id).await.unwrap();
        }
        market.check_sums().await;
    }
}

async fn registration_creates_no_delivery_for_earlier_changes(market: Market) {
    market.grant(ANN, BUYER).await;
    let deal = market.create(ANN).await;
    market.project().await;

    let before = market.register(NOWHERE).await;
    let mut expected = Vec::new();
    for _ in 0..3 {
        expected.push(market.change(deal).await);
    }

    // The changes are in the log but not in the tables yet, so they come after this registration.
    let between = market.register(NOWHERE).await;
    market.project().await;

    let after = market.register(NOWHERE).await;
    assert_eq!(market.sequences(before).await, expected);
    assert_eq!(market.sequences(between).await, expected);
    assert!(market.sequences(after).await.is_empty());

    let last = market.change(deal).await;
    market.project().await;
    assert_eq!(market.sequences(after).await, [last]);
}

async fn deliveries_match_the_endpoint_s_events_and_sellers(market: Market) {
    let webhooks = market.webhooks();
    market.grant(ANN, BUYER).await;
    market.grant(BOB, BUYER).await;
    let register = async |events: &[WebhookEvent], sellers: Option<&[SellerId]>| {
        let seller_ids = sellers.map(<[_]>::to_vec);
        let request = Registration {
            events: events.to_vec(),
            seller_ids,
            ..registration(NOWHERE)
        };
        webhooks.register(BUYER, request).await.unwrap().0.id
    };

    let created = register(&[WebhookEvent::DealCreated], None).await;
    let updated = register(&[WebhookEvent::DealUpdated], None).await;
    let of_bob = register(
        &[WebhookEvent::DealUpdated, WebhookEvent::DealCreated],
        Some(&[BOB]),
    )
    .await;
    let stranger = SellerId(Uuid::from_u128(0x57));
    market.create(stranger).await;
    let ann = market.create(ANN).await;
    let bob = market.create(BOB).await;
    let head = market.log.head().await.unwrap();
    let changes = [market.change(ann).await, market.change(bob).await];
    market.project().await;
    assert_eq!(market.sequences(created).await, [head - 1, head]);
    assert_eq!(market.sequences(updated).await, changes);
    assert_eq!(market.sequences(of_bob).await, [head, changes[1]]);

    let events: Vec<_> = market
        .deliveries(of_bob)
        .await
        .iter()
        .map(|delivery| delivery.event)
        .collect();
    assert_eq!(
        events,
        [WebhookEvent::DealCreated, WebhookEvent::DealUpdated]
    );

    let paused = Changes {
        paused: Some(true),
        seller_ids: Some(None),
        ..Changes::default()
    };

    webhooks.update(BUYER, of_bob, paused).await.unwrap();
    let more = market.change(ann).await;
    market.project().await;
    assert_eq!(
        market.sequences(of_bob).await,
        [head, changes[1], more],
        "deliveries of a paused endpoint accumulate"
    );
}

async fn message_is_shared_by_twenty_endpoints(market: Market) {
    let buyers: Vec<BuyerId> = (0..5)
        .map(|number| BuyerId(Uuid::from_u128(0xb00 + number)))
        .collect();
    let webhooks = market.webhooks();
    let mut ids: Vec<WebhookId> = Vec::new();
    for buyer in &buyers {
        market.grant(ANN, *buyer).await;
        for _ in 0..4 {
            ids.push(
                webhooks
                    .register(*buyer, registration(NOWHERE))
                    .await
                    .unwrap()
                    .0
                    .id,
            );
        }
    }

    let deals = [market.create(ANN).await, market.create(ANN).await];
    market.change(deals[0]).await;
    market.project().await;

    for buyer in &buyers {
        let page = webhooks
            .deliveries(*buyer, DeliveryFilter::default(), 100, None)
            .await
            .unwrap();
        assert_eq!((page.deliveries.len(), page.has_next), (12, false));
        assert!(
            page.deliveries.is_sorted_by(|one, other| one.id > other.id),
            "newest first"
        );
    }

    let messages: Vec<(String, i32)> = on_db!(market.webhook_db.read(), pool =>
        sqlx::query_as("SELECT event, deliveries FROM webhook_message ORDER BY id").fetch_all(pool).await)
    .unwrap();
    let expected = [
        ("DEAL_CREATED", 20),
        ("DEAL_CREATED", 20),
        ("DEAL_UPDATED", 20),
    ];
    assert_eq!(
        messages,
        expected.map(|(event, count)| (event.to_owned(), count))
    );
    market.check_sums().await;
}

async fn worker_that_was_overtaken_creates_no_delivery(market: Market) {
    let id = market.subscribed(ANN, NOWHERE).await;
    let other = market.another_worker();
    let (checkpoint, mut tail) = market.worker.open().await.unwrap();
    let (same, mut other_tail) = other.open().await.unwrap();
    let deal = market.create(ANN).await;
    let expected = [market.log.head().await.unwrap(), market.change(deal).await];
    let (won, lost) = tokio::join!(
        market.worker.run_once(checkpoint, &mut tail),
        other.run_once(same, &mut other_tail)
    );
    let conflicts = [&won, &lost].map(|done| matches!(done, Err(Error::Conflict { .. })));
    assert_eq!(
        conflicts.iter().filter(|conflict| **conflict).count(),
        1,
        "{won:?} {lost:?}"
    );

    market.project().await;
    assert_eq!(market.sequences(id).await, expected);
    market.check_sums().await;
}

async fn body_is_the_change_in_the_contract_s_form(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    let deal = market.create(ANN).await;
    market.project().await;
    assert_eq!(market.dispatcher().run_once().await.unwrap(), 1);

    let delivery = &market.deliveries(id).await[0];
    let request = &receiver.receiver.requests()[0];
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["type"], "deal.created");
    assert_eq!(body["timestamp"], market.clock.now().to_string());
    assert_eq!(body["position"], delivery.position.encode());

    let sent = &body["data"]["deal"];
    assert_eq!(
        (sent["id"].as_str(), sent["version"].as_u64()),
        (Some(&*deal.1.to_string()), Some(1))
    );
    assert_eq!(
        request.header("webhook-id"),
        Some(&*delivery.id.to_string())
    );
    assert_eq!(request.header("webhook-replay"), None);

    let trace = market
        .log
        .last(&backbone::contract::Subject::Deal {
            seller: deal.0,
            deal: deal.1,
        })
        .await;
    let trace = trace
        .unwrap()
        .unwrap()
        .event
        .unwrap()
        .trace
        .unwrap()
        .trace_id();
    assert!(
        !request.header("traceparent").unwrap().contains(&trace),
        "the seller's trace stays here"
    );
    assert_eq!(body["data"]["changedFields"], Value::Null, "of a creation");

    market.change(deal).await;
    market.project().await;
    assert_eq!(market.dispatcher().run_once().await.unwrap(), 1);
    let request = &receiver.receiver.requests()[1];
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["type"], "deal.updated");
    assert_eq!(
        body["data"]["changedFields"],
        serde_json::json!(["TOTAL_PRICE"])
    );
}

async fn batch_without_deals_creates_no_delivery(market: Market) {
    let id = market.subscribed(ANN, NOWHERE).await;
    market.toggle_access(BOB, BUYER).await;
    market.toggle_access(ANN, BUYER).await;
    market.project().await;
    market.create(ANN).await;
    market.project().await;
    assert!(market.sequences(id).await.is_empty());

    let pending = DeliveryFilter {
        state: Some(DeliveryState::Pending),
        ..DeliveryFilter::default()
    };
    let pending = market.webhooks().deliveries(BUYER, pending, 9, None).await;
    assert!(pending.unwrap().deliveries.is_empty());
}

async fn dispatchers_are_notified_of_endpoints_with_something_due(market: Market) {
    use backbone::live_bus::BusEvent;
    let id = market.subscribed(ANN, NOWHERE).await;
    let mut bus = market.bus.subscribe();
    assert_eq!(bus.next().await, BusEvent::Subscribed);

    let mut notified = async || match bus.next().await {
        BusEvent::Message(message) => webhooks_of(&message),
        other => panic!("{other:?}"),
    };

    market.create(ANN).await;
    market.project().await;
    assert_eq!(notified().await, None, "the projection knows no endpoints");
    assert_eq!(notified().await, Some(vec![id]), "the fan-out names them");

    market.create(BOB).await;
    market.project().await;
    assert_eq!(notified().await, None, "no endpoint has anything due");

    let test = market.webhooks().test(BUYER, id).await.unwrap();
    assert_eq!(notified().await, Some(vec![id]));

    let head = market.log.head().await.unwrap();
    assert_eq!(
        (test.event, test.position.sequence),
        (WebhookEvent::Test, head)
    );
    assert_eq!(test.position.index, backbone::position::Position::END);
    assert_eq!(market.webhook(id).await.counts.pending, 2);
}
