//! Everything breaks, in an order that a seed gives, while sellers write and buyers read: nothing is lost, nothing
//! comes twice.
//!
//! `DEALWIRE_TEST_SEED` makes a run again. With `DEALWIRE_TEST_FULL`, which `scripts/test --full` sets, it goes on with
//! one seed after the other for ten minutes, or as many as `DEALWIRE_TEST_MINUTES` says.
#![expect(
    clippy::print_stdout,
    reason = "what was shown, and how to make it again"
)]

mod market;
mod schedule;
mod strike;

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::kit::Party;
use crate::load::{Habit, Load, Plan, ReaderPlan, Subject, Truth, WriterPlan};
use market::Market;
use schedule::Schedule;

/// From one change of a writer to its next.
const PACE: Duration = Duration::from_millis(60);

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_each_change_comes_once_and_in_order() {
    let number = |name| setting(name).map(|text| text.parse().expect(name));
    let (first, full) = (
        number("DEALWIRE_TEST_SEED").unwrap_or(1),
        setting("DEALWIRE_TEST_FULL").is_some(),
    );
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

#[expect(
    clippy::disallowed_methods,
    reason = "how long a run is, and which one"
)]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Carries out a schedule on a market of its own.
async fn run(schedule: Schedule) {
    let (began, told) = (Instant::now(), Told(&schedule));
    let market = Market::start().await;
    let mut load = Load::start(plan(&market)).await;
    load.run_for(50).await;
    let faults = async {
        join_all(schedule.lanes.iter().map(|lane| market.suffer(lane, &load))).await;
        market.ready().await;
        load.run_for(50).await;
    };
    tokio::select! {
        () = faults => {}
        () = load.fault() => {}
    }
    load.stop_writing().await;
    let report = load.finish(&Truth::of(&market.stores).await).await;
    drop(told);
    println!("{report} (seed {})", schedule.seed);
    println!(
        "{}; {} faults in {:?}",
        report.details(),
        schedule.faults(),
        began.elapsed()
    );
}

/// Tells a schedule when it has found a fault.
struct Told<'a>(&'a Schedule);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "DEALWIRE_TEST_SEED={} makes this run again: {}",
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
    let mut readers = Vec::new();
    let mut add = |count: usize, party, subject, habit| {
        for number in 0..count {
            // The proxies between would take for a slow reader what it does not.
            let mut gateways = if habit == Habit::Slow {
                direct.clone()
            } else {
                fronts.clone()
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
        add(count, party, Subject::Deals, Habit::Socket);
        add(count.div_ceil(2), party, Subject::Deals, Habit::Events);
        add(
            count.div_ceil(2),
            party,
            Subject::Deals,
            Habit::Vanishing(30 + 7 * count),
        );
    }
    add(2, Party::Buyer, Subject::Deals, Habit::Slow);
    add(2, Party::OtherBuyer, Subject::Deals, Habit::Slow);
    add(2, Party::OtherBuyer, Subject::Access, Habit::Socket);
    add(2, Party::OtherBuyer, Subject::Access, Habit::Events);
    add(1, Party::Seller, Subject::Access, Habit::Socket);
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
        readers,
        gateways: fronts,
        access_changes_after: Some(60),
    }
}
