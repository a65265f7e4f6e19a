//! Counts over long runs of everything that can happen, in turns and at once: nothing is lost,
//! doubled or stuck.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backbone::ids::{BuyerId, SellerId, WebhookId};
use backbone::on_db;
use backbone::testkit::{Receiver, Reply};
use buyer_core::testkit::DealRef;
use uuid::Uuid;
use webhooks::retention::KEEP;
use webhooks::{Changes, DeliveryState, Refusal, ReplayRequest, Webhooks};

use super::kit::{of_endpoint, registration, replay_of};
use crate::market::{ANN, BOB, Market};
use crate::on_both_backends;

on_both_backends!(Market; counts_add_up_after_every_step,
    counts_add_up_while_everything_happens_at_once
);

const BUYERS: [BuyerId; 2] = [
    BuyerId(Uuid::from_u128(0xb1)),
    BuyerId(Uuid::from_u128(0xb2)),
];
const SELLERS: [SellerId; 2] = [ANN, BOB];
const STEPS: usize = 250;

/// Pseudo-random numbers that are the same in every run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

/// Starts a receiver that accepts about half of its calls, and sometimes answers that it is gone or
/// busy. It accepts everything once the returned flag is set.
async fn unreliable_receiver(seed: u64) -> (Receiver, Arc<AtomicBool>) {
    let reliable = Arc::new(AtomicBool::new(false));
    let is_reliable = Arc::clone(&reliable);
    let receiver = Receiver::start(move |request| {
        let mut dice = Dice(seed ^ (request.number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // The first draw is discarded: it mixes the bits of the seed too little.
        dice.below(2);
        match dice.below(60) {
            _ if is_reliable.load(Ordering::SeqCst) => Reply::ok(),
            0 => Reply::status(410),
            1..4 => Reply::status(429).header("retry-after", "7"),
            4..8 => Reply::close(),
            8..30 => Reply::status(500),
            _ => Reply::ok(),
        }
    })
    .await;
    (receiver, reliable)
}

/// Random run through everything that can happen.
struct Run<'a> {
    market: &'a Market,
    dice: Dice,
    url: String,
    deals: Vec<DealRef>,
}

impl Run<'_> {
    async fn endpoints(&mut self) -> Vec<(BuyerId, WebhookId)> {
        let mut all = Vec::new();
        for buyer in BUYERS {
            let listed = self.market.webhooks().list(buyer).await.unwrap();
            all.extend(listed.iter().map(|webhook| (buyer, webhook.id)));
        }

        all
    }

    /// Does one thing that can happen in a market, drawn at random.
    async fn step(&mut self) {
        let market = self.market;
        let webhooks = market.webhooks();
        let endpoints = self.endpoints().await;
        let (buyer, webhook) = self.dice.one_of(&endpoints);

        match self.dice.below(20) {
            0..6 => self.change_deals().await,
            6..12 => {
                market.dispatcher().run_once().await.unwrap();
            }
            12 => {
                let hours = self.dice.below(6) as u64;
                market.clock.advance(Duration::from_hours(hours));
            }
            13 => {
                let seconds = self.dice.below(20) as u64;
                market.clock.advance(Duration::from_secs(seconds));
            }
            14 => self.replay_one(buyer, webhook).await,
            15 => {
                let states = [DeliveryState::Dead, DeliveryState::Delivered];
                let state = self.dice.one_of(&states);
                let request = ReplayRequest {
                    state,
                    ..replay_of(webhook)
                };
                let replayed = webhooks.start_replay(buyer, &request, None).await;
                assert!(
                    matches!(replayed, Ok(_) | Err(Refusal::Conflict(_))),
                    "{replayed:?}"
                );
                while webhooks.step_replay().await.unwrap() {}
            }
            16 => self.pause_or_resume(endpoints).await,
            17 if endpoints.len() > 2 => webhooks.delete(buyer, webhook).await.unwrap(),
            17 | 18 => {
                let registered = webhooks.register(buyer, registration(&self.url)).await;
                assert!(
                    matches!(registered, Ok(_) | Err(Refusal::LimitExceeded)),
                    "{registered:?}"
                );
                let seller = self.dice.one_of(&SELLERS);
                market.toggle_access(seller, buyer).await;
            }
            _ => {
                webhooks.test(buyer, webhook).await.unwrap();
                if self.dice.below(4) == 0 {
                    market.clock.advance(KEEP);
                }
                webhooks.forget_old().await.unwrap();
            }
        }
    }

    async fn change_deals(&mut self) {
        for _ in 0..=self.dice.below(4) {
            let deal = self.dice.one_of(&self.deals);
            self.market.change(deal).await;
        }
        self.market.project().await;
    }

    async fn replay_one(&mut self, buyer: BuyerId, webhook: WebhookId) {
        let webhooks = self.market.webhooks();
        let page = webhooks
            .deliveries(buyer, of_endpoint(webhook), 50, None)
            .await
            .unwrap();
        if page.deliveries.is_empty() {
            return;
        }

        let delivery = self.dice.one_of(&page.deliveries);
        let replayed = webhooks.replay(buyer, delivery.id).await;
        assert_eq!(
            replayed.is_ok(),
            delivery.state != DeliveryState::Pending,
            "{replayed:?}"
        );
    }

    async fn pause_or_resume(&mut self, endpoints: Vec<(BuyerId, WebhookId)>) {
        let webhooks = self.market.webhooks();
        for (buyer, webhook) in endpoints {
            let changes = Changes {
                paused: Some(self.dice.below(4) == 0),
                ..Changes::default()
            };
            webhooks.update(buyer, webhook, changes).await.unwrap();
        }
    }
}

/// Checks that in every lane the first pending delivery is due and no other, and that every message
/// knows how many deliveries use it.
async fn check_lanes(market: &Market) {
    const WRONGLY_DUE: &str = "
        SELECT count(*) FROM webhook_delivery d
         WHERE d.state = 'PENDING' AND NOT d.replay AND d.deal_id IS NOT NULL
           AND (d.due_at IS NOT NULL) = EXISTS (
               SELECT 1 FROM webhook_delivery ahead
                WHERE ahead.webhook_id = d.webhook_id AND ahead.deal_id = d.deal_id AND ahead.state = 'PENDING'
                  AND NOT ahead.replay AND ahead.sequence < d.sequence)";
    let wrongly_due: i64 =
        on_db!(market.webhook_db.read(), pool => sqlx::query_scalar(WRONGLY_DUE).fetch_one(pool).await)
            .unwrap();
    assert_eq!(
        wrongly_due, 0,
        "the head of a lane is due and nothing else of it"
    );

    const MISCOUNTED: &str = "
        SELECT count(*) FROM webhook_message m
         WHERE m.deliveries <> (SELECT count(*) FROM webhook_delivery d WHERE d.message_id = m.id)";
    let miscounted: i64 =
        on_db!(market.webhook_db.read(), pool => sqlx::query_scalar(MISCOUNTED).fetch_one(pool).await)
            .unwrap();
    assert_eq!(miscounted, 0, "messages count the deliveries that use them");
}

/// Sets up two buyers with access to two sellers, three endpoints each, and five deals.
async fn busy_market(market: &Market, url: &str) -> Vec<DealRef> {
    for buyer in BUYERS {
        for seller in SELLERS {
            market.grant(seller, buyer).await;
        }
        for _ in 0..3 {
            market
                .webhooks()
                .register(buyer, registration(url))
                .await
                .unwrap();
        }
    }

    let mut deals = Vec::new();
    for seller in [ANN, BOB, ANN, BOB, ANN] {
        deals.push(market.create(seller).await);
    }
    market.project().await;

    deals
}

// Goal: no order of events makes the counts wrong or leaves a delivery stuck.
// Method: 250 steps drawn from a fixed seed: changes, calls to an unreliable receiver, replays,
// pauses, deletions, tests, cleanups and passing time; the tables are checked after every step.
// Proven: counts, lanes and messages hold after every step, and in the end nothing is pending.
async fn counts_add_up_after_every_step(market: Market) {
    let seed = 0x5eed;
    let (receiver, reliable) = unreliable_receiver(seed).await;
    let url = receiver.url("/");
    let deals = busy_market(&market, &url).await;
    let mut run = Run {
        market: &market,
        dice: Dice(seed),
        url,
        deals,
    };

    for _ in 0..STEPS {
        run.step().await;
        market.check_sums().await;

        check_lanes(&market).await;
    }

    // From here on everything can succeed, so everything must.
    reliable.store(true, Ordering::SeqCst);
    for (buyer, webhook) in run.endpoints().await {
        let resume = Changes {
            paused: Some(false),
            ..Changes::default()
        };
        market
            .webhooks()
            .update(buyer, webhook, resume)
            .await
            .unwrap();
    }

    market.clock.advance(Duration::from_hours(24));
    let dispatcher = market.dispatcher();
    while dispatcher.run_once().await.unwrap() > 0 {
        check_lanes(&market).await;
    }

    market.check_sums().await;

    let mut delivered = 0;
    for (buyer, webhook) in run.endpoints().await {
        let counts = market
            .webhooks()
            .find(buyer, webhook)
            .await
            .unwrap()
            .unwrap()
            .counts;
        assert_eq!(counts.pending, 0, "nothing is stuck");
        delivered += counts.delivered;
    }

    let calls = receiver.requests().len();
    assert!(
        delivered > 0 && calls > STEPS,
        "the run did something: {calls}"
    );
}

/// Replays and resumes all endpoints of a buyer again and again, until `over` is set.
async fn replay_until_over(
    webhooks: &Webhooks,
    buyer: BuyerId,
    state: DeliveryState,
    over: &AtomicBool,
) {
    // Another task may delete an endpoint between the list and the request.
    let assert_done_or_deleted = |refusal: Option<Refusal>| {
        assert!(
            matches!(refusal, None | Some(Refusal::NotFound)),
            "{refusal:?}"
        );
    };

    while !over.load(Ordering::SeqCst) {
        for webhook in webhooks.list(buyer).await.unwrap() {
            let request = ReplayRequest {
                state,
                ..replay_of(webhook.id)
            };
            match webhooks.start_replay(buyer, &request, None).await {
                Err(Refusal::Conflict(_)) => {}
                started => assert_done_or_deleted(started.err()),
            }
            webhooks.step_replay().await.unwrap();

            let resume = Changes {
                paused: Some(false),
                ..Changes::default()
            };
            let resumed = webhooks.update(buyer, webhook.id, resume).await;
            assert_done_or_deleted(resumed.err());
        }
    }
}

/// Registers, tests and deletes an endpoint again and again, until `over` is set.
async fn register_and_delete_until_over(
    webhooks: &Webhooks,
    buyer: BuyerId,
    url: &str,
    over: &AtomicBool,
) {
    while !over.load(Ordering::SeqCst) {
        let (webhook, _) = webhooks.register(buyer, registration(url)).await.unwrap();
        webhooks.test(buyer, webhook.id).await.unwrap();
        webhooks.delete(buyer, webhook.id).await.unwrap();
        webhooks.forget_old().await.unwrap();
    }
}

// Goal: the counts hold under concurrency, not only in turns.
// Method: a projection, two dispatchers, two replaying buyers and one who registers and deletes run
// at once.
// Proven: the counts add up at every instant at which they are read, and lanes and messages in the
// end.
async fn counts_add_up_while_everything_happens_at_once(market: Market) {
    let (receiver, _) = unreliable_receiver(7).await;
    let url = receiver.url("/");
    let deals = busy_market(&market, &url).await;
    let webhooks = market.webhooks();
    let over = AtomicBool::new(false);
    let changing = async {
        let mut dice = Dice(1);
        for _ in 0..40 {
            for _ in 0..10 {
                market.change(dice.one_of(&deals)).await;
            }
            market.project().await;
            market.clock.advance(Duration::from_secs(3));
        }
        over.store(true, Ordering::SeqCst);
    };

    let sending = async || {
        let dispatcher = market.dispatcher();
        while !over.load(Ordering::SeqCst) {
            dispatcher.run_once().await.unwrap();
            market.check_sums().await;
        }
    };

    tokio::join!(
        changing,
        sending(),
        sending(),
        replay_until_over(&webhooks, BUYERS[0], DeliveryState::Delivered, &over),
        replay_until_over(&webhooks, BUYERS[1], DeliveryState::Dead, &over),
        register_and_delete_until_over(&webhooks, BUYERS[0], &url, &over)
    );
    market.check_sums().await;

    check_lanes(&market).await;
    let calls = receiver.requests().len();
    assert!(calls > 200, "the run did something: {calls}");
}
