//! The end of a gateway among several: it is out of service at once, sends its clients away evenly over the time it
//! has, and they lose nothing.

use std::time::Duration;

use backbone::testkit::{Services, wait_until};
use tokio::time::Instant;

use crate::kit::{End, Party, Process, seed};
use crate::load::{Habit, Load, Plan, ReaderPlan, Truth, WriterPlan};

const SOCKETS: usize = 400;
const STREAMS: usize = 200;
/// The time that the gateway has.
const DRAIN: Duration = Duration::from_secs(5);
const PARTS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_ends_sends_its_clients_away_evenly() {
    let services = Services::shared_or_private().await;
    let market = services.market().await;
    seed(&market).await;
    let seconds = DRAIN.as_secs().to_string();
    let mut ending =
        Process::with_role(&market, "gateway", &[("DEALWIRE_DRAIN_SECONDS", &seconds)]);
    let staying = Process::spawn(&market.environment());
    ending.ready().await;
    staying.ready().await;
    let mut load = Load::start(plan(&ending, &staying)).await;
    load.see(5).await;

    let told = Instant::now();
    ending.terminate().await;
    wait_until(Duration::from_secs(1), "it is out of service", async || {
        ending.ready_status().await != 200
    })
    .await;
    let away = load.ends().iter().filter(|ends| !ends.is_empty()).count();
    assert!(
        away < (SOCKETS + STREAMS) / 2,
        "{away} were sent away at once"
    );
    ending.exited().await;
    load.see(5).await;

    let ends = load.ends();
    let (sockets, streams) = ends.split_at(SOCKETS);
    let closed = |ends: &Vec<(Instant, End)>, end| {
        let [(at, found)] = ends[..] else {
            panic!("not one end but {ends:?}")
        };
        assert_eq!(found, end);
        at - told
    };
    evenly(
        sockets
            .iter()
            .map(|ends| closed(ends, End::Closed(1012)))
            .collect(),
    );
    evenly(
        streams
            .iter()
            .map(|ends| closed(ends, End::Broken))
            .collect(),
    );
    ending.start();
    ending.ready().await;
    load.stop_writing().await;
    load.finish(&Truth::of(&market).await).await;
}

fn plan(ending: &Process, staying: &Process) -> Plan {
    let gateways = vec![ending.url(), staying.url()];
    let reader = |habit, number: usize| {
        let party = if number.is_multiple_of(2) {
            Party::Buyer
        } else {
            Party::Seller
        };
        ReaderPlan::new(party, habit, &gateways)
    };
    let sockets = (0..SOCKETS).map(|number| reader(Habit::Socket, number));
    let streams = (0..STREAMS).map(|number| reader(Habit::Events, number));
    Plan {
        writers: vec![
            WriterPlan {
                seller: Party::Seller,
                pace: Some(Duration::from_millis(100))
            };
            2
        ],
        readers: sockets.chain(streams).collect(),
        gateways,
        access_changes_after: None,
    }
}

/// Each part of the time has its share, give or take what chance does; the last may be left for stragglers.
fn evenly(mut times: Vec<Duration>) {
    times.sort();
    let mut parts = [0; PARTS];
    for time in &times {
        let part = time.as_secs_f64() / DRAIN.as_secs_f64() * PARTS as f64;
        assert!(
            part < PARTS as f64 + 0.5,
            "one was sent away after {time:?}"
        );
        parts[(part as usize).min(PARTS - 1)] += 1;
    }
    let share = times.len() / PARTS;
    let (last, rest) = parts.split_last().expect("there are parts");
    assert!(
        rest.iter()
            .all(|part| (share / 2..=share * 2).contains(part)),
        "{parts:?}"
    );
    assert!(*last <= share * 2, "{parts:?}");
}
