//! Messages that none of the market's processes has written, each through a real server: none of them
//! stops the projection, and the deals that they do not name are not affected.

use backbone::clock::Clock;
use backbone::contract::wire::{self, Message};
use backbone::contract::{DealFact, Event, Fact, OperatorNote};
use backbone::dead_events::{Decisions, Refused};
use backbone::event_log::EventLog;
use backbone::position::{Epoch, Sequence};
use backbone::testkit::{NatsServer, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::dead::{DeadEvent, dead_events};
use super::toy::{Running, caught_up, create_table, start};
use crate::databases::TestDb;
use crate::deals::{deal_of, event, subject};
use crate::logs::{MARKET, SOON, event_of, jetstream, opened, store};

/// A message as somebody with the rights to publish may send it: subject, headers and body.
type Foreign = (String, Vec<u8>, Vec<u8>);

/// A log on a server of its own with one deal, and a running projection of it.
struct Followed {
    test: TestDb,
    nats: NatsServer,
    log: EventLog,
    epoch: Epoch,
    running: Running,
}

impl Followed {
    async fn start() -> Self {
        let test = TestDb::sqlite().await;
        create_table(&test.db).await;
        let nats = NatsServer::start().await;
        let log = jetstream(&nats.url());
        let epoch = opened(&log).await;
        let running = start(&log, &test.db);
        store(&log, &event(1, 1), 0).await;

        Self {
            test,
            nats,
            log,
            epoch,
            running,
        }
    }

    /// Publishes the deal's second event with a body that it cannot have had, at sequence 3.
    async fn publish_corrupt(&self) {
        let mut corrupt = wire::encode(MARKET, self.epoch, &event(1, 2));
        corrupt.body = b"{}".as_slice().into();
        let deal = subject(1).to_string();
        publish(&self.nats, &message(&deal, &corrupt)).await;
    }

    fn decisions(&self) -> Decisions {
        Decisions::new(self.log.clone(), Clock::system())
    }

    async fn caught_up(&self) -> Vec<(Sequence, u64)> {
        caught_up(&self.log, &self.test.db).await
    }

    async fn dead(&self) -> Vec<DeadEvent> {
        dead_events(&self.test.db).await
    }
}

#[tokio::test]
async fn foreign_messages_are_dead_and_everything_else_goes_on() {
    let followed = Followed::start().await;
    // Some of them cost the reader its connection, which is not that of the writers.
    let writer = jetstream(&followed.nats.url());
    opened(&writer).await;

    let foreign = foreign_messages(followed.epoch);
    for (number, message) in (10..).zip(&foreign) {
        publish(&followed.nats, message).await;
        store(&writer, &event(number, 1), 0).await;
    }

    let rows = caught_up(&writer, &followed.test.db).await;
    let dead = followed.dead().await;
    // The market's first event, the first deal, and one behind each message.
    let applied = rows.iter().filter(|(_, revision)| *revision > 0).count();
    assert_eq!(applied, 2 + foreign.len(), "{rows:?}");
    let reasons: Vec<_> = dead.iter().map(|dead| &dead.reason).collect();
    assert_eq!(dead.len(), foreign.len(), "{reasons:?}");
    assert_eq!(followed.running.complaint(), "");
    followed.running.stop().await;
}

#[tokio::test]
async fn event_of_a_newer_version_waits_until_an_operator_skips_it() {
    let followed = Followed::start().await;
    let deal = subject(1).to_string();
    let newer = newer(wire::encode(MARKET, followed.epoch, &event(1, 2)));
    publish(&followed.nats, &message(&deal, &newer)).await;
    store(&followed.log, &event(2, 1), 0).await;
    wait_until(SOON, "it waits for a newer version", async || {
        let why = followed.running.complaint();
        why.contains("event 3 waits for a newer version")
    })
    .await;

    let skipped = followed.decisions().skip(3, note()).await;
    skipped.expect("the log is up");
    let rows = followed.caught_up().await;

    let dead = followed.dead().await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].reason, "skipped by ann: not ours");
    assert!(rows.contains(&(4, 1)), "the other deal");
    wait_until(SOON, "it is ready", async || {
        followed.running.complaint().is_empty()
    })
    .await;
    followed.running.stop().await;
}

#[tokio::test]
async fn subject_whose_dead_events_are_discarded_goes_on_with_its_next_event() {
    let followed = Followed::start().await;
    followed.publish_corrupt().await;
    store(&followed.log, &event(1, 3), 3).await;

    let discarded = followed.decisions().discard(3, note()).await;
    discarded.expect("the log is up");
    let after = store(&followed.log, &event(1, 4), 4).await;

    assert_eq!(followed.caught_up().await.last(), Some(&(after, 4)));
    let dead = followed.dead().await;
    assert_eq!(dead.len(), 2, "the corrupt one and its successor");
    assert!(dead.iter().all(|dead| dead.repaired));
    followed.running.stop().await;
}

#[tokio::test]
async fn repaired_subject_goes_on_from_its_newest_readable_state() {
    let followed = Followed::start().await;
    followed.publish_corrupt().await;

    let repaired = followed.decisions().repair(3, note()).await;
    let at = repaired.expect("the log is up").sequence;
    let record = followed.log.get(at).await.expect("the log is up");
    let fact = deal_of(&event_of(&record.expect("it is stored")).fact).clone();
    assert_eq!(fact.deal, deal_of(&event(1, 1).fact).deal);
    assert_eq!(fact.operator, Some(note()));

    let next = store(&followed.log, &event(1, 3), at).await;
    assert_eq!(followed.caught_up().await.last(), Some(&(next, 3)));
    assert!(followed.dead().await[0].repaired);
    followed.running.stop().await;
}

#[tokio::test]
async fn decision_about_nothing_is_refused() {
    let followed = Followed::start().await;
    let decisions = followed.decisions();

    let beyond = decisions.skip(99, note()).await;
    assert!(matches!(beyond, Err(Refused::NoEvent(99))), "{beyond:?}");
    let opening = decisions.repair(1, note()).await;
    assert!(matches!(opening, Err(Refused::NoState(1))), "{opening:?}");

    let nonsense = message(
        &subject(7).to_string(),
        &Message {
            body: b"{}".as_slice().into(),
            ..wire::encode(MARKET, followed.epoch, &event(7, 1))
        },
    );
    publish(&followed.nats, &nonsense).await;
    let unreadable = decisions.repair(3, note()).await;
    assert!(
        matches!(unreadable, Err(Refused::NothingReadable(_))),
        "{unreadable:?}"
    );
    assert_eq!(followed.log.head().await.expect("the log is up"), 3);
    followed.running.stop().await;
}

fn note() -> OperatorNote {
    OperatorNote {
        by: "ann".to_owned(),
        why: "not ours".to_owned(),
    }
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
