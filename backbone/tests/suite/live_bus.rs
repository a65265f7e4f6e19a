//! The live bus: what callers may rely on, on both backends, and what Redis's faults do to it. It
//! refuses to sleep: every wait is for an event, and ends with the test when the event does not
//! come.

mod redis_faults;

use std::time::Duration;

use backbone::Error;
use backbone::lifecycle::Lifecycle;
use backbone::live_bus::{BusEvent, BusReceiver, LiveBus};
use backbone::telemetry::Metrics;
use backbone::testkit::RedisServer;
use bytes::Bytes;
use tokio::time::timeout;

/// Runs each test of the contract on both backends.
macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod local {
            $(#[tokio::test] async fn $test() { super::$test(super::Market::local()).await; })*
        }
        mod redis {
            $(#[tokio::test] async fn $test() { super::$test(super::Market::redis().await).await; })*
        }
    };
}

contract!(
    a_receiver_is_told_that_it_is_subscribed,
    each_publisher_s_messages_keep_their_order,
    a_message_may_be_any_bytes,
    every_receiver_gets_every_message,
    a_receiver_hears_only_what_comes_after_it,
    a_slow_receiver_gets_a_gap_and_goes_on,
    publishing_to_nobody_is_fine,
    what_happens_is_measured,
);

/// Two processes' ends of one channel: clones in one process, two links over Redis.
struct Market {
    publisher: LiveBus,
    listener: LiveBus,
    metrics: Metrics,
    lifecycle: Lifecycle,
    server: Option<RedisServer>,
}

impl Market {
    fn local() -> Self {
        let metrics = Metrics::new();
        let publisher = LiveBus::local(LiveBus::CAPACITY, &metrics);
        Self {
            listener: publisher.clone(),
            publisher,
            metrics,
            lifecycle: Lifecycle::new(),
            server: None,
        }
    }

    async fn redis() -> Self {
        let server = RedisServer::start().await;
        let (lifecycle, metrics) = (Lifecycle::new(), Metrics::new());
        let publisher = link(&server.url(), &lifecycle, &metrics);
        let listener = link(&server.url(), &lifecycle, &metrics);
        Self {
            publisher,
            listener,
            metrics,
            lifecycle,
            server: Some(server),
        }
    }

    async fn subscriber(&self) -> BusReceiver {
        let mut receiver = self.listener.subscribe();
        expect(&mut receiver, BusEvent::Subscribed).await;
        receiver
    }
}

fn link(url: &str, lifecycle: &Lifecycle, metrics: &Metrics) -> LiveBus {
    LiveBus::redis(url, "market.live".to_owned(), lifecycle, metrics).unwrap()
}

async fn next(receiver: &mut BusReceiver) -> BusEvent {
    timeout(Duration::from_secs(20), receiver.next())
        .await
        .expect("an event within 20 s")
}

async fn expect(receiver: &mut BusReceiver, event: BusEvent) {
    assert_eq!(next(receiver).await, event);
}

fn numbered(number: usize) -> Bytes {
    Bytes::from(number.to_string())
}

async fn publish(bus: &LiveBus, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        bus.publish(numbered(number)).await.unwrap();
    }
}

async fn expect_messages(receiver: &mut BusReceiver, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        expect(receiver, BusEvent::Message(numbered(number))).await;
    }
}

async fn a_receiver_is_told_that_it_is_subscribed(market: Market) {
    expect(&mut market.listener.subscribe(), BusEvent::Subscribed).await;
    assert!(market.listener.is_up());
    expect(&mut market.listener.subscribe(), BusEvent::Subscribed).await;
}

async fn each_publisher_s_messages_keep_their_order(market: Market) {
    let mut receiver = market.subscriber().await;
    let (evens, odds) = ((0..50).map(|n| n * 2), (0..50).map(|n| n * 2 + 1));
    tokio::join!(
        publish(&market.publisher, evens.clone()),
        publish(&market.listener, odds.clone())
    );

    let (mut evens, mut odds) = (evens, odds);
    for _ in 0..100 {
        let BusEvent::Message(message) = next(&mut receiver).await else {
            panic!("not a message")
        };

        let number = str::from_utf8(&message).unwrap().parse::<usize>().unwrap();
        assert_eq!(
            if number % 2 == 0 {
                evens.next()
            } else {
                odds.next()
            },
            Some(number)
        );
    }
}

async fn a_message_may_be_any_bytes(market: Market) {
    let mut receiver = market.subscriber().await;
    let odd: [&[u8]; 3] = [b"", b"\r\n$-1\r\n\0\xff", &[7; 1 << 20]];
    for bytes in odd.map(Bytes::copy_from_slice) {
        market.publisher.publish(bytes.clone()).await.unwrap();
        assert!(
            next(&mut receiver).await == BusEvent::Message(bytes),
            "other bytes came than went"
        );
    }
}

async fn every_receiver_gets_every_message(market: Market) {
    let (mut one, mut other) = (market.subscriber().await, market.subscriber().await);
    publish(&market.publisher, 0..50).await;
    drop(market.listener);
    expect_messages(&mut one, 0..50).await;
    expect_messages(&mut other, 0..50).await;
}

async fn a_receiver_hears_only_what_comes_after_it(market: Market) {
    let mut early = market.subscriber().await;
    publish(&market.publisher, 0..3).await;
    expect_messages(&mut early, 0..3).await;
    let mut late = market.subscriber().await;
    publish(&market.publisher, 3..6).await;
    expect_messages(&mut late, 3..6).await;
    expect_messages(&mut early, 3..6).await;
}

async fn a_slow_receiver_gets_a_gap_and_goes_on(market: Market) {
    let (mut slow, mut quick) = (market.subscriber().await, market.subscriber().await);
    let last = LiveBus::CAPACITY * 3;
    for number in 0..last {
        publish(&market.publisher, [number]).await;
        expect_messages(&mut quick, [number]).await;
    }

    expect(&mut slow, BusEvent::Gap).await;
    expect_messages(&mut slow, last - LiveBus::CAPACITY..last).await;
    publish(&market.publisher, [last]).await;
    expect_messages(&mut slow, [last]).await;
    expect_messages(&mut quick, [last]).await;
    assert!(
        market
            .metrics
            .encode()
            .contains("dealwire_live_bus_gaps_total 1\n")
    );
}

async fn publishing_to_nobody_is_fine(market: Market) {
    let last = LiveBus::CAPACITY * 2;
    publish(&market.publisher, 0..last).await;
    let mut receiver = market.subscriber().await;
    publish(&market.publisher, [last]).await;
    // Over Redis the last ones may still have been on their way when the receiver came.
    while next(&mut receiver).await != BusEvent::Message(numbered(last)) {}
}

async fn what_happens_is_measured(market: Market) {
    let mut receiver = market.subscriber().await;
    publish(&market.publisher, 0..3).await;
    expect_messages(&mut receiver, 0..3).await;
    let shown = market.metrics.encode();
    for line in [
        "dealwire_live_bus_up 1",
        "published_total 3",
        "dealwire_live_bus_publish_seconds_count 3",
    ] {
        assert!(
            shown.lines().any(|given| given.ends_with(line)),
            "no {line} in:\n{shown}"
        );
    }
}

#[tokio::test]
async fn local_bus_faults_drop_duplicate_and_delay_messages() {
    let market = Market::local();
    let (mut receiver, faults) = (
        market.subscriber().await,
        market.publisher.faults().unwrap(),
    );

    faults.drop_next(2);
    publish(&market.publisher, 0..3).await;
    expect_messages(&mut receiver, [2]).await;
    faults.duplicate_next(1);
    publish(&market.publisher, 3..5).await;
    expect_messages(&mut receiver, [3, 3, 4]).await;
    faults.delay();
    publish(&market.publisher, 5..7).await;
    let silence = tokio::select! {
        biased;
        event = receiver.next() => Some(event),
        () = tokio::task::yield_now() => None,
    };

    assert_eq!(silence, None);
    faults.release();
    publish(&market.publisher, [7]).await;
    expect_messages(&mut receiver, 5..8).await;
}

#[tokio::test]
async fn local_bus_can_be_cut_and_mended() {
    let market = Market::local();
    let (mut receiver, faults) = (
        market.subscriber().await,
        market.publisher.faults().unwrap(),
    );

    faults.cut();
    assert!(!market.listener.is_up());
    let refusal = market.publisher.publish(numbered(0)).await;
    assert!(matches!(
        refusal,
        Err(Error::Unavailable {
            what: "the live bus",
            ..
        })
    ));

    faults.mend();
    publish(&market.publisher, [1]).await;
    expect(&mut receiver, BusEvent::Disconnected).await;
    expect(&mut receiver, BusEvent::Subscribed).await;
    expect_messages(&mut receiver, [1]).await;
}
