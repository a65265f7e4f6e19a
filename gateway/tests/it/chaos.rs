//! Chaos: every kind of fault, in an order that a seed decides, while sellers write and buyers read.
//!
//! Each run takes a new seed and prints it; `DEALWIRE_TEST_SEED` replays a run. With `DEALWIRE_TEST_FULL`, which `scripts/test --full` sets, the test runs one seed
//! after the other for `DEALWIRE_TEST_MINUTES` minutes (default 10).
#![expect(
    clippy::print_stdout,
    reason = "a run reports what it has shown and how to replay it"
)]

mod inject;
mod market;
mod schedule;

use std::time::Duration;

use backbone::clock::Clock;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::kit::Party;
use crate::load::{Filter, Habit, Load, MID_PRICED, Plan, ReaderPlan, Subject, Truth, WriterPlan};
use market::Market;
use schedule::Schedule;

/// Time between two changes of one writer.
const PACE: Duration = Duration::from_millis(60);

// Goal: whatever fails, every reader sees every change that it may see once and in log order.
// Method: one lane of seeded faults each for servers, projectors, gateways and clients runs beside writers and readers.
// Proves: acknowledged mutations, both sides' tables and all pushes equal the log when everything is back.
#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_survive_faults_in_seeded_order() {
    let number = |name| setting(name).map(|text| text.parse().expect(name));
    let first = number("DEALWIRE_TEST_SEED").unwrap_or_else(new_seed);
    let full = setting("DEALWIRE_TEST_FULL").is_some();
    if !full {
        return run(Schedule::short(first)).await;
    }
    let began = Instant::now();
    let time = Duration::from_secs(60 * number("DEALWIRE_TEST_MINUTES").unwrap_or(10));
    for seed in first.. {
        run(Schedule::long(seed)).await;
        if began.elapsed() >= time {
            return;
        }
    }
}

/// Returns a seed that hardly any run before has had, and that can be typed.
fn new_seed() -> u64 {
    Clock::system().now_micros().unsigned_abs() % 1_000_000
}

#[expect(
    clippy::disallowed_methods,
    reason = "length and seed of a run come from outside"
)]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Runs a schedule on a market of its own and compares what everybody saw with the log.
async fn run(schedule: Schedule) {
    let began = Instant::now();
    println!("chaos with seed {}", schedule.seed);
    let hint = ReplayHint(&schedule);
    let market = Market::start().await;
    let mut load = Load::start(plan(&market)).await;
    load.run_for(50).await;
    let faults = async {
        join_all(
            schedule
                .lanes
                .iter()
                .map(|lane| market.run_lane(lane, &load)),
        )
        .await;
        market.ready().await;
        load.run_for(50).await;
    };
    tokio::select! {
        () = faults => {}
        () = load.fault() => {}
    }
    load.stop_writing().await;
    let report = load.finish(&Truth::of(&market.stores).await).await;
    drop(hint);
    println!("{report} (seed {})", schedule.seed);
    println!(
        "{}; {} faults in {:?}",
        report.details(),
        schedule.faults(),
        began.elapsed()
    );
}

/// Prints how to replay a run that failed.
struct ReplayHint<'a>(&'a Schedule);

impl Drop for ReplayHint<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "replay this run with DEALWIRE_TEST_SEED={}: {}",
                self.0.seed, self.0
            );
        }
    }
}

fn plan(market: &Market) -> Plan {
    let fronts: Vec<String> = market
        .gateways
        .iter()
        .map(|gateway| gateway.front_url())
        .collect();
    let direct: Vec<String> = market
        .gateways
        .iter()
        .map(|gateway| gateway.url().to_owned())
        .collect();
    let writers = [
        Party::Seller,
        Party::OtherSeller,
        Party::Seller,
        Party::OtherSeller,
        Party::Seller,
    ];

    Plan {
        writers: writers
            .map(|seller| WriterPlan {
                seller,
                pace: Some(PACE),
            })
            .into(),
        readers: readers(&fronts, &direct),
        gateways: fronts,
        access_changes_after: Some(60),
    }
}

fn readers(fronts: &[String], direct: &[String]) -> Vec<ReaderPlan> {
    let all = Subject::Deals(Filter::All);
    let mut readers = Vec::new();
    let mut add = |count: usize, party, subject, habit| {
        for number in 0..count {
            // A proxy in between would read what a slow reader does not.
            let mut gateways = if habit == Habit::Slow {
                direct.to_vec()
            } else {
                fronts.to_vec()
            };
            gateways.rotate_left(number % 2);
            readers.push(ReaderPlan {
                party,
                subject,
                habit,
                gateways,
            });
        }
    };

    for (party, count) in [
        (Party::Buyer, 4),
        (Party::OtherBuyer, 4),
        (Party::Seller, 1),
        (Party::OtherSeller, 1),
    ] {
        add(count, party, all, Habit::Socket);
        add(count.div_ceil(2), party, all, Habit::Events);
        let vanishing = Habit::Vanishing(30 + 7 * count);
        add(count.div_ceil(2), party, all, vanishing);
    }
    add(2, Party::Buyer, all, Habit::Slow);
    add(2, Party::OtherBuyer, all, Habit::Slow);

    let of_other = Subject::Deals(Filter::OfSeller(Party::OtherSeller));
    let priced = Subject::Deals(MID_PRICED);
    let available = Subject::Deals(Filter::InStatus("AVAILABLE"));
    add(1, Party::Buyer, of_other, Habit::Socket);
    add(1, Party::OtherBuyer, priced, Habit::Socket);
    add(1, Party::Seller, available, Habit::Events);
    add(1, Party::OtherBuyer, all, Habit::Conflating);
    add(1, Party::Buyer, priced, Habit::Conflating);
    add(1, Party::OtherBuyer, all, Habit::Pulling);
    add(1, Party::Buyer, available, Habit::Pulling);

    add(2, Party::OtherBuyer, Subject::Access, Habit::Socket);
    add(2, Party::OtherBuyer, Subject::Access, Habit::Events);
    add(1, Party::Seller, Subject::Access, Habit::Socket);
    readers
}
