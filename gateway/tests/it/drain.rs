//! End of one gateway among several: it leaves service at once, sends its clients away evenly over
//! its drain time, and they lose nothing.

use std::time::Duration;

use backbone::testkit::{Services, wait_until};
use tokio::time::Instant;

use crate::kit::{End, Party, Process, seed};
use crate::load::{Habit, Load, Plan, ReaderPlan, Truth, WriterPlan};

const SOCKETS: usize = 400;
const STREAMS: usize = 200;
/// Drain time of the gateway that ends.
const DRAIN: Duration = Duration::from_secs(5);
/// Number of equal parts of the drain time in which disconnections are counted.
const PARTS: usize = 5;

// Goal: a rolling restart does not send all clients of a gateway to the others at one moment.
// Method: 600 readers begin on one of two gateways, which gets SIGTERM while writers go on.
// Proves: readiness ends in 1 s, connections end evenly over the drain time, and no change is lost.
#[tokio::test(flavor = "multi_thread")]
async fn gateway_that_drains_sends_its_clients_away_evenly() {
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

    let begin = Instant::now();
    ending.terminate().await;
    wait_until(Duration::from_secs(1), "it is out of service", async || {
        ending.ready_status().await != 200
    })
    .await;
    let disconnected = load.ends().iter().filter(|ends| !ends.is_empty()).count();
    assert!(
        disconnected < (SOCKETS + STREAMS) / 2,
        "{disconnected} were sent away at once"
    );
    ending.exited().await;
    load.see(5).await;

    let ends = load.ends();
    let (sockets, streams) = ends.split_at(SOCKETS);
    assert_even(&times(sockets, End::Closed(1012), begin));
    assert_even(&times(streams, End::Broken, begin));

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

/// Returns, in order, how long after `begin` each reader's only connection ended, which must be as
/// expected.
fn times(readers: &[Vec<(Instant, End)>], expected: End, begin: Instant) -> Vec<Duration> {
    let time = |ends: &Vec<(Instant, End)>| {
        let [(at, end)] = ends[..] else {
            panic!("expected one end, got {ends:?}")
        };
        assert_eq!(end, expected);
        at - begin
    };

    let mut times: Vec<Duration> = readers.iter().map(time).collect();
    times.sort();
    times
}

/// Checks that each part of the drain time has its share of disconnections, within a factor of two
/// for chance. The last part may have fewer: it is a reserve for stragglers.
fn assert_even(times: &[Duration]) {
    let mut parts = [0; PARTS];
    for time in times {
        let part = time.as_secs_f64() / DRAIN.as_secs_f64() * PARTS as f64;
        assert!(
            part < PARTS as f64 + 0.5,
            "one was sent away after {time:?}"
        );
        parts[(part as usize).min(PARTS - 1)] += 1;
    }

    let share = times.len() / PARTS;
    let (last, rest) = parts.split_last().expect("PARTS is not 0");
    assert!(
        rest.iter()
            .all(|part| (share / 2..=share * 2).contains(part)),
        "{parts:?}"
    );
    assert!(*last <= share * 2, "{parts:?}");
}
