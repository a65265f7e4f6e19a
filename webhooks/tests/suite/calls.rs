//! Calls: the order of each deal, the schedule of tries, `Retry-After`, the breaker and the limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backbone::telemetry::Metrics;
use backbone::testkit::{Receiver, Reply, Request, wait_until};
use buyer_core::testkit::DealRef;
use standardwebhooks::Webhook as Verifier;
use tokio::sync::Semaphore;
use webhooks::dispatcher::Limits;
use webhooks::signature::Secret;
use webhooks::{Changes, DeliveryState, WebhookState};

use super::kit::{SwitchableReceiver, ids, registration, states};
use crate::market::{ANN, BUYER, Market};
use crate::on_both_backends;

on_both_backends!(Market; attempt_is_kept_with_its_response,
    failing_delivery_holds_back_its_deal_alone,
    dead_delivery_lets_the_next_of_its_deal_go,
    retry_after_holds_the_whole_endpoint,
    open_breaker_probes_after_pauses_that_double,
    corrected_url_is_called_at_once,
    paused_endpoint_accumulates_deliveries,
    rotated_secret_keeps_signing_for_a_day,
    concurrency_stays_within_every_limit,
    concurrency_falls_with_failures_in_a_row,
);

const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_secs(10);

async fn attempt_is_kept_with_its_response(market: Market) {
    let receiver = Receiver::start(|request: &Request| match request.number {
        0 => Reply::status(500).body("not\0 now"),
        _ => Reply::status(202).body("taken"),
    })
    .await;
    let id = market.subscribed(ANN, &receiver.url("/")).await;
    market.create(ANN).await;
    market.project().await;

    let dispatcher = market.dispatcher();
    let began = market.clock.now();
    assert_eq!(dispatcher.run_once().await.unwrap(), 1);

    let failed = market.deliveries(id).await.remove(0);
    let next = failed.next_attempt_at.unwrap().as_micros() - began.as_micros();
    assert!((4_000_000..=6_000_000).contains(&next), "{next}");
    assert_eq!(dispatcher.run_once().await.unwrap(), 0, "not yet");

    market.clock.advance(SECOND * 6);
    assert_eq!(dispatcher.run_once().await.unwrap(), 1);

    let delivered = market.deliveries(id).await.remove(0);
    assert_eq!(
        (delivered.state, delivered.next_attempt_at),
        (DeliveryState::Delivered, None)
    );

    let attempts: Vec<_> = delivered
        .attempts
        .iter()
        .map(|attempt| {
            let error = attempt.error.as_deref();
            let body = attempt.response_body.as_deref();
            (attempt.number, attempt.status_code, error, body)
        })
        .collect();
    let first = (
        1,
        Some(500),
        Some("status is not 2xx"),
        Some("not\u{fffd} now"),
    );
    assert_eq!(attempts, [first, (2, Some(202), None, Some("taken"))]);
    assert_eq!(delivered.attempts[0].at, began);
    assert_eq!(
        ids(&receiver),
        [delivered.id.to_string(), delivered.id.to_string()]
    );
    assert_eq!(
        market
            .webhooks()
            .delivery(BUYER, delivered.id)
            .await
            .unwrap(),
        Some(delivered)
    );
    market.check_sums().await;
}

/// Returns the versions of a deal in the order in which a receiver was sent them.
fn versions_sent(receiver: &Receiver, deal: DealRef) -> Vec<u64> {
    receiver
        .requests()
        .iter()
        .map(|request| serde_json::from_slice::<serde_json::Value>(&request.body).unwrap())
        .map(|body| body["data"]["deal"].clone())
        .filter(|sent| sent["id"] == deal.1.to_string())
        .map(|sent| sent["version"].as_u64().unwrap())
        .collect()
}

async fn failing_delivery_holds_back_its_deal_alone(market: Market) {
    let failing_deal = Arc::new(parking_lot::Mutex::new(String::new()));
    let script = Arc::clone(&failing_deal);
    let receiver = Receiver::start(move |request: &Request| {
        let body = String::from_utf8_lossy(&request.body);
        let failing = script.lock();
        let fails = !failing.is_empty() && body.contains(failing.as_str());
        Reply::status(if fails { 500 } else { 200 })
    })
    .await;
    let id = market.subscribed(ANN, &receiver.url("/")).await;
    let one = market.create(ANN).await;
    let other = market.create(ANN).await;
    *failing_deal.lock() = one.1.to_string();

    for _ in 0..2 {
        market.change(one).await;
        market.change(other).await;
        market.project().await;
    }

    let dispatcher = market.dispatcher();
    // The first of the failing deal, and all of the other deal one after the other.
    let mut recorded = Vec::new();
    for _ in 0..4 {
        recorded.push(dispatcher.run_once().await.unwrap());
    }

    assert_eq!(recorded, [2, 1, 1, 0]);

    let in_turns = [[DeliveryState::Pending, DeliveryState::Delivered]; 3].concat();
    assert_eq!(states(&market.deliveries(id).await), in_turns);
    market.check_sums().await;

    failing_deal.lock().clear();
    market.clock.advance(SECOND * 7);

    for _ in 0..3 {
        assert_eq!(
            dispatcher.run_once().await.unwrap(),
            1,
            "one after the other"
        );
    }

    for deal in [one, other] {
        let expected: &[u64] = if deal == one {
            &[1, 1, 2, 3]
        } else {
            &[1, 2, 3]
        };
        assert_eq!(versions_sent(&receiver, deal), expected);
    }

    market.check_sums().await;
}

async fn dead_delivery_lets_the_next_of_its_deal_go(market: Market) {
    let receiver = SwitchableReceiver::start(500).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    let deal = market.create(ANN).await;
    market.change(deal).await;
    market.project().await;

    let dispatcher = market.dispatcher();
    for attempt in 1..=8 {
        assert_eq!(dispatcher.run_once().await.unwrap(), 1, "attempt {attempt}");
        assert_eq!(receiver.delivery_ids().len(), attempt);

        market.clock.advance(Duration::from_hours(13));
    }

    assert_eq!(
        states(&market.deliveries(id).await),
        [DeliveryState::Dead, DeliveryState::Pending]
    );

    let counts = market.webhook(id).await.counts;
    assert_eq!((counts.owed, counts.dead, counts.pending), (2, 1, 1));

    receiver.answer_with(200);
    assert_eq!(dispatcher.run_once().await.unwrap(), 1);

    let deliveries = market.deliveries(id).await;
    assert_eq!(
        states(&deliveries),
        [DeliveryState::Dead, DeliveryState::Delivered]
    );
    assert_eq!(deliveries[0].attempts.len(), 8);
    assert_eq!(
        receiver.delivery_ids().last(),
        Some(&deliveries[1].id.to_string())
    );
    market.check_sums().await;
}

async fn retry_after_holds_the_whole_endpoint(market: Market) {
    let receiver = Receiver::start(|request: &Request| match request.number {
        0 => Reply::status(429).header("retry-after", "300"),
        _ => Reply::ok(),
    })
    .await;
    let id = market.subscribed(ANN, &receiver.url("/")).await;
    market.create(ANN).await;
    market.project().await;

    let dispatcher = market.dispatcher();
    assert_eq!(dispatcher.run_once().await.unwrap(), 1);

    market.create(ANN).await;
    market.project().await;

    let until = market.clock.now().as_micros() + 300_000_000;
    for delivery in market.deliveries(id).await {
        assert_eq!(
            delivery.next_attempt_at.unwrap().as_micros(),
            until,
            "all of the endpoint waits"
        );
    }

    market.clock.advance(SECOND * 299);
    assert_eq!(dispatcher.run_once().await.unwrap(), 0);

    market.clock.advance(SECOND);
    assert_eq!(dispatcher.run_once().await.unwrap(), 2);
    assert_eq!(
        states(&market.deliveries(id).await),
        [DeliveryState::Delivered; 2]
    );
}

async fn open_breaker_probes_after_pauses_that_double(market: Market) {
    let receiver = SwitchableReceiver::start(500).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    for _ in 0..30 {
        market.create(ANN).await;
    }
    market.project().await;

    let dispatcher = market.dispatcher();
    let mut called = 0;
    while dispatcher.run_once().await.unwrap() > 0 {
        called = receiver.delivery_ids().len();
    }

    assert!(
        (10..18).contains(&called),
        "ten in a row, and what was under way then: {called}"
    );

    let pending = async || {
        let mut deliveries = market.deliveries(id).await;
        deliveries.retain(|delivery| delivery.state == DeliveryState::Pending);
        deliveries
    };

    // Pauses vary by a fifth: each is not over after 79 of its hundred parts, and is after 179.
    for (probe, pause) in (1..).zip([60, 120, 240]) {
        market.clock.advance(SECOND * pause * 79 / 100);
        assert_eq!(dispatcher.run_once().await.unwrap(), 0, "probe {probe}");

        market.clock.advance(SECOND * pause);
        let others = market.dispatcher();
        let (one, other) = tokio::join!(dispatcher.run_once(), others.run_once());
        assert_eq!(
            one.unwrap() + other.unwrap(),
            1,
            "probe {probe}: a single dispatcher sends a single probe"
        );
        assert_eq!(receiver.delivery_ids().len(), called + probe);
    }

    let untouched = pending()
        .await
        .iter()
        .filter(|delivery| delivery.attempts.is_empty())
        .count();
    assert!(
        untouched >= 12,
        "a delivery that an open breaker delays uses up no try: {untouched}"
    );
    market.check_sums().await;

    receiver.answer_with(200);
    market.clock.advance(SECOND * 600);
    assert_eq!(dispatcher.run_once().await.unwrap(), 1, "half open");
    assert!(dispatcher.run_once().await.unwrap() > 1, "and closed again");
}

async fn corrected_url_is_called_at_once(market: Market) {
    let wrong = SwitchableReceiver::start(500).await;
    let right = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &wrong.url()).await;
    for _ in 0..20 {
        market.create(ANN).await;
    }
    market.project().await;

    let dispatcher = market.dispatcher();
    while dispatcher.run_once().await.unwrap() > 0 {}

    let update = async |url: String| {
        let changes = Changes {
            url: Some(url),
            ..Changes::default()
        };
        let webhooks = market.webhooks();
        webhooks.update(BUYER, id, changes).await.unwrap();
    };
    update(wrong.url()).await;
    assert_eq!(dispatcher.run_once().await.unwrap(), 0, "the same URL");

    update(right.url()).await;
    while dispatcher.run_once().await.unwrap() > 0 {}

    assert_eq!(right.delivery_ids().len(), 20);
    market.check_sums().await;
}

async fn paused_endpoint_accumulates_deliveries(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    let webhooks = market.webhooks();
    let pause = |paused| Changes {
        paused: Some(paused),
        ..Changes::default()
    };

    webhooks.update(BUYER, id, pause(true)).await.unwrap();
    market.create(ANN).await;
    market.project().await;
    webhooks.test(BUYER, id).await.unwrap();
    assert_eq!(market.dispatcher().run_once().await.unwrap(), 0);

    let deliveries = market.deliveries(id).await;
    assert_eq!(states(&deliveries), [DeliveryState::Pending; 2]);
    assert!(
        deliveries
            .iter()
            .all(|delivery| delivery.next_attempt_at.is_none())
    );

    webhooks.update(BUYER, id, pause(false)).await.unwrap();
    assert_eq!(market.dispatcher().run_once().await.unwrap(), 2);

    let kinds: Vec<String> = receiver
        .receiver
        .requests()
        .iter()
        .map(|request| {
            serde_json::from_slice::<serde_json::Value>(&request.body).unwrap()["type"].to_string()
        })
        .collect();
    assert!(kinds.contains(&r#""test""#.to_owned()), "{kinds:?}");
    assert_eq!(market.webhook(id).await.state, WebhookState::Active);
    market.check_sums().await;
}

async fn rotated_secret_keeps_signing_for_a_day(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    market.grant(ANN, BUYER).await;
    market.project().await;

    let webhooks = market.webhooks();
    let (webhook, old) = webhooks
        .register(BUYER, registration(&receiver.url()))
        .await
        .unwrap();
    let (rotated, new) = webhooks.rotate_secret(BUYER, webhook.id).await.unwrap();
    assert_eq!(
        (rotated, old.bytes() == new.bytes()),
        (webhook.clone(), false)
    );

    let dispatcher = market.dispatcher();
    for wait in [Duration::ZERO, Duration::from_hours(24) - SECOND, SECOND] {
        market.clock.advance(wait);
        webhooks.test(BUYER, webhook.id).await.unwrap();
        assert_eq!(dispatcher.run_once().await.unwrap(), 1);
    }

    let signed_by = |request: &Request, secret: &Secret| {
        let id = request.header("webhook-id").unwrap();
        let at = request.header("webhook-timestamp").unwrap();
        let signed =
            Verifier::new(&secret.reveal())
                .unwrap()
                .sign(id, at.parse().unwrap(), &request.body);
        let signed = signed.unwrap();
        request
            .header("webhook-signature")
            .unwrap()
            .split(' ')
            .any(|signature| signature == signed)
    };

    let requests = receiver.receiver.requests();
    let verified: Vec<_> = requests
        .iter()
        .map(|request| [&new, &old].map(|secret| signed_by(request, secret)))
        .collect();
    assert_eq!(verified, [[true, true], [true, true], [true, false]]);
}

async fn concurrency_stays_within_every_limit(market: Market) {
    let gate = Arc::new(Semaphore::new(0));
    let under_way = Arc::new(AtomicUsize::new(0));
    let receiver_gate = Arc::clone(&gate);
    let receiver_count = Arc::clone(&under_way);
    let receiver = Receiver::start(move |_| {
        receiver_count.fetch_add(1, Ordering::SeqCst);
        Reply::ok().through(&receiver_gate)
    })
    .await;
    let first = market.subscribed(ANN, &receiver.url("/one")).await;
    let second = market.register(&receiver.url("/two")).await;
    for _ in 0..10 {
        market.create(ANN).await;
    }
    market.project().await;

    let limits = Limits {
        in_flight: 40,
        per_endpoint: 2,
        rate: None,
    };
    let run_once = async |limits| {
        let dispatcher = market.dispatcher_with(limits, &Metrics::new());
        dispatcher.run_once().await.unwrap()
    };
    let opening = async {
        let all = async || under_way.load(Ordering::SeqCst) == 4;
        wait_until(SOON, "two calls of each endpoint", all).await;
        gate.add_permits(4);
    };

    let (recorded, ()) = tokio::join!(run_once(limits), opening);
    assert_eq!(recorded, 4);

    for id in [first, second] {
        assert_eq!(market.webhook(id).await.counts.delivered, 2);
    }

    gate.add_permits(100);
    let in_all = Limits {
        in_flight: 1,
        per_endpoint: 8,
        rate: None,
    };
    assert_eq!(run_once(in_all).await, 1);

    let slow = Limits {
        rate: std::num::NonZeroU32::new(1),
        ..Limits::default()
    };
    assert_eq!(run_once(slow).await, 2, "one call to each");
    market.check_sums().await;
}

async fn concurrency_falls_with_failures_in_a_row(market: Market) {
    let receiver = SwitchableReceiver::start(500).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    for _ in 0..12 {
        market.create(ANN).await;
    }
    market.project().await;

    let limits = Limits {
        per_endpoint: 4,
        ..Limits::default()
    };
    let dispatcher = market.dispatcher_with(limits, &Metrics::new());
    let mut rounds = Vec::new();
    while rounds.len() < 7 {
        rounds.push(dispatcher.run_once().await.unwrap());
    }

    assert_eq!(
        rounds,
        [4, 1, 1, 1, 1, 1, 1],
        "four failures in a row leave one at a time"
    );
    assert_eq!(
        dispatcher.run_once().await.unwrap(),
        0,
        "and ten hold the endpoint"
    );
    assert_eq!(market.webhook(id).await.counts.pending, 12);
}
