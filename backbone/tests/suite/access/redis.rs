//! Redis with users and TLS.

use backbone::client_tls::ClientTls;
use backbone::lifecycle::Lifecycle;
use backbone::live_bus::{BusEvent, LiveBus};
use backbone::telemetry::Metrics;
use backbone::testkit::{Port, RedisServer, wait_until};
use bytes::Bytes;

use super::certificates::{Authority, text};
use super::{SOON, reason};

/// Rights that the live bus needs: its channel, and the commands that it sends.
const PERMITTED: &str = "resetchannels &market.live -@all +hello +auth +ping +publish +subscribe";

fn bus(url: &str, tls: &ClientTls, lifecycle: &Lifecycle) -> LiveBus {
    LiveBus::redis_with(
        url,
        tls,
        "market.live".to_owned(),
        lifecycle,
        &Metrics::new(),
    )
    .expect("the settings are right")
}

/// Hands a message over and receives it.
async fn use_all(bus: &LiveBus) {
    let mut receiver = bus.subscribe();
    wait_until(SOON, "the link is up", async || bus.is_up()).await;
    assert_eq!(receiver.next().await, BusEvent::Subscribed);
    let message = Bytes::from_static(b"a message");
    bus.publish(message.clone()).await.expect("it is up");
    assert_eq!(receiver.next().await, BusEvent::Message(message));
    assert_eq!(bus.trouble(), None);
}

#[tokio::test]
async fn redis_user_with_the_channel_alone_is_enough() {
    let redis = RedisServer::start().await;
    let mut user = vec!["ACL", "SETUSER", "deal@wire", "on", ">p@ss/w:rd"];
    user.extend(PERMITTED.split(' '));
    redis.command(&user).await;
    redis.command(&["ACL", "SETUSER", "default", "off"]).await;

    let lifecycle = Lifecycle::new();
    let with = |credentials: &str| {
        redis
            .url()
            .replace("redis://", &format!("redis://{credentials}@"))
    };
    let tls = ClientTls::default();
    use_all(&bus(&with("deal%40wire:p%40ss%2Fw%3Ard"), &tls, &lifecycle)).await;

    let wrong = bus(&with("deal%40wire:wrong-secret"), &tls, &lifecycle);
    let why = reason("the refusal is told", async || wrong.trouble()).await;
    assert!(
        why.to_lowercase().contains("password") || why.contains("WRONGPASS"),
        "{why}"
    );
    assert!(!why.contains("wrong-secret"), "{why}");

    let down = Port::reserve();
    let away = bus(&format!("redis://{}", down.addr()), &tls, &lifecycle);
    let why = reason("the refusal is told", async || away.trouble()).await;
    assert!(!why.contains("WRONGPASS"), "{why}");
}

#[tokio::test]
async fn redis_with_tls_is_reached_by_who_has_certificates() {
    let files = Authority::new();
    let identity = files.issue("server");
    let port = Port::reserve();
    let redis = RedisServer::start_with(&[
        "--tls-port",
        &port.number().to_string(),
        "--tls-cert-file",
        text(&identity.cert),
        "--tls-key-file",
        text(&identity.key),
        "--tls-ca-cert-file",
        text(&files.ca()),
        "--tls-auth-clients",
        "yes",
    ])
    .await;
    let lifecycle = Lifecycle::new();
    let url = format!("rediss://{}", port.addr());
    let tls = |ca, identity| ClientTls { ca, identity };

    let ours = tls(Some(files.ca()), Some(files.issue("dealwire")));
    use_all(&bus(&url, &ours, &lifecycle)).await;

    let stranger = Authority::new();
    let distrusting = bus(
        &url,
        &tls(Some(stranger.ca()), Some(files.issue("dealwire"))),
        &lifecycle,
    );
    let why = reason("the refusal is told", async || distrusting.trouble()).await;
    assert!(why.contains("certificate"), "{why}");

    let in_clear = LiveBus::redis_with(
        &redis.url(),
        &ours,
        "market.live".to_owned(),
        &lifecycle,
        &Metrics::new(),
    );
    assert!(
        in_clear.is_err(),
        "certificates for a URL without TLS are a mistake"
    );
}
