//! NATS with users, tokens, nkeys, permissions, TLS, and several servers.

use backbone::checkpoint::Tables;
use backbone::client_tls::ClientTls;
use backbone::clock::Clock;
use backbone::event_log::{EventLog, NatsAccess};
use backbone::telemetry::Metrics;
use backbone::testkit::{NatsServer, Port};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::certificates::{Authority, text};
use super::reason;
use crate::deals::event;
use crate::logs::{MARKET, jetstream, opened, read, store, tail};

/// The configuration that compose.yaml starts NATS with.
const DEPLOYED: &str = include_str!("../../../../deploy/nats.conf");

const NKEY_SEED: &str = "SUAFZDZH6QMLN27T3M7UF4LROGNCR6ZHSZKKMVOGDD5GOLQUONDDOZO5PY";
const NKEY: &str = "UCCXZOG4GTQ4MTUIMFYCSK2DQH4A5JRQWSUSDAGJ3OKXXWRJAZNYEA7W";

/// Starts a server with this configuration.
async fn server(files: &Authority, conf: &str) -> NatsServer {
    let conf = files.write("nats.conf", conf);
    NatsServer::start_with(&["-c", text(&conf)]).await
}

/// Opens the log with credentials of files.
fn log(urls: &str, access: &NatsAccess) -> EventLog {
    EventLog::jetstream_with(
        urls,
        access,
        MARKET,
        Tables::none(),
        Clock::system(),
        &Metrics::new(),
    )
    .expect("the settings are right")
}

/// Puts credentials into a URL.
fn with(url: &str, credentials: &str) -> String {
    url.replace("nats://", &format!("nats://{credentials}@"))
}

/// Uses everything that the log can do.
async fn use_all(log: &EventLog) {
    opened(log).await;
    let first = event(1, 1);
    let stored = store(log, &first, 0).await;
    assert_eq!(read(&mut tail(log, 0).await, 2).await.len(), 2);
    assert!(log.last(&first.subject).await.expect("it may").is_some());
    assert!(log.get(stored).await.expect("it may").is_some());
    assert!(log.next(&first.subject, 0).await.expect("it may").is_some());
    assert_eq!(log.head().await.expect("it may"), stored);
    log.describe().await.expect("it may");
}

/// Why the log cannot be reached, once the server has said so.
async fn refusal(log: &EventLog) -> String {
    reason("the refusal is told", async || {
        let why = log.describe().await.expect_err("it is refused").to_string();
        why.contains(": ")
            .then_some(why)
            .filter(|why| why.contains("NATS: "))
    })
    .await
}

#[tokio::test]
async fn nats_user_of_the_deployment_may_do_what_the_log_needs_and_no_more() {
    let files = Authority::new();
    let conf = DEPLOYED
        .replace("$NATS_PASSWORD", "\"p@ss/w:rd\"")
        .replace("$NATS_OPERATOR_PASSWORD", "\"operator's\"")
        .replace("store_dir: /data", "");
    let nats = server(&files, &conf).await;

    use_all(&jetstream(&with(&nats.url(), "dealwire:p%40ss%2Fw%3Ard"))).await;

    let why = refusal(&jetstream(&with(&nats.url(), "dealwire:wrong-secret"))).await;
    assert!(why.contains("authorization violation"), "{why}");
    assert!(!why.contains("wrong-secret"), "{why}");
    let anonymous = refusal(&jetstream(&nats.url())).await;
    assert!(anonymous.contains("authorization violation"), "{anonymous}");

    // What the client library cannot be made to do, in NATS's own protocol.
    for forbidden in [
        "PUB market.deal.x 2\r\n{}",
        "PUB market.deal.x.y.z 2\r\n{}",
        "PUB $JS.API.STREAM.DELETE.MARKET 0\r\n",
        "PUB $JS.API.STREAM.PURGE.MARKET 0\r\n",
        "PUB $JS.API.STREAM.MSG.DELETE.MARKET 2\r\n{}",
        "SUB market.> 1",
    ] {
        let answer = say(&nats, "dealwire", "p@ss/w:rd", forbidden).await;
        assert!(
            answer.contains("Permissions Violation"),
            "{forbidden}: {answer}"
        );
    }
    let allowed = say(&nats, "dealwire", "p@ss/w:rd", "SUB _INBOX.x 1").await;
    assert!(allowed.starts_with("PONG"), "{allowed}");
}

/// Says something to a server in its own protocol, and returns the first answer.
async fn say(nats: &NatsServer, user: &str, password: &str, what: &str) -> String {
    let addr = nats.url().replace("nats://", "");
    let mut stream = BufReader::new(TcpStream::connect(addr).await.expect("it is up"));
    let mut line = String::new();
    stream.read_line(&mut line).await.expect("it greets");
    let connect = format!(
        "CONNECT {{\"user\":\"{user}\",\"pass\":\"{password}\",\"verbose\":false}}\r\n{what}\r\nPING\r\n"
    );
    stream
        .write_all(connect.as_bytes())
        .await
        .expect("it listens");
    line.clear();
    stream.read_line(&mut line).await.expect("it answers");
    line
}

#[tokio::test]
async fn nats_takes_tokens_and_nkeys() {
    let files = Authority::new();
    let nats = server(&files, "jetstream {}\nauthorization { token: \"t+ken\" }").await;
    use_all(&jetstream(&with(&nats.url(), "t%2Bken"))).await;
    drop(nats);

    let nkeys = format!("jetstream {{}}\nauthorization {{ users: [ {{ nkey: {NKEY} }} ] }}");
    let nats = server(&files, &nkeys).await;
    let access = |seed: &str| NatsAccess {
        nkey: Some(files.write("seed", &format!("# Of a test.\n{seed}\n"))),
        ..NatsAccess::default()
    };
    use_all(&log(&nats.url(), &access(NKEY_SEED))).await;

    let missing = NatsAccess {
        credentials: Some("/nowhere/user.creds".into()),
        ..NatsAccess::default()
    };
    let refused = EventLog::jetstream_with(
        &nats.url(),
        &missing,
        MARKET,
        Tables::none(),
        Clock::system(),
        &Metrics::new(),
    );
    let Err(error) = refused else {
        panic!("there is no such file")
    };
    assert!(error.to_string().contains("/nowhere/user.creds"), "{error}");
}

#[tokio::test]
async fn nats_with_tls_is_reached_by_who_has_certificates() {
    let files = Authority::new();
    let identity = files.issue("server");
    let conf = format!(
        "jetstream {{}}\ntls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true }}",
        text(&identity.cert),
        text(&identity.key),
        text(&files.ca())
    );
    let nats = server(&files, &conf).await;
    let access = |ca, identity| NatsAccess {
        tls: ClientTls { ca, identity },
        ..NatsAccess::default()
    };

    let ours = access(Some(files.ca()), Some(files.issue("dealwire")));
    use_all(&log(&nats.url(), &ours)).await;
    use_all_again(&log(&nats.url().replace("nats://", "tls://"), &ours)).await;

    let stranger = Authority::new();
    let distrusting = access(Some(stranger.ca()), Some(files.issue("dealwire")));
    let why = refusal(&log(&nats.url(), &distrusting)).await;
    assert!(!why.contains("authorization"), "{why}");
}

/// Uses a log that holds events already.
async fn use_all_again(log: &EventLog) {
    opened(log).await;
    assert_eq!(read(&mut tail(log, 0).await, 2).await.len(), 2);
}

#[tokio::test]
async fn nats_seed_list_survives_servers_that_are_down() {
    let nats = NatsServer::start().await;
    let down = [Port::reserve(), Port::reserve()];
    let urls = format!(
        "nats://{}, {},{}",
        down[0].addr(),
        nats.url(),
        down[1].addr()
    );
    let log = jetstream(&urls);
    use_all(&log).await;

    nats.kill();
    nats.restart().await;
    use_all_again(&log).await;
}

#[tokio::test]
async fn nats_that_cannot_be_reached_is_told_from_one_that_refuses() {
    let down = Port::reserve();
    let why = refusal(&jetstream(&format!("nats://{}", down.addr()))).await;
    assert!(!why.contains("authorization"), "{why}");
}
