//! Faults that only the production log must cope with: a server that dies, is not there yet, hangs,
//! or has been given another stream.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, Source, StorageType};
use backbone::Error;
use backbone::contract::Event;
use backbone::event_log::{AppendAnswer, EventLog};
use backbone::position::Sequence;
use backbone::testkit::{NatsServer, Proxy, wait_for, wait_until};
use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::deals::{event, subject};
use crate::logs::{MARKET, SOON, event_of, jetstream, opened, read, sequences, store, tail};

#[tokio::test]
async fn jetstream_log_opened_by_several_processes_has_one_first_event() {
    let nats = NatsServer::start().await;
    let open = async || {
        let log = jetstream(&nats.url());
        (
            opened(&log).await,
            log.head().await.expect("the log is open"),
        )
    };

    let found = join_all((0..8).map(|_| open())).await;
    assert!(
        found
            .iter()
            .all(|opened| *opened == found[0] && opened.1 == 1),
        "{found:?}"
    );
}

#[tokio::test]
async fn jetstream_log_keeps_every_acknowledged_append_once_through_kills_under_load() {
    // Goal: an acknowledged event is never lost and never stored twice.
    // Method: eight writers append while nats-server is killed and restarted twice.
    // Proven: the log has every acknowledged event once, and a tail reads them without gaps.
    let nats = NatsServer::start().await;
    let log = jetstream(&nats.url());
    opened(&log).await;
    let stop = CancellationToken::new();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut writers = JoinSet::new();
    for number in 1..=8 {
        writers.spawn(write_until_told(
            log.clone(),
            number,
            stop.clone(),
            acknowledged.clone(),
            false,
        ));
    }

    let (mut tail_of_before, mut followed) = (tail(&log, 0).await, 0);
    for _ in 0..2 {
        let so_far = acknowledged.load(Ordering::SeqCst);
        wait_until(SOON, "the writers make progress", async || {
            acknowledged.load(Ordering::SeqCst) >= so_far + 100
        })
        .await;

        nats.kill();
        followed = timeout(SOON, follow_to_its_end(tail_of_before, followed))
            .await
            .expect("the tail ends");

        nats.restart().await;
        opened(&log).await;
        tail_of_before = tail(&log, followed).await;
    }

    stop.cancel();
    let written = writers.join_all().await;

    let head = log.head().await.expect("the log is up");
    let rest = read(&mut tail_of_before, (head - followed) as usize).await;
    assert_eq!(sequences(&rest), (followed + 1..=head).collect::<Vec<_>>());
    assert_holds_once(&log, &written).await;
}

/// Checks that the log has these events where they were acknowledged, each once, and nothing else but its first event.
pub(super) async fn assert_holds_once(log: &EventLog, written: &[Vec<(Event, Sequence)>]) {
    let head = log.head().await.expect("the log is up");
    let all = read(&mut tail(log, 0).await, head as usize).await;
    let places: HashMap<_, _> = all
        .iter()
        .map(|record| (event_of(record).id, record.sequence))
        .collect();

    assert_eq!(places.len(), all.len(), "each event once");
    for (event, sequence) in written.iter().flatten() {
        assert_eq!(places.get(&event.id), Some(sequence));
    }

    assert_eq!(
        written.iter().map(Vec::len).sum::<usize>() + 1,
        all.len(),
        "nothing that nobody wrote"
    );
}

/// One deal's chain, each event sent until its outcome is known; where each was stored. A replicated log may refuse while it has
/// no leader, and while an earlier attempt is on its way to the replicas.
pub(super) async fn write_until_told(
    log: EventLog,
    number: u128,
    stop: CancellationToken,
    acknowledged: Arc<AtomicU64>,
    replicated: bool,
) -> Vec<(Event, Sequence)> {
    let mut written = Vec::new();
    let (mut expected, mut revision) = (0, 1);
    while !stop.is_cancelled() {
        let event = event(number, revision);
        expected = loop {
            match log.append(&event, expected).await {
                AppendAnswer::Stored(end) => break end.sequence,
                AppendAnswer::Duplicate(sequence) => break sequence,
                AppendAnswer::WrongLastSequence => {
                    let last = log.last(&subject(number)).await;
                    let Ok(Some(last)) = last else { continue };
                    if event_of(&last).id == event.id {
                        break last.sequence;
                    }
                    assert!(replicated, "nobody else writes this deal");
                }
                AppendAnswer::Unknown { .. } | AppendAnswer::NotConnected { .. } => {
                    tokio::task::yield_now().await;
                }
                AppendAnswer::Refused { .. } if replicated => tokio::task::yield_now().await,
                AppendAnswer::Refused { why } => panic!("refused: {why}"),
            }
        };

        acknowledged.fetch_add(1, Ordering::SeqCst);
        written.push((event, expected));
        revision += 1;
    }

    written
}

/// The last place that a tail came to before it failed.
async fn follow_to_its_end(mut tail: backbone::event_log::Tail, mut last: Sequence) -> Sequence {
    while let Ok(records) = tail.batch(1_000).await {
        last = records.last().expect("a batch is never empty").sequence;
    }

    last
}

#[tokio::test]
async fn jetstream_log_finds_a_server_that_starts_later() {
    let nats = NatsServer::start().await;
    nats.kill();
    let log = jetstream(&nats.url());
    assert!(!log.is_up());
    assert!(matches!(log.epoch().await, Err(Error::Unavailable { .. })));
    assert!(matches!(
        log.last(&subject(1)).await,
        Err(Error::Unavailable { .. })
    ));

    assert!(matches!(
        log.tail(0).await.err(),
        Some(Error::Unavailable { .. })
    ));

    let answer = log.append(&event(1, 1), 0).await;
    assert!(
        matches!(answer, AppendAnswer::NotConnected { .. }),
        "{answer:?}"
    );

    nats.restart().await;
    opened(&log).await;
    assert!(log.is_up());
    assert_eq!(
        log.head().await.expect("the log is up"),
        1,
        "what was not sent is not sent later"
    );

    store(&log, &event(1, 1), 0).await;
}

#[tokio::test]
async fn jetstream_log_notices_a_replaced_stream_on_the_next_connection() {
    let nats = NatsServer::start().await;
    let proxy = Proxy::in_front_of(&nats.url()).await;
    let log = jetstream(&proxy.url(&nats.url()));
    let epoch = opened(&log).await;
    store(&log, &event(1, 1), 0).await;
    let mut tail = tail(&log, 0).await;
    read(&mut tail, 2).await;

    stream_context(&nats)
        .await
        .delete_stream("MARKET")
        .await
        .expect("the stream is there");

    assert_ne!(opened(&jetstream(&nats.url())).await, epoch);
    proxy.reset();

    wait_until(SOON, "the other epoch is noticed", async || {
        matches!(log.epoch().await, Err(Error::Blocked { .. }))
    })
    .await;

    let answer = log.append(&event(1, 1), 0).await;
    assert!(
        matches!(answer, AppendAnswer::NotConnected { .. }),
        "{answer:?}"
    );

    assert!(matches!(log.head().await, Err(Error::Blocked { .. })));
    timeout(SOON, tail.batch(1))
        .await
        .expect("the tail ends")
        .expect_err("it does not go on elsewhere");
}

#[tokio::test]
async fn jetstream_tail_ends_when_its_stream_is_gone() {
    let nats = NatsServer::start().await;
    let log = jetstream(&nats.url());
    opened(&log).await;
    let mut tail = tail(&log, 1).await;
    stream_context(&nats)
        .await
        .delete_stream("MARKET")
        .await
        .expect("the stream is there");

    timeout(SOON, tail.batch(1))
        .await
        .expect("the tail ends")
        .expect_err("there is nothing to read");
}

#[tokio::test]
async fn jetstream_log_rejects_a_stream_that_loses_events() {
    type Change = fn(&mut Config);
    let forgetful: [(&str, Change); 9] = [
        ("max_age", |config| {
            config.max_age = Duration::from_secs(3_600);
        }),
        ("max_msgs_per_subject", |config| {
            config.max_messages_per_subject = 10;
        }),
        ("discard", |config| {
            config.discard = DiscardPolicy::Old;
            config.max_messages = 1_000;
        }),
        ("retention", |config| {
            config.retention = RetentionPolicy::Interest;
        }),
        ("storage", |config| config.storage = StorageType::Memory),
        ("deny_delete", |config| config.deny_delete = false),
        ("deny_purge", |config| config.deny_purge = false),
        ("no_ack", |config| config.no_ack = true),
        ("sources", |config| {
            config.sources = Some(vec![Source {
                name: "OTHER".to_owned(),
                ..Source::default()
            }]);
        }),
    ];

    let nats = NatsServer::start().await;
    let context = stream_context(&nats).await;
    for (what, change) in forgetful {
        let mut config = stream();
        change(&mut config);
        context
            .create_stream(config)
            .await
            .unwrap_or_else(|why| panic!("{what}: {why}"));

        assert_refused(&jetstream(&nats.url()), what).await;
        context
            .delete_stream("MARKET")
            .await
            .expect("the stream is there");
    }

    context
        .create_stream(stream())
        .await
        .expect("the stream can be made");

    opened(&jetstream(&nats.url())).await;
}

/// Old servers make room in a stream with max_bytes by dropping the first message: there it is no
/// log.
#[tokio::test]
async fn jetstream_log_with_max_bytes_never_drops_an_event_for_a_new_one() {
    let nats = NatsServer::start().await;
    let config = Config {
        max_bytes: 1_800,
        ..stream()
    };

    stream_context(&nats)
        .await
        .create_stream(config)
        .await
        .expect("the stream can be made");

    let log = jetstream(&nats.url());
    let answer = wait_for(SOON, "the stream is judged", async || {
        match log.prepare().await {
            Err(Error::Unavailable { .. }) => None,
            answer => Some(answer),
        }
    })
    .await;

    if let Err(why) = answer {
        assert!(why.to_string().contains("max_bytes"), "{why}");
        return;
    }

    for number in 1..=9 {
        let answer = log.append(&event(number, 1), 0).await;
        assert!(
            matches!(
                answer,
                AppendAnswer::Stored(_) | AppendAnswer::Refused { .. }
            ),
            "{answer:?}"
        );
    }

    assert!(
        log.head().await.expect("the log is up") < 10,
        "it was filled"
    );

    assert!(
        log.get(1).await.expect("the log is up").is_some(),
        "nothing was forgotten"
    );
}

#[tokio::test]
async fn jetstream_log_rejects_a_stream_of_another_application() {
    let nats = NatsServer::start().await;
    let context = stream_context(&nats).await;
    context
        .create_stream(stream())
        .await
        .expect("the stream can be made");

    let stored = context
        .publish(format!("{MARKET}.news"), "bought".into())
        .await
        .expect("NATS is up");

    stored.await.expect("it is stored");
    assert_refused(&jetstream(&nats.url()), "should open the log").await;
}

#[tokio::test]
async fn jetstream_log_callers_do_not_wait_for_each_other_when_the_server_hangs() {
    let nats = NatsServer::start().await;
    let proxy = Proxy::in_front_of(&nats.url()).await;
    let log = jetstream(&proxy.url(&nats.url()));
    opened(&log).await;
    // Reconnected, so that the stream has to be checked again, and then nothing more passes.
    let before = proxy.accepted();
    proxy.reset();
    wait_until(SOON, "the client is back", async || {
        proxy.accepted() > before && log.is_up()
    })
    .await;

    proxy.half_open();

    let asked = Instant::now();
    let mut callers = JoinSet::new();
    for number in 0..16 {
        let log = log.clone();
        callers.spawn(async move { log.append(&event(number, 1), 0).await });
    }

    for answer in callers.join_all().await {
        assert!(!matches!(answer, AppendAnswer::Stored(_)), "{answer:?}");
    }

    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "{:?} for one attempt each",
        asked.elapsed()
    );
}

async fn assert_refused(log: &EventLog, what: &str) {
    wait_until(SOON, what, async || match log.epoch().await {
        Err(Error::Blocked { why, .. }) => {
            assert!(why.contains(what), "{why:?} does not say {what:?}");
            true
        }
        Err(Error::Unavailable { .. }) => false,
        other => panic!("{what}: {other:?}"),
    })
    .await;
}

/// A stream as an operator may make it beforehand, and as version 0.1.0 created it.
pub(super) fn stream() -> Config {
    Config {
        name: "MARKET".to_owned(),
        subjects: vec!["market.>".to_owned()],
        discard: DiscardPolicy::New,
        deny_delete: true,
        deny_purge: true,
        ..Config::default()
    }
}

pub(super) async fn stream_context(nats: &NatsServer) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(async_nats::connect(nats.url()).await.expect("NATS is up"))
}
