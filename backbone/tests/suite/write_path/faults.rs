//! The write path when the network or the server fails under it: found, if it was written; said to
//! be unknown, if nobody can know; never done twice.

use std::cell::Cell;
use std::convert::Infallible;
use std::ops::RangeInclusive;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy};
use backbone::event_log::EventLog;
use backbone::testkit::{NatsServer, Proxy, wait_until};
use backbone::write_path::{WriteError, WritePath, Written};
use futures_util::StreamExt;
use tokio::time::Instant;

use super::{assert_applied_once, mutation, path, rename, write};
use crate::deals::{deal_of, subject};
use crate::logs::{SOON, event_of, jetstream, opened};

/// One process behind a proxy, another with a line of its own, and their server.
struct Market {
    nats: NatsServer,
    proxy: Proxy,
    ours: EventLog,
    theirs: EventLog,
}

/// How long a mutation tries before it says that it does not know: five seconds, and an attempt of
/// one that began just before.
const BUDGET: RangeInclusive<Duration> =
    Duration::from_millis(4_900)..=Duration::from_millis(6_500);

#[tokio::test]
async fn write_after_many_events_of_others_reads_only_the_last_of_them() {
    let nats = NatsServer::start().await;
    let ours = jetstream(&nats.url());
    let theirs = jetstream(&nats.url());
    opened(&ours).await;
    opened(&theirs).await;
    let ours = path(&ours);
    let theirs = path(&theirs);
    write(&ours, &mutation(1)).await.expect("it is created");
    for number in 2..=60 {
        write(&theirs, &mutation(number))
            .await
            .expect("it is renamed");
    }

    let spy = async_nats::connect(nats.url()).await.expect("NATS is up");
    let mut reads = spy
        .subscribe("$JS.API.STREAM.MSG.GET.MARKET")
        .await
        .expect("NATS is up");
    spy.flush().await.expect("NATS is up");
    let written = write(&ours, &mutation(100)).await.expect("it is renamed");

    assert_eq!(deal_of(&written.fact).revision, 61);
    // What the spy says itself comes behind everything that it has seen.
    spy.publish("$JS.API.STREAM.MSG.GET.MARKET", "end".into())
        .await
        .expect("NATS is up");
    let mut count = 0;
    while reads.next().await.expect("NATS is up").payload != "end" {
        count += 1;
    }
    assert_eq!(count, 1, "the guess was wrong, and one read puts it right");
}

#[tokio::test]
async fn lost_acknowledgement_is_found_by_its_id() {
    // Goal: a mutation whose acknowledgement is lost is applied once.
    // Method: discard the replies of the server at a proxy while a mutation is written.
    // Proven: the repeated append finds the stored event, and the log has it once.
    let market = Market::open(Config::default()).await;
    write(&path(&market.theirs), &mutation(1))
        .await
        .expect("it is created");

    let written = market
        .lose_the_acknowledgement(2, 1)
        .await
        .expect("it is found");

    let is_duplicate = written.position.sequence == 3;
    assert!(
        is_duplicate || written.position.sequence == 4,
        "{written:?}"
    );

    assert_applied_once(&market.theirs, [1, 2, 1001].into()).await;
}

#[tokio::test]
async fn lost_acknowledgement_is_found_in_recent_mutations_when_the_log_forgot_its_id() {
    for others in [0, 1, 15] {
        let market = Market::open(forgets_ids()).await;
        write(&path(&market.theirs), &mutation(1))
            .await
            .expect("it is created");

        let written = market
            .lose_the_acknowledgement(2, others)
            .await
            .expect("it is found");

        assert_eq!(
            written.position.sequence,
            3 + others as u64,
            "the deal as it stands"
        );

        assert_eq!(deal_of(&written.fact).revision, 2 + others as u64);
        assert_applied_once(
            &market.theirs,
            (1..=2).chain(1001..=1000 + others).collect(),
        )
        .await;
    }
}

#[tokio::test]
async fn lost_acknowledgement_is_found_by_a_scan_when_too_many_events_came_between() {
    let market = Market::open(forgets_ids()).await;
    write(&path(&market.theirs), &mutation(1))
        .await
        .expect("it is created");

    let written = market
        .lose_the_acknowledgement(2, 20)
        .await
        .expect("it is found");

    assert_eq!(written.position.sequence, 3 + 20, "the deal as it stands");
    assert_eq!(deal_of(&written.fact).revision, 2 + 20);
    assert_applied_once(&market.theirs, (1..=2).chain(1001..=1020).collect()).await;
}

#[tokio::test]
async fn lost_acknowledgement_of_a_creation_is_found() {
    let market = Market::open(forgets_ids()).await;
    let written = market
        .lose_the_acknowledgement(1, 20)
        .await
        .expect("it is found");

    assert_eq!(written.position.sequence, 2 + 20, "the deal as it stands");
    assert_applied_once(&market.theirs, [1].into_iter().chain(1001..=1020).collect()).await;
}

#[tokio::test]
async fn write_reports_a_server_that_is_down_before_the_first_send_at_once() {
    let market = Market::open(Config::default()).await;
    let writes = path(&market.ours);
    write(&writes, &mutation(1)).await.expect("it is created");
    market.nats.kill();
    wait_until(SOON, "the loss is noticed", async || !market.ours.is_up()).await;
    let asked = Instant::now();
    let answer = write(&writes, &mutation(2)).await;
    assert!(
        matches!(answer, Err(WriteError::Unavailable(_))),
        "{answer:?}"
    );

    assert!(
        asked.elapsed() < Duration::from_millis(500),
        "{:?}",
        asked.elapsed()
    );

    market.nats.restart().await;
    opened(&market.ours).await;
    assert_eq!(
        market.ours.head().await.expect("the log is up"),
        2,
        "it was not sent later"
    );

    write(&writes, &mutation(2))
        .await
        .expect("it is written now");
}

#[tokio::test]
async fn write_has_an_unknown_outcome_when_the_server_is_lost_in_the_middle() {
    // Goal: an unknown outcome is never reported as a failure.
    // Method: kill nats-server once it has stored the event, with its answer discarded; restart it later.
    // Proven: the mutation ends with an unknown outcome within its time budget, and a repeat with the same
    // key finds the event, stored once.
    let market = Market::open(Config::default()).await;
    let asked = Instant::now();
    let (answer, ()) = tokio::join!(market.write_unheard(1), async {
        market.wait_for_event_of(1).await;
        market.nats.kill();
    });

    assert!(
        matches!(answer, Err(WriteError::UnknownOutcome(_))),
        "{answer:?}"
    );

    assert!(BUDGET.contains(&asked.elapsed()), "{:?}", asked.elapsed());

    market.nats.restart().await;
    market.proxy.restore().await;
    opened(&market.ours).await;
    let repeat = write(&path(&market.ours), &mutation(1))
        .await
        .expect("the same key learns the outcome");

    assert_eq!(repeat.position.sequence, 2);
    opened(&market.theirs).await;
    assert_applied_once(&market.theirs, [1].into()).await;
}

#[tokio::test]
async fn write_has_an_unknown_outcome_when_the_server_hangs_in_the_middle() {
    let market = Market::open(Config::default()).await;
    let asked = Instant::now();
    let answer = market.write_unheard(1).await;
    assert!(
        matches!(answer, Err(WriteError::UnknownOutcome(_))),
        "{answer:?}"
    );

    assert!(BUDGET.contains(&asked.elapsed()), "{:?}", asked.elapsed());
    assert_applied_once(&market.theirs, [1].into()).await;
}

#[tokio::test]
async fn write_memory_is_not_used_on_another_connection() {
    let market = Market::open(Config::default()).await;
    let ours = path(&market.ours);
    for number in 1..=2 {
        write(&ours, &mutation(number))
            .await
            .expect("it is written");
    }

    write(&path(&market.theirs), &mutation(3))
        .await
        .expect("it is written");

    let connection = market.ours.connection();
    market.proxy.reset();
    wait_until(SOON, "there is another connection", async || {
        market.ours.connection() > connection
    })
    .await;

    opened(&market.ours).await;
    let seen = std::cell::RefCell::new(Vec::new());
    let written = ours
        .write(&mutation(4), |last, now| {
            seen.borrow_mut()
                .push(deal_of(last.expect("there is a deal")).revision);

            rename(&mutation(4), last, now)
        })
        .await;

    written.expect("it is written");
    assert_eq!(seen.take(), [3], "the log was asked first");
}

#[tokio::test]
async fn write_to_a_full_log_is_refused_and_stores_nothing() {
    let market = Market::open(Config {
        max_messages: 2,
        ..Config::default()
    })
    .await;

    let writes = path(&market.ours);
    write(&writes, &mutation(1))
        .await
        .expect("there is room for one");

    let answer = write(&writes, &mutation(2)).await;
    assert!(
        matches!(answer, Err(WriteError::Unavailable(_))),
        "{answer:?}"
    );

    assert_applied_once(&market.theirs, [1].into()).await;
}

impl Market {
    /// With a stream that was made beforehand: ours but for some settings.
    async fn open(settings: Config) -> Self {
        let nats = NatsServer::start().await;
        let config = Config {
            name: "MARKET".to_owned(),
            subjects: vec!["market.>".to_owned()],
            discard: DiscardPolicy::New,
            deny_delete: true,
            deny_purge: true,
            ..settings
        };

        let client = async_nats::connect(nats.url()).await.expect("NATS is up");
        async_nats::jetstream::new(client)
            .create_stream(config)
            .await
            .expect("the stream can be made");

        let proxy = Proxy::in_front_of(&nats.url()).await;
        let (ours, theirs) = (jetstream(&proxy.url(&nats.url())), jetstream(&nats.url()));
        opened(&ours).await;
        opened(&theirs).await;
        Self {
            nats,
            proxy,
            ours,
            theirs,
        }
    }

    /// Our mutation is stored, its acknowledgement is lost, and others write before we are back.
    async fn lose_the_acknowledgement(
        &self,
        number: u128,
        others: u128,
    ) -> Result<Written, WriteError<Infallible>> {
        let (written, ()) = tokio::join!(self.write_unheard(number), async {
            self.wait_for_event_of(number).await;
            let theirs = path(&self.theirs);
            for other in 1..=others {
                write(&theirs, &mutation(1000 + other))
                    .await
                    .expect("their line is fine");
            }

            self.proxy.restore().await;
        });

        written
    }

    /// Writes, and hears nothing from the moment of the first decision on.
    async fn write_unheard(&self, number: u128) -> Result<Written, WriteError<Infallible>> {
        let (writes, mutation, first): (WritePath, _, _) =
            (path(&self.ours), mutation(number), Cell::new(true));
        let decide = |last: Option<&_>, now| {
            if first.replace(false) {
                self.proxy.swallow_replies();
            }

            rename(&mutation, last, now)
        };

        writes.write(&mutation, decide).await
    }

    async fn wait_for_event_of(&self, number: u128) {
        let id = mutation(number).event_id;
        wait_until(SOON, "the event is stored", async || {
            let last = self
                .theirs
                .last(&subject(1))
                .await
                .expect("their line is fine");

            last.is_some_and(|last| event_of(&last).id == id)
        })
        .await;
    }
}

/// Ids are forgotten long before an attempt is given up.
fn forgets_ids() -> Config {
    Config {
        duplicate_window: Duration::from_millis(100),
        ..Config::default()
    }
}
