//! The kit itself: servers that come back with their data, and faults that are what they say.

use std::time::Duration;

use async_nats::jetstream;
use backbone::testkit::{
    Direction, Market, NatsServer, PostgresServer, Proxy, RedisServer, Services, wait_until,
};
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const SOON: Duration = Duration::from_secs(10);
/// How long "no answer" is watched.
const SILENCE: Duration = Duration::from_millis(100);

#[tokio::test]
async fn testkit_nats_keeps_its_streams_through_a_kill() {
    let nats = NatsServer::start().await;
    let stream = jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let config = jetstream::stream::Config {
        name: "T".into(),
        subjects: vec!["t".into()],
        ..Default::default()
    };

    stream.create_stream(config).await.unwrap();
    stream
        .publish("t", "kept".into())
        .await
        .unwrap()
        .await
        .unwrap();

    nats.kill();
    assert!(async_nats::connect(nats.url()).await.is_err());
    nats.restart().await;

    let again = jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let kept = again
        .get_stream("T")
        .await
        .unwrap()
        .get_raw_message(1)
        .await
        .unwrap();

    assert_eq!(&kept.payload[..], b"kept");
}

#[tokio::test]
async fn testkit_redis_is_silent_when_paused_and_empty_after_a_restart() {
    let redis = RedisServer::start_with(&["--maxclients", "77"]).await;
    let client = redis::Client::open(redis.url()).unwrap();
    let mut session = client.get_multiplexed_async_connection().await.unwrap();
    let (_, limit): (String, String) = redis::cmd("CONFIG")
        .arg(&["GET", "maxclients"])
        .query_async(&mut session)
        .await
        .unwrap();

    assert_eq!(limit, "77");
    redis::cmd("SET")
        .arg(&["k", "v"])
        .exec_async(&mut session)
        .await
        .unwrap();

    redis.pause();
    let mut command = redis::cmd("GET");
    let mut get = std::pin::pin!(command.arg("k").query_async::<Option<String>>(&mut session));
    assert!(tokio::time::timeout(SILENCE, &mut get).await.is_err());
    redis.resume();
    assert_eq!(get.await.unwrap().as_deref(), Some("v"));

    redis.restart().await;
    let mut session = client.get_multiplexed_async_connection().await.unwrap();
    let gone: Option<String> = redis::cmd("GET")
        .arg("k")
        .query_async(&mut session)
        .await
        .unwrap();

    assert_eq!(gone, None);
}

#[tokio::test]
async fn testkit_postgres_recovers_from_a_kill_under_load() {
    // Goal: a killed PostgreSQL can be restarted at once.
    // Method: kill it while four sessions run long queries, and restart it on the same port and data.
    // Proven: committed rows are there and new sessions work.
    let postgres = PostgresServer::durable().await;
    let url = postgres.create_database("kept").await;
    let mut session = PgConnection::connect(&url).await.unwrap();
    sqlx::query("CREATE TABLE t AS SELECT 1 AS n")
        .execute(&mut session)
        .await
        .unwrap();

    let mut busy = JoinSet::new();
    for _ in 0..4 {
        let mut session = PgConnection::connect(&url).await.unwrap();
        // A backend that computes does not look whether its postmaster lives.
        busy.spawn(async move {
            sqlx::query("SELECT count(*) FROM (SELECT generate_series(1, 1000000000)) n")
                .execute(&mut session)
                .await
        });
    }

    let running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%generate_series(1,%'";
    wait_until(SOON, "four queries run", async || {
        let count: i64 = sqlx::query_scalar(running)
            .fetch_one(&mut session)
            .await
            .unwrap();
        count == 5 // with this one
    })
    .await;

    postgres.kill();
    while let Some(ended) = busy.join_next().await {
        ended.unwrap().unwrap_err();
    }

    postgres.restart().await;

    let mut session = PgConnection::connect(&url).await.unwrap();
    let kept: i32 = sqlx::query_scalar("SELECT n FROM t")
        .fetch_one(&mut session)
        .await
        .unwrap();

    assert_eq!(kept, 1);
    postgres.pause();
    let query = sqlx::query("SELECT 1").execute(&mut session);
    assert!(tokio::time::timeout(SILENCE, query).await.is_err());
    postgres.resume();
    postgres.restart().await;
    postgres.kill();
}

#[tokio::test]
async fn testkit_markets_share_servers_and_nothing_else() {
    let services = Services::shared_or_private().await;
    let (one, two): (Market, Market) = tokio::join!(services.market(), services.market());
    assert_ne!(one.market, two.market);
    assert_eq!(one.nats_url, two.nats_url);
    for market in [&one, &two] {
        for url in [&market.seller_database_url, &market.buyer_database_url] {
            let mut session = PgConnection::connect(url).await.unwrap();
            sqlx::query("CREATE TABLE only_here (n int)")
                .execute(&mut session)
                .await
                .unwrap();
        }
    }
    // With a session still open.
    let _session = PgConnection::connect(&one.buyer_database_url)
        .await
        .unwrap();

    services.drop_market(&one).await;
    assert!(
        PgConnection::connect(&one.buyer_database_url)
            .await
            .is_err()
    );

    services.drop_market(&two).await;
}

#[tokio::test]
async fn proxy_that_is_cut_resets_and_refuses_until_it_is_restored() {
    let (_echo, proxy) = echo().await;
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(ask(&mut stream, b"one").await.unwrap(), b"one");

    proxy.cut().await;
    assert!(ask(&mut stream, b"two").await.is_err());
    assert!(TcpStream::connect(proxy.addr()).await.is_err());
    proxy.restore().await;
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(ask(&mut stream, b"three").await.unwrap(), b"three");

    proxy.reset();
    assert!(ask(&mut stream, b"four").await.is_err());
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(ask(&mut stream, b"five").await.unwrap(), b"five");
    assert_eq!((proxy.accepted(), proxy.connections()), (3, 1));
}

#[tokio::test]
async fn proxy_cuts_after_exactly_the_given_number_of_bytes() {
    let (_echo, proxy) = echo().await;
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    proxy.reset_after(Direction::ToClient, 4);
    assert_eq!(ask(&mut stream, b"abc").await.unwrap(), b"abc");
    stream.write_all(b"def").await.unwrap();
    assert_eq!(rest(&mut stream).await, b"d");
    assert_eq!(
        (
            proxy.forwarded(Direction::ToServer),
            proxy.forwarded(Direction::ToClient)
        ),
        (6, 4)
    );

    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    proxy.cut_after(Direction::ToServer, 2);
    stream.write_all(b"xyz").await.unwrap();
    rest(&mut stream).await;
    assert_eq!(proxy.forwarded(Direction::ToServer), 8);
    wait_until(SOON, "new connections are refused", async || {
        TcpStream::connect(proxy.addr()).await.is_err()
    })
    .await;
}

#[tokio::test]
async fn proxy_holds_or_swallows_one_direction() {
    let (_echo, proxy) = echo().await;
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(ask(&mut stream, b"one").await.unwrap(), b"one");

    proxy.half_open();
    let mut second = TcpStream::connect(proxy.addr()).await.unwrap();
    for stream in [&mut stream, &mut second] {
        assert!(
            tokio::time::timeout(SILENCE, ask(stream, b"late"))
                .await
                .is_err()
        );
    }

    proxy.restore().await;
    for stream in [&mut stream, &mut second] {
        let mut late = [0; 4];
        stream.read_exact(&mut late).await.unwrap();
        assert_eq!(&late, b"late");
    }

    proxy.swallow_replies();
    let arrived = proxy.forwarded(Direction::ToServer) + 4;
    assert!(
        tokio::time::timeout(SILENCE, ask(&mut stream, b"lost"))
            .await
            .is_err()
    );

    assert_eq!(proxy.forwarded(Direction::ToServer), arrived);
    proxy.restore().await;
    assert_eq!(rest(&mut stream).await, b"");

    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    proxy.delay(SILENCE);
    let asked = std::time::Instant::now();
    assert_eq!(ask(&mut stream, b"slow").await.unwrap(), b"slow");
    assert!(asked.elapsed() >= SILENCE * 2);
}

#[tokio::test]
async fn proxy_replaces_the_server_in_a_url() {
    let proxy = Proxy::in_front_of("postgres://postgres@localhost/seller").await;
    assert_eq!(proxy.target(), "localhost:5432");
    let url = format!("postgres://postgres@{}/seller", proxy.addr());
    assert_eq!(proxy.url("postgres://postgres@localhost/seller"), url);
    assert_eq!(proxy.url("nats://n:1"), format!("nats://{}", proxy.addr()));
}

#[tokio::test]
#[should_panic(expected = "not within 50ms: pigs fly")]
async fn wait_that_fails_reports_what_it_was_for() {
    wait_until(Duration::from_millis(50), "pigs fly", async || false).await;
}

/// A server that says back what it hears, behind a proxy.
async fn echo() -> (JoinSet<()>, Proxy) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut sessions = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            sessions.spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });

    (tasks, proxy)
}

async fn ask(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text).await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// What arrives until the connection ends, which it must, in whatever way.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut heard)).await;
    ended.expect("the connection ends").ok();
    heard
}
