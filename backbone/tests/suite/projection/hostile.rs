//! Messages that none of the market's processes has written, each through a real server: none of them
//! stops the projection, and the deals that they do not name are not affected.

use backbone::contract::wire::{self, Message};
use backbone::contract::{Applied, DealFact};
use backbone::contract::{
    DecisionKind, Event, EventDecision, Fact, Fingerprint, OperatorNote, Recent, Subject,
};
use backbone::ids::EventId;
use backbone::position::Epoch;
use backbone::testkit::{NatsServer, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::dead::{dead_events, repair};
use super::toy::{caught_up, create_table, rows, start};
use crate::databases::TestDb;
use crate::deals::{deal_of, event, subject};
use crate::logs::{MARKET, SOON, jetstream, opened, store};

/// A message as somebody with the rights to publish may send it: subject, headers and body.
type Foreign = (String, Vec<u8>, Vec<u8>);

#[tokio::test]
async fn foreign_messages_are_dead_and_everything_else_goes_on() {
    let test = TestDb::sqlite().await;
    create_table(&test.db).await;
    let nats = NatsServer::start().await;
    let log = jetstream(&nats.url());
    let epoch = opened(&log).await;
    let running = start(&log, &test.db);
    store(&log, &event(1, 1), 0).await;

    // Some of them cost the reader its connection, which is not that of the writers.
    let writer = jetstream(&nats.url());
    opened(&writer).await;
    let foreign = foreign_messages(epoch);
    for (number, message) in (10..).zip(&foreign) {
        publish(&nats, message).await;
        store(&writer, &event(number, 1), 0).await;
    }

    let rows = caught_up(&writer, &test.db).await;
    let dead = dead_events(&test.db).await;
    // The market's first event, the first deal, and one behind each message.
    let applied = rows.iter().filter(|(_, revision)| *revision > 0).count();
    assert_eq!(applied, 2 + foreign.len(), "{rows:?}");
    let reasons: Vec<_> = dead.iter().map(|dead| &dead.reason).collect();
    assert_eq!(dead.len(), foreign.len(), "{reasons:?}");
    assert_eq!(running.complaint(), "");
    running.stop().await;
}

#[tokio::test]
async fn event_of_a_newer_version_waits_until_an_operator_skips_it() {
    let test = TestDb::sqlite().await;
    create_table(&test.db).await;
    let nats = NatsServer::start().await;
    let log = jetstream(&nats.url());
    let epoch = opened(&log).await;
    let running = start(&log, &test.db);
    store(&log, &event(1, 1), 0).await;

    let newer = newer(wire::encode(MARKET, epoch, &event(1, 2)));
    publish(&nats, &message(&subject(1).to_string(), &newer)).await;
    store(&log, &event(2, 1), 0).await;
    wait_until(SOON, "it waits for a newer version", async || {
        running
            .complaint()
            .contains("event 3 waits for a newer version")
    })
    .await;

    store(&log, &decision(DecisionKind::Skip, 3, subject(1)), 0).await;
    caught_up(&log, &test.db).await;

    let dead = dead_events(&test.db).await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].reason, "skipped by ann: not ours");
    assert!(rows(&test.db).await.contains(&(4, 1)), "the other deal");
    wait_until(SOON, "it is ready", async || running.complaint().is_empty()).await;
    running.stop().await;
}

#[tokio::test]
async fn subject_whose_dead_events_are_discarded_goes_on_with_its_next_event() {
    let test = TestDb::sqlite().await;
    create_table(&test.db).await;
    let nats = NatsServer::start().await;
    let log = jetstream(&nats.url());
    let epoch = opened(&log).await;
    let running = start(&log, &test.db);
    store(&log, &event(1, 1), 0).await;
    let mut corrupt = wire::encode(MARKET, epoch, &event(1, 2));
    corrupt.body = b"{}".as_slice().into();
    publish(&nats, &message(&subject(1).to_string(), &corrupt)).await;
    store(&log, &event(1, 3), 3).await;

    store(&log, &decision(DecisionKind::Discard, 3, subject(1)), 0).await;
    let after = store(&log, &event(1, 4), 4).await;
    let applied = caught_up(&log, &test.db).await;

    assert_eq!(applied.last(), Some(&(after, 4)));
    let dead = dead_events(&test.db).await;
    assert_eq!(dead.len(), 2, "the corrupt one and its successor");
    assert!(dead.iter().all(|dead| dead.repaired));
    running.stop().await;
}

#[tokio::test]
async fn repaired_subject_goes_on() {
    let test = TestDb::sqlite().await;
    create_table(&test.db).await;
    let nats = NatsServer::start().await;
    let log = jetstream(&nats.url());
    let epoch = opened(&log).await;
    let running = start(&log, &test.db);
    store(&log, &event(1, 1), 0).await;
    let mut corrupt = wire::encode(MARKET, epoch, &event(1, 2));
    corrupt.body = b"{}".as_slice().into();
    publish(&nats, &message(&subject(1).to_string(), &corrupt)).await;

    let at = store(&log, &repair(1, 7), 3).await;

    assert_eq!(caught_up(&log, &test.db).await.last(), Some(&(at, 7)));
    assert!(dead_events(&test.db).await[0].repaired);
    running.stop().await;
}

fn foreign_messages(epoch: Epoch) -> Vec<Foreign> {
    let ours = |number: u128| wire::encode(MARKET, epoch, &event(number, 1));
    let subject = |number: u128| subject(number).to_string();
    let unhashed = Message {
        body: b"{\"revision\":1}".as_slice().into(),
        ..ours(101)
    };
    let mut without_epoch = newer(ours(102));
    without_epoch.headers.remove("ce-epoch");
    let of_another_log = newer(wire::encode(MARKET, Epoch(epoch.0 ^ 1), &event(103, 1)));
    let of_another_deal = ours(104);
    let with_nul = renamed_to("deal\0", 105, epoch);

    let not_utf8 = |number| {
        let mut nameless = ours(number);
        nameless.headers.remove("ce-id");
        let (subject, mut headers, body) = message(&subject(number), &nameless);
        headers.truncate(headers.len() - 2);
        headers.extend(b"ce-id: \xff\xfe\r\n\r\n");
        (subject, headers, body)
    };

    vec![
        message(&subject(101), &unhashed),
        message(&subject(102), &without_epoch),
        message(&subject(103), &of_another_log),
        message(&subject(999), &of_another_deal),
        message(&subject(105), &with_nul),
        not_utf8(106),
        // Two in a row.
        not_utf8(107),
        message("deal.what.ever", &ours(108)),
        message(&format!("deal.{}.x", "a".repeat(3_000)), &ours(109)),
        (subject(110), b"NATS/1.0\r\n\r\n".to_vec(), vec![]),
        (
            subject(111),
            b"NATS/1.0\r\n\r\n".to_vec(),
            vec![0xff; 900_000],
        ),
    ]
}

/// The message as a newer version of the contract would have it.
fn newer(mut message: Message) -> Message {
    message
        .headers
        .insert("ce-schemaversion".into(), "2".to_owned());
    message
}

fn renamed_to(name: &str, number: u128, epoch: Epoch) -> Message {
    let event = event(number, 1);
    let mut fact: DealFact = deal_of(&event.fact).clone();
    fact.deal.name = name.to_owned();
    let fact = Fact::Deal(fact);
    wire::encode(MARKET, epoch, &Event { fact, ..event })
}

fn decision(kind: DecisionKind, sequence: u64, subject: Subject) -> Event {
    let id = EventId(Uuid::from_u128(u128::from(sequence) << 100));
    let fact = EventDecision {
        kind,
        revision: 1,
        sequence,
        subject: subject.to_string(),
        operator: OperatorNote {
            by: "ann".to_owned(),
            why: "not ours".to_owned(),
        },
        recent: Recent::first(Applied {
            event: id,
            key: None,
            request: Fingerprint::of(b"decision"),
            version: 1,
        }),
    };

    Event {
        id,
        subject: Subject::Decision { sequence },
        fact: Fact::Decision(fact),
        ..event(1, 1)
    }
}

fn message(subject: &str, message: &Message) -> Foreign {
    let mut headers = b"NATS/1.0\r\n".to_vec();
    for (name, value) in &message.headers {
        headers.extend(format!("{name}: {value}\r\n").as_bytes());
    }
    headers.extend(b"\r\n");

    (subject.to_owned(), headers, message.body.to_vec())
}

/// Publishes past every client library, which would refuse some of it, and waits until the stream has
/// stored it.
async fn publish(nats: &NatsServer, (subject, headers, body): &Foreign) {
    let url = nats.url();
    let address = url.strip_prefix("nats://").expect("it is a URL of NATS");
    let mut connection = TcpStream::connect(address).await.expect("NATS is up");

    let sizes = format!("{} {}", headers.len(), headers.len() + body.len());
    let mut bytes = b"CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB answer 1\r\n".to_vec();
    bytes.extend(format!("HPUB {MARKET}.{subject} answer {sizes}\r\n").as_bytes());
    bytes.extend(headers);
    bytes.extend(body);
    bytes.extend(b"\r\n");
    connection.write_all(&bytes).await.expect("it is sent");

    let mut received = Vec::new();
    while !String::from_utf8_lossy(&received).contains("\"seq\"") {
        let read = connection.read_buf(&mut received).await;
        assert!(
            matches!(read, Ok(1..)),
            "{:?}",
            String::from_utf8_lossy(&received)
        );
    }
}
