//! The live bus while Redis dies, hangs, comes late or throws it out.

use backbone::testkit::RedisServer;
use tokio::time::{Instant, sleep};

use super::*;

const GRACE: Duration = Duration::from_secs(5);

impl Market {
    fn server(&self) -> &RedisServer {
        self.server
            .as_ref()
            .expect("a market over Redis has its server")
    }
}

/// Nothing of the outage is heard, and all that comes after it.
async fn goes_on(market: &Market, receiver: &mut BusReceiver) {
    expect(receiver, BusEvent::Subscribed).await;
    let mut publisher = market.publisher.subscribe();
    expect(&mut publisher, BusEvent::Subscribed).await;
    publish(&market.publisher, 10..13).await;
    expect_messages(receiver, 10..13).await;
}

/// Sooner than the next ping, which comes after 1 s, could find out.
async fn at_once(event: impl Future<Output = ()>) {
    timeout(Duration::from_millis(600), event)
        .await
        .expect("it should happen at once");
}

async fn refused(bus: &LiveBus) {
    let refusal = bus.publish(numbered(0)).await;
    assert!(
        matches!(
            refusal,
            Err(Error::Unavailable {
                what: "the live bus",
                ..
            })
        ),
        "{refusal:?}"
    );
}

async fn dies_and_comes_back(away: Duration) {
    let market = Market::redis().await;
    let mut receiver = market.subscriber().await;
    let mut publisher = market.publisher.subscribe();
    expect(&mut publisher, BusEvent::Subscribed).await;
    market.server().kill();
    at_once(expect(&mut receiver, BusEvent::Disconnected)).await;
    at_once(expect(&mut publisher, BusEvent::Disconnected)).await;
    assert!(!market.listener.is_up());
    at_once(refused(&market.publisher)).await;
    sleep(away).await;
    market.server().restart().await;
    goes_on(&market, &mut receiver).await;
}

#[tokio::test]
async fn redis_bus_recovers_when_a_killed_server_is_back() {
    // Goal: listeners are told of an outage and of its end.
    // Method: kill and restart redis-server under a live bus.
    // Proven: receivers are disconnected, subscribed again, and get every later message.
    dies_and_comes_back(Duration::ZERO).await;
}

/// Longer than the client library's own attempts to subscribe again would last.
#[tokio::test]
async fn redis_bus_recovers_when_the_server_was_down_for_long() {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one switch of the long tests"
    )]
    let full = std::env::var_os("DEALWIRE_TEST_FULL").is_some();
    if full {
        dies_and_comes_back(Duration::from_secs(15)).await;
    }
}

#[tokio::test]
async fn redis_bus_notices_a_hanging_server_within_two_seconds_and_costs_publishers_one() {
    // Goal: a silent server is not mistaken for a quiet one.
    // Method: pause redis-server with SIGSTOP, so that connections stay open.
    // Proven: receivers are disconnected within 2 s and a publisher waits 1 s at most.
    let market = Market::redis().await;
    let mut receiver = market.subscriber().await;
    let mut publisher = market.publisher.subscribe();
    expect(&mut publisher, BusEvent::Subscribed).await;
    market.server().pause();
    let began = Instant::now();
    refused(&market.publisher).await;
    let spent = began.elapsed();
    assert!(spent < Duration::from_millis(1_500), "{spent:?}");
    at_once(expect(&mut publisher, BusEvent::Disconnected)).await;
    at_once(refused(&market.publisher)).await;
    expect(&mut receiver, BusEvent::Disconnected).await;
    let noticed = began.elapsed();
    assert!(noticed < Duration::from_millis(2_500), "{noticed:?}");
    market.server().resume();
    goes_on(&market, &mut receiver).await;
}

#[tokio::test]
async fn redis_bus_reconnects_when_the_server_cuts_the_link() {
    for kind in ["pubsub", "normal"] {
        let market = Market::redis().await;
        let mut receiver = market.subscriber().await;
        let mut publisher = market.publisher.subscribe();
        expect(&mut publisher, BusEvent::Subscribed).await;
        market
            .server()
            .command(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"])
            .await;

        at_once(expect(&mut publisher, BusEvent::Disconnected)).await;
        at_once(expect(&mut receiver, BusEvent::Disconnected)).await;
        goes_on(&market, &mut receiver).await;
    }
}

#[tokio::test]
async fn redis_bus_finds_a_server_that_starts_later() {
    let server = RedisServer::start().await;
    server.kill();
    let (lifecycle, metrics) = (Lifecycle::new(), Metrics::new());
    let bus = link(&server.url(), &lifecycle, &metrics);
    let mut receiver = bus.subscribe();
    at_once(refused(&bus)).await;
    server.restart().await;
    expect(&mut receiver, BusEvent::Subscribed).await;
    publish(&bus, [1]).await;
    expect_messages(&mut receiver, [1]).await;
}

#[tokio::test]
async fn redis_bus_holds_the_first_message_until_the_first_connection() {
    let market = Market::redis().await;
    publish(&market.publisher, [1]).await;
}

#[tokio::test]
async fn redis_bus_uses_resp3_whatever_the_address_says() {
    let server = RedisServer::start().await;
    let (lifecycle, metrics) = (Lifecycle::new(), Metrics::new());
    let bus = link(
        &format!("{}/?protocol=resp2", server.url()),
        &lifecycle,
        &metrics,
    );

    expect(&mut bus.subscribe(), BusEvent::Subscribed).await;
}

#[tokio::test]
async fn redis_bus_reports_a_bad_address_at_once_without_its_password() {
    let bus = LiveBus::redis(
        "redis://:s3cret@host:port/",
        "market.live".to_owned(),
        &Lifecycle::new(),
        &Metrics::new(),
    );

    let Err(error) = bus else {
        panic!("a link to nowhere")
    };

    assert!(matches!(error, Error::Broken { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
}

#[tokio::test]
async fn redis_bus_ends_its_link_in_the_second_stage_of_shutdown() {
    let market = Market::redis().await;
    let mut receiver = market.subscriber().await;
    let mut publisher = market.publisher.subscribe();
    expect(&mut publisher, BusEvent::Subscribed).await;
    market.lifecycle.shutdown();
    publish(&market.publisher, [1]).await;
    expect_messages(&mut receiver, [1]).await;
    let began = Instant::now();
    market.lifecycle.finish(GRACE).await.unwrap();
    assert!(began.elapsed() < GRACE, "the link held up the shutdown");
    expect(&mut receiver, BusEvent::Disconnected).await;
    refused(&market.publisher).await;
}
