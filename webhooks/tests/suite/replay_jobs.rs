//! Replays as jobs: order, rate, progress and their end.

use std::collections::HashMap;
use std::time::Duration;

use backbone::ids::WebhookId;
use buyer_core::testkit::DealRef;
use tokio::time::timeout;
use uuid::Uuid;
use webhooks::{Changes, Delivery, DeliveryState, Refusal, Replay, ReplayRequest, ReplayState};

use super::kit::{NOWHERE, SwitchableReceiver, replay_of};
use crate::market::{ANN, BUYER, Market};
use crate::on_both_backends;

on_both_backends!(Market; replay_keeps_the_order_of_each_deal_beside_live_changes,
    live_deliveries_go_before_a_replay,
    failing_delivery_holds_up_its_deal_only,
    steps_that_are_cut_off_lose_and_repeat_nothing,
    cancelled_replay_puts_back_what_was_not_sent,
    rate_limits_what_is_opened,
    dry_run_counts_and_writes_nothing,
    replay_is_started_once,
    replay_ends_with_its_endpoint,
    replay_waits_for_a_paused_endpoint,
);

const STEP: Duration = Duration::from_millis(250);

fn delivered(webhook: WebhookId) -> ReplayRequest {
    ReplayRequest {
        state: DeliveryState::Delivered,
        ..replay_of(webhook)
    }
}

/// Sends everything that is due.
async fn send_all(market: &Market) {
    let dispatcher = market.dispatcher();
    while dispatcher.run_once().await.unwrap() > 0 {}
}

/// Creates `deals` deals, changes each of them `changes` times and delivers it all.
async fn history(market: &Market, deals: usize, changes: usize) -> Vec<DealRef> {
    let mut created = Vec::new();
    for _ in 0..deals {
        created.push(market.create(ANN).await);
    }
    for _ in 0..changes {
        for deal in &created {
            market.change(*deal).await;
        }
    }
    market.project().await;
    send_all(market).await;
    market.clock.advance(STEP);

    created
}

async fn start(market: &Market, request: &ReplayRequest) -> Replay {
    let started = market.webhooks().start_replay(BUYER, request, None).await;
    started.unwrap()
}

async fn replay(market: &Market, webhook: WebhookId) -> Replay {
    market.webhooks().replays(BUYER, webhook).await.unwrap()[0]
}

/// Takes steps and sends what they open until the replay has ended.
async fn run_to_end(market: &Market, webhook: WebhookId) -> Replay {
    while replay(market, webhook).await.state == ReplayState::Running {
        market.webhooks().step_replay().await.unwrap();
        send_all(market).await;
        market.clock.advance(STEP);
    }

    replay(market, webhook).await
}

/// Returns the ids of the calls of replays, in order.
fn replayed(receiver: &SwitchableReceiver) -> Vec<String> {
    let requests = receiver.receiver.requests();
    requests
        .iter()
        .filter(|request| request.header("webhook-replay").is_some())
        .map(|request| request.header("webhook-id").unwrap().to_owned())
        .collect()
}

/// Checks that the calls of a replay came once each, and for each deal in the order of its changes.
fn assert_in_order(all: &[Delivery], replayed: &[String], matched: usize) {
    let places: HashMap<String, usize> = all
        .iter()
        .enumerate()
        .map(|(place, delivery)| (delivery.id.to_string(), place))
        .collect();
    let mut last: HashMap<String, usize> = HashMap::new();

    for id in replayed {
        let place = places[id];
        let body: serde_json::Value =
            serde_json::from_str(all[place].body.as_ref().unwrap()).unwrap();
        let deal = body["data"]["deal"]["id"].as_str().unwrap().to_owned();
        let before = last.insert(deal, place);
        assert!(before.is_none_or(|before| before < place), "{replayed:?}");
    }
    assert_eq!(replayed.len(), matched);
}

async fn pending(market: &Market, id: WebhookId) -> u64 {
    market.webhook(id).await.counts.pending
}

// Goal: a receiver sees a replay in the order of each deal, whatever happens beside it.
// Method: four deals of four changes are replayed while each turn makes one more change.
// Proven: each old delivery is called once more, in the order of its deal, and live ones as usual.
async fn replay_keeps_the_order_of_each_deal_beside_live_changes(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    let deals = history(&market, 4, 3).await;

    let started = start(&market, &delivered(id)).await;
    assert_eq!((started.state, started.matched), (ReplayState::Running, 16));
    let mut turns = 0;
    while replay(&market, id).await.state == ReplayState::Running {
        market.webhooks().step_replay().await.unwrap();
        market.clock.advance(STEP);
        market.change(deals[turns % 4]).await;
        market.project().await;
        send_all(&market).await;
        turns += 1;
    }

    let done = replay(&market, id).await;
    assert_eq!((done.state, done.sent), (ReplayState::Done, 16));
    let all = market.deliveries(id).await;
    assert_in_order(&all, &replayed(&receiver), 16);
    assert_eq!(all.len(), 16 + turns);
    market.check_sums().await;
}

async fn live_deliveries_go_before_a_replay(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    let deals = history(&market, 3, 0).await;
    start(&market, &delivered(id)).await;

    // What is delivered from now on is not part of the replay.
    market.clock.advance(STEP);
    market.change(deals[0]).await;
    market.project().await;
    assert!(market.webhooks().step_replay().await.unwrap());
    assert_eq!(pending(&market, id).await, 1, "the live one alone");

    send_all(&market).await;
    market.clock.advance(STEP);
    assert!(market.webhooks().step_replay().await.unwrap());
    assert_eq!(pending(&market, id).await, 3);
    send_all(&market).await;
    assert_eq!(run_to_end(&market, id).await.sent, 3);
}

async fn failing_delivery_holds_up_its_deal_only(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    history(&market, 2, 1).await;
    start(
        &market,
        &ReplayRequest {
            rate_per_second: Some(1),
            ..delivered(id)
        },
    )
    .await;

    // The rate opens one delivery: it fails, and the rest succeeds.
    receiver.answer_with(500);
    assert!(market.webhooks().step_replay().await.unwrap());
    assert_eq!(market.dispatcher().run_once().await.unwrap(), 1);
    receiver.answer_with(200);
    for _ in 0..3 {
        market.clock.advance(Duration::from_secs(1));
        market.webhooks().step_replay().await.unwrap();
        market.dispatcher().run_once().await.unwrap();
    }

    let halted = replay(&market, id).await;
    assert_eq!((halted.state, halted.sent), (ReplayState::Running, 3));
    market.clock.advance(Duration::from_secs(10));
    send_all(&market).await;
    assert_eq!(run_to_end(&market, id).await.sent, 4);
    let calls = replayed(&receiver);
    let all = market.deliveries(id).await;
    let ids: Vec<String> = all.iter().map(|delivery| delivery.id.to_string()).collect();
    assert_eq!(
        calls,
        [&ids[0], &ids[1], &ids[3], &ids[0], &ids[2]].map(String::clone)
    );
}

// Goal: a process that ends in the middle of a step neither loses nor repeats a delivery.
// Method: steps are cut off after ever longer times, so at every place they can be cut off at.
// Proven: the replay comes to its end, each delivery was called once, and the sums hold throughout.
async fn steps_that_are_cut_off_lose_and_repeat_nothing(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    history(&market, 6, 4).await;
    start(
        &market,
        &ReplayRequest {
            rate_per_second: Some(10),
            ..delivered(id)
        },
    )
    .await;

    for micros in (0..4_000).step_by(100) {
        let step = market.webhooks();
        let cut = timeout(Duration::from_micros(micros), step.step_replay()).await;
        cut.map_or(Ok(false), |taken| taken).unwrap();
        market.check_sums().await;
        send_all(&market).await;
        market.clock.advance(STEP);
    }

    let done = run_to_end(&market, id).await;
    assert_eq!((done.state, done.sent), (ReplayState::Done, 30));
    assert_in_order(&market.deliveries(id).await, &replayed(&receiver), 30);
    market.check_sums().await;
}

async fn cancelled_replay_puts_back_what_was_not_sent(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    history(&market, 3, 1).await;
    let before = market.deliveries(id).await;
    let started = start(&market, &delivered(id)).await;
    let webhooks = market.webhooks();

    // One of each deal is opened: all three are sent, and of the next three nobody calls any.
    webhooks.step_replay().await.unwrap();
    send_all(&market).await;
    market.clock.advance(STEP);
    webhooks.step_replay().await.unwrap();
    assert_eq!(pending(&market, id).await, 3);
    let cancelled = webhooks.cancel_replay(BUYER, started.id).await.unwrap();
    assert_eq!(
        (cancelled.state, cancelled.sent),
        (ReplayState::Cancelled, 3)
    );

    let after = market.deliveries(id).await;
    assert!(
        after
            .iter()
            .all(|delivery| delivery.state == DeliveryState::Delivered)
    );
    assert_eq!(after[3..], before[3..], "as they were");
    market.check_sums().await;

    market.clock.advance(STEP);
    assert!(!webhooks.step_replay().await.unwrap());
    send_all(&market).await;
    assert_eq!(replayed(&receiver).len(), 3);
    let again = webhooks.cancel_replay(BUYER, started.id).await.unwrap();
    assert_eq!(again, cancelled);
    let unknown = webhooks.cancel_replay(BUYER, Uuid::from_u128(7)).await;
    assert!(matches!(unknown, Err(Refusal::NotFound)));
}

async fn rate_limits_what_is_opened(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    history(&market, 10, 0).await;
    start(
        &market,
        &ReplayRequest {
            rate_per_second: Some(6),
            ..delivered(id)
        },
    )
    .await;

    // Six a second: two every third of a second.
    let webhooks = market.webhooks();
    assert!(webhooks.step_replay().await.unwrap());
    assert!(
        !webhooks.step_replay().await.unwrap(),
        "the next step is not due"
    );
    assert_eq!(pending(&market, id).await, 2);
    market.clock.advance(Duration::from_millis(333));
    assert!(!webhooks.step_replay().await.unwrap());
    market.clock.advance(Duration::from_millis(1));
    assert!(webhooks.step_replay().await.unwrap());
    assert_eq!(
        pending(&market, id).await,
        2,
        "those before were not called yet"
    );

    send_all(&market).await;
    market.clock.advance(Duration::from_millis(334));
    assert!(webhooks.step_replay().await.unwrap());
    assert_eq!(pending(&market, id).await, 2);
    assert_eq!(replay(&market, id).await.sent, 2);
}

async fn dry_run_counts_and_writes_nothing(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    let deals = history(&market, 2, 2).await;
    let dry = ReplayRequest {
        dry_run: true,
        ..delivered(id)
    };
    let of_one_deal = ReplayRequest {
        deal: Some(deals[0].1),
        events: Some(vec![webhooks::WebhookEvent::DealUpdated]),
        ..dry.clone()
    };
    let later = ReplayRequest {
        since: Some(market.clock.now()),
        ..dry.clone()
    };
    let dead = ReplayRequest {
        state: DeliveryState::Dead,
        ..dry.clone()
    };

    for (request, matched) in [(dry, 6), (of_one_deal, 2), (later, 0), (dead, 0)] {
        let counted = start(&market, &request).await;
        assert_eq!(
            (counted.state, counted.matched),
            (ReplayState::DryRun, matched)
        );
    }
    let listed = market.webhooks().replays(BUYER, id).await.unwrap();
    assert!(listed.is_empty());
    assert_eq!(pending(&market, id).await, 0);
}

async fn replay_is_started_once(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    history(&market, 2, 0).await;
    let request = delivered(id);
    let webhooks = market.webhooks();
    let first = webhooks
        .start_replay(BUYER, &request, Some("key"))
        .await
        .unwrap();
    let repeated = webhooks
        .start_replay(BUYER, &request, Some("key"))
        .await
        .unwrap();
    assert_eq!(repeated, first);

    let slower = ReplayRequest {
        rate_per_second: Some(1),
        ..request.clone()
    };
    let reused = webhooks.start_replay(BUYER, &slower, Some("key")).await;
    assert!(matches!(reused, Err(Refusal::KeyReused)), "{reused:?}");
    let second = webhooks.start_replay(BUYER, &slower, None).await;
    assert!(matches!(second, Err(Refusal::Conflict(_))), "{second:?}");

    let done = run_to_end(&market, id).await;
    assert_eq!((done.id, done.sent), (first.id, 2));
    let repeated = webhooks
        .start_replay(BUYER, &request, Some("key"))
        .await
        .unwrap();
    assert_eq!(repeated, done, "also when it is done");
    start(&market, &slower).await;
}

async fn replay_ends_with_its_endpoint(market: Market) {
    let id = market.subscribed(ANN, NOWHERE).await;
    market.create(ANN).await;
    market.project().await;
    start(&market, &delivered(id)).await;
    market.webhooks().delete(BUYER, id).await.unwrap();

    assert!(market.webhooks().step_replay().await.unwrap());
    assert_eq!(replay(&market, id).await.state, ReplayState::Cancelled);
    market.clock.advance(webhooks::retention::KEEP * 2);
    market.webhooks().forget_old().await.unwrap();
    assert!(
        market
            .webhooks()
            .replays(BUYER, id)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn replay_waits_for_a_paused_endpoint(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    history(&market, 2, 0).await;
    start(&market, &delivered(id)).await;
    let pause = |paused| Changes {
        paused: Some(paused),
        ..Changes::default()
    };

    let webhooks = market.webhooks();
    webhooks.update(BUYER, id, pause(true)).await.unwrap();
    assert!(webhooks.step_replay().await.unwrap());
    assert_eq!(pending(&market, id).await, 0);
    webhooks.update(BUYER, id, pause(false)).await.unwrap();
    market.clock.advance(STEP);
    assert_eq!(run_to_end(&market, id).await.sent, 2);
}
