//! The contract of the event log: what every backend promises, told once and run on each.

mod cluster;
mod jetstream;
mod proof;
mod sqlite;
mod transfer;

use std::collections::HashSet;

use backbone::contract::{Event, Fact, Subject, wire};
use backbone::event_log::AppendAnswer::{Duplicate, Stored, WrongLastSequence};
use backbone::event_log::EventLog;
use tokio::task::JoinSet;

use crate::deals::{event, subject};
use crate::logs::{MARKET, TestLog, event_of, on_both_backends, read, sequences, store, tail};

on_both_backends! {
    log_begins_with_its_first_event_and_keeps_its_epoch,
    log_stores_an_event_only_after_the_last_one_of_its_subject,
    log_stores_an_id_once_whatever_its_subject,
    log_returns_what_was_stored,
    log_finds_the_next_event_of_a_subject_among_those_of_others,
    tail_reads_from_any_sequence_and_waits_at_the_head,
    tails_that_run_concurrently_read_the_same_events,
    log_lets_exactly_one_of_64_writers_with_one_expectation_succeed,
    log_has_all_five_thousand_events_of_32_writers_in_one_order,
    log_that_is_reopened_has_what_was_stored,
}

async fn log_begins_with_its_first_event_and_keeps_its_epoch(test: TestLog) {
    let epoch = test.log.epoch().await.expect("the log is open");
    assert!(epoch.0 > 0);
    assert_eq!(test.log.head().await.expect("the log is open"), 1);
    let first = test
        .log
        .get(1)
        .await
        .expect("the log is open")
        .expect("it is not empty");

    assert_eq!(event_of(&first).subject, Subject::Opened);
    assert_eq!(event_of(&first).fact, Fact::MarketOpened { epoch });
    assert!(test.log.is_up());

    let again = test.reopen().await;
    assert_eq!(again.log.epoch().await.expect("the log is open"), epoch);
    assert_eq!(again.log.head().await.expect("the log is open"), 1);
}

async fn log_stores_an_event_only_after_the_last_one_of_its_subject(test: TestLog) {
    let log = test.log;
    assert_eq!(
        log.append(&event(1, 1), 7).await,
        WrongLastSequence,
        "the subject has no event"
    );

    assert_eq!(store(&log, &event(1, 1), 0).await, 2);
    assert_eq!(
        log.append(&event(1, 2), 0).await,
        WrongLastSequence,
        "the subject has one"
    );

    assert_eq!(
        log.append(&event(1, 2), 1).await,
        WrongLastSequence,
        "the log's first is another's"
    );

    assert_eq!(
        log.append(&event(1, 2), 3).await,
        WrongLastSequence,
        "not there yet"
    );

    let other = store(&log, &event(2, 1), 0).await;
    assert_eq!(other, 3, "other subjects do not matter");

    assert_eq!(store(&log, &event(1, 2), 2).await, 4);
    assert_eq!(
        log.head().await.expect("the log is up"),
        4,
        "what was refused was not stored"
    );
}

async fn log_stores_an_id_once_whatever_its_subject(test: TestLog) {
    let log = test.log;
    let first = event(1, 1);
    assert_eq!(store(&log, &first, 0).await, 2);
    assert_refused_as_known(&log, &first, 0).await;
    assert_refused_as_known(&log, &first, 2).await;
    assert_refused_as_known(
        &log,
        &Event {
            id: first.id,
            ..event(2, 1)
        },
        0,
    )
    .await;

    assert_eq!(log.head().await.expect("the log is up"), 2);
    assert!(
        log.last(&subject(2))
            .await
            .expect("the log is up")
            .is_none()
    );
}

/// Backends differ in what they look at first; both answers send the writer to look for itself.
async fn assert_refused_as_known(log: &EventLog, event: &Event, expected: u64) {
    let answer = log.append(event, expected).await;
    assert!(
        matches!(answer, Duplicate(2) | WrongLastSequence),
        "{answer:?}"
    );
}

async fn log_returns_what_was_stored(test: TestLog) {
    let log = test.log;
    let epoch = log.epoch().await.expect("the log is up");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        .parse()
        .ok();

    let (one, two) = (
        Event {
            trace,
            ..event(1, 1)
        },
        event(1, 2),
    );

    let at_one = store(&log, &one, 0).await;
    let at_two = store(&log, &two, at_one).await;

    for (at, event) in [(at_one, &one), (at_two, &two)] {
        let record = log
            .get(at)
            .await
            .expect("the log is up")
            .expect("something stands there");

        assert_eq!(record.sequence, at);
        assert_eq!(record.subject, event.subject.to_string());
        assert_eq!(event_of(&record), event);
        assert_eq!(record.message, wire::encode(MARKET, epoch, event));
    }

    let last = log
        .last(&subject(1))
        .await
        .expect("the log is up")
        .expect("the subject has events");

    assert_eq!((last.sequence, event_of(&last)), (at_two, &two));
    assert!(
        log.last(&subject(2))
            .await
            .expect("the log is up")
            .is_none()
    );

    assert!(log.get(at_two + 1).await.expect("the log is up").is_none());
    assert_eq!(log.head().await.expect("the log is up"), at_two);
}

async fn log_finds_the_next_event_of_a_subject_among_those_of_others(test: TestLog) {
    let log = test.log;
    let first = store(&log, &event(1, 1), 0).await;
    for number in 2..=20 {
        store(&log, &event(number, 1), 0).await;
    }

    let second = store(&log, &event(1, 2), first).await;
    store(&log, &event(21, 1), 0).await;

    for (after, found) in [
        (0, Some(first)),
        (first - 1, Some(first)),
        (first, Some(second)),
        (second, None),
        (999, None),
    ] {
        let next = log.next(&subject(1), after).await.expect("the log is up");
        assert_eq!(next.map(|record| record.sequence), found, "after {after}");
    }

    assert!(
        log.next(&subject(99), 0)
            .await
            .expect("the log is up")
            .is_none()
    );
}

async fn tail_reads_from_any_sequence_and_waits_at_the_head(test: TestLog) {
    let log = test.log;
    for number in 1..=9 {
        store(&log, &event(number, 1), 0).await;
    }

    let mut from_the_start = tail(&log, 0).await;
    assert_eq!(
        sequences(&read(&mut from_the_start, 10).await),
        (1..=10).collect::<Vec<_>>()
    );

    let mut from_the_middle = tail(&log, 4).await;
    assert_eq!(
        sequences(&from_the_middle.batch(3).await.expect("the tail goes on")),
        [5, 6, 7]
    );

    assert_eq!(sequences(&read(&mut from_the_middle, 3).await), [8, 9, 10]);
    let mut from_the_end = tail(&log, 10).await;

    for live in 10..=12 {
        let (sequence, batches) =
            tokio::join!(async { store(&log, &event(live, 1), 0).await }, async {
                [
                    read(&mut from_the_start, 1).await,
                    read(&mut from_the_middle, 1).await,
                    read(&mut from_the_end, 1).await,
                ]
            });
        for batch in &batches {
            assert_eq!(sequences(batch), [sequence]);
            assert_eq!(event_of(&batch[0]), &event(live, 1));
        }
    }
}

async fn tails_that_run_concurrently_read_the_same_events(test: TestLog) {
    const EVENTS: u64 = 300;
    let mut ids = vec![event_of(&test.log.get(1).await.expect("up").expect("opened")).id];
    let mut readers = JoinSet::new();
    for number in 1..EVENTS {
        if number % 100 == 0 {
            for log in [test.log.clone(), test.beside().await] {
                let mut tail = tail(&log, number / 2).await;
                let rest = (EVENTS - number / 2) as usize;
                readers.spawn(async move { (number / 2, read(&mut tail, rest).await) });
            }
        }

        let event = event(number.into(), 1);
        store(&test.log, &event, 0).await;
        ids.push(event.id);
    }

    for (after, records) in readers.join_all().await {
        assert_eq!(
            sequences(&records),
            (after + 1..=EVENTS).collect::<Vec<_>>()
        );

        let read: Vec<_> = records.iter().map(|record| event_of(record).id).collect();
        assert_eq!(read, ids[after as usize..]);
    }
}

async fn log_lets_exactly_one_of_64_writers_with_one_expectation_succeed(test: TestLog) {
    const ROUNDS: u64 = 20;
    let logs = [test.log.clone(), test.beside().await];
    let mut expected = 0;
    for round in 1..=ROUNDS {
        let mut writers = JoinSet::new();
        for writer in 0..64_u128 {
            let log = logs[writer as usize % 2].clone();
            let event = Event {
                id: event(100 + writer, round).id,
                ..event(1, round)
            };

            writers.spawn(async move { log.append(&event, expected).await });
        }

        let answers = writers.join_all().await;
        let stored: Vec<_> = answers
            .iter()
            .filter(|answer| matches!(answer, Stored(_)))
            .collect();

        let lost = answers
            .iter()
            .filter(|answer| **answer == WrongLastSequence)
            .count();

        assert_eq!((stored.len(), lost), (1, 63), "round {round}: {answers:?}");
        let Stored(end) = stored[0] else {
            unreachable!("it was counted as stored")
        };

        expected = end.sequence;
    }

    assert_eq!(test.log.head().await.expect("the log is up"), 1 + ROUNDS);
}

async fn log_has_all_five_thousand_events_of_32_writers_in_one_order(test: TestLog) {
    const EVENTS: u128 = 5_000;
    let mut writers = JoinSet::new();
    for writer in 0..32 {
        let log = test.log.clone();
        writers.spawn(async move {
            for number in (writer..EVENTS).step_by(32) {
                store(&log, &event(number, 1), 0).await;
            }
        });
    }

    writers.join_all().await;
    assert_eq!(
        test.log.head().await.expect("the log is up"),
        1 + EVENTS as u64
    );

    let records = read(&mut tail(&test.log, 0).await, 1 + EVENTS as usize).await;
    assert_eq!(
        sequences(&records),
        (1..=1 + EVENTS as u64).collect::<Vec<_>>()
    );

    let subjects: HashSet<_> = records[1..]
        .iter()
        .map(|record| event_of(record).subject)
        .collect();

    assert_eq!(subjects.len(), EVENTS as usize, "each once");
}

async fn log_that_is_reopened_has_what_was_stored(test: TestLog) {
    let at = store(&test.log, &event(1, 1), 0).await;
    let test = test.reopen().await;
    let last = test
        .log
        .last(&subject(1))
        .await
        .expect("the log is up")
        .expect("it was stored");

    assert_eq!((last.sequence, event_of(&last)), (at, &event(1, 1)));
    assert_eq!(store(&test.log, &event(1, 2), at).await, at + 1);
    assert_refused_as_known(&test.log, &event(1, 1), 0).await;
}
