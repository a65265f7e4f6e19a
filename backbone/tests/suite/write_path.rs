//! The write path on both backends: a mutation is in the log once, however often it is sent and
//! whoever comes between.

mod faults;

use std::collections::HashSet;
use std::convert::Infallible;

use backbone::clock::Clock;
use backbone::contract::{Fact, Fingerprint, Subject};
use backbone::event_log::EventLog;
use backbone::ids::EventId;
use backbone::position::Position;
use backbone::time::Timestamp;
use backbone::write_path::{Decision, Mutation, WriteError, WritePath, Written};
use futures_util::future::join_all;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::deals::{created, deal_of, renamed, subject};
use crate::logs::{TestLog, event_of, on_both_backends, read, tail};

on_both_backends! {
    write_returns_the_state_and_position_of_a_creation_and_its_updates,
    write_of_a_repeat_returns_the_present_state_and_appends_nothing,
    write_recognises_a_repeated_creation_after_forty_mutations,
    write_rejects_a_key_that_was_used_with_a_different_request,
    write_does_not_accept_an_event_id_on_a_different_deal,
    write_appends_nothing_that_the_rules_reject_or_leave_unchanged,
    write_applies_each_of_two_hundred_concurrent_mutations_of_one_deal_once,
    write_applies_nothing_twice_when_two_processes_contend_for_one_deal,
    write_memory_is_never_the_reason_for_a_rejection,
    write_is_refused_by_a_full_lane_and_other_deals_are_not_affected,
}

async fn write_returns_the_state_and_position_of_a_creation_and_its_updates(test: TestLog) {
    let writes = path(&test.log);
    let epoch = test.log.epoch().await.expect("the log is up");
    let first = write(&writes, &mutation(1)).await.expect("it is created");
    assert_eq!(first.position, Position::end_of(epoch, 2));
    for revision in 2..=20 {
        let written = write(&writes, &mutation(revision))
            .await
            .expect("it is updated");

        assert_eq!(
            written.position,
            Position::end_of(epoch, revision as u64 + 1)
        );

        assert_eq!(deal_of(&written.fact).revision, revision as u64);
        assert_eq!(deal_of(&written.fact).deal.name, format!("by {revision}"));
        let last = test
            .log
            .last(&subject(1))
            .await
            .expect("the log is up")
            .expect("it was written");

        assert_eq!(event_of(&last).fact, written.fact);
        assert_eq!(event_of(&last).id, mutation(revision).event_id);
    }
}

async fn write_of_a_repeat_returns_the_present_state_and_appends_nothing(test: TestLog) {
    let writes = path(&test.log);
    for number in 1..=3 {
        write(&writes, &mutation(number))
            .await
            .expect("it is written");
    }

    for others in [0, 10] {
        for other in 0..others {
            write(&writes, &mutation(100 + other))
                .await
                .expect("it is written");
        }

        let head = test.log.head().await.expect("the log is up");
        let repeat = write(&writes, &mutation(3)).await.expect("it is known");
        assert_eq!(repeat.position.sequence, head, "after {others} others");
        let last = test
            .log
            .last(&subject(1))
            .await
            .expect("the log is up")
            .expect("it was written");

        assert_eq!(event_of(&last).fact, repeat.fact);
        assert_eq!(
            test.log.head().await.expect("the log is up"),
            head,
            "nothing was appended"
        );
    }
}

async fn write_recognises_a_repeated_creation_after_forty_mutations(test: TestLog) {
    let writes = path(&test.log);
    for number in 1..=41 {
        write(&writes, &mutation(number))
            .await
            .expect("it is written");
    }

    let repeat = write(&writes, &mutation(1)).await.expect("it is known");
    assert_eq!(deal_of(&repeat.fact).revision, 41);
    assert_eq!(test.log.head().await.expect("the log is up"), 42);
}

async fn write_rejects_a_key_that_was_used_with_a_different_request(test: TestLog) {
    let writes = path(&test.log);
    for number in 1..=3 {
        write(&writes, &mutation(number))
            .await
            .expect("it is written");
    }

    let other_request = Mutation {
        request: Fingerprint::of(b"something else"),
        ..mutation(2)
    };

    assert!(matches!(
        write(&writes, &other_request).await,
        Err(WriteError::KeyReused)
    ));

    let other_creation = Mutation {
        request: Fingerprint::of(b"something else"),
        ..mutation(1)
    };
    // Still known by the log when the deal remembers it no more: as the creation, or by its id.
    for number in 4..=40 {
        write(&writes, &mutation(number))
            .await
            .expect("it is written");
    }

    assert!(matches!(
        write(&writes, &other_creation).await,
        Err(WriteError::KeyReused)
    ));

    assert!(matches!(
        write(&writes, &other_request).await,
        Err(WriteError::KeyReused)
    ));

    assert_eq!(test.log.head().await.expect("the log is up"), 41);
}

async fn write_does_not_accept_an_event_id_on_a_different_deal(test: TestLog) {
    let writes = path(&test.log);
    write(&writes, &mutation(1)).await.expect("it is created");
    let stray = Mutation {
        subject: subject(2),
        ..mutation(1)
    };

    let answer = write(&writes, &stray).await;
    assert!(matches!(answer, Err(WriteError::Broken(_))), "{answer:?}");
    assert_eq!(test.log.head().await.expect("the log is up"), 2);
}

async fn write_appends_nothing_that_the_rules_reject_or_leave_unchanged(test: TestLog) {
    let writes = path(&test.log);
    let rejected = writes.write(&mutation(1), |_, _| Err("not today")).await;
    assert!(
        matches!(rejected, Err(WriteError::Rejected("not today"))),
        "{rejected:?}"
    );

    let nothing = writes
        .write(&mutation(1), |_, _| {
            Ok::<_, Infallible>(Decision::Unchanged)
        })
        .await;

    assert!(matches!(nothing, Err(WriteError::Broken(_))), "{nothing:?}");

    let first = write(&writes, &mutation(1)).await.expect("it is created");
    let rejected = writes.write(&mutation(2), |_, _| Err("not today")).await;
    assert!(
        matches!(rejected, Err(WriteError::Rejected("not today"))),
        "{rejected:?}"
    );

    let unchanged = writes
        .write(&mutation(3), |_, _| {
            Ok::<_, Infallible>(Decision::Unchanged)
        })
        .await;

    let unchanged = unchanged.expect("that is an answer");
    assert_eq!(
        (unchanged.fact, unchanged.position),
        (first.fact, first.position)
    );

    assert_eq!(test.log.head().await.expect("the log is up"), 2);
}

async fn write_applies_each_of_two_hundred_concurrent_mutations_of_one_deal_once(test: TestLog) {
    let writes = path(&test.log);
    let mut writers = JoinSet::new();
    for number in 1..=200 {
        let writes = writes.clone();
        writers.spawn(async move {
            write(&writes, &mutation(number))
                .await
                .expect("it is written")
        });
    }

    let revisions: HashSet<_> = writers
        .join_all()
        .await
        .iter()
        .map(|written| deal_of(&written.fact).revision)
        .collect();

    assert_eq!(revisions, (1..=200).collect());
    assert_applied_once(&test.log, (1..=200).collect()).await;
}

async fn write_applies_nothing_twice_when_two_processes_contend_for_one_deal(test: TestLog) {
    let processes = [path(&test.log), path(&test.beside().await)];
    write(&processes[0], &mutation(1))
        .await
        .expect("it is created");

    let mut writers = JoinSet::new();
    for number in 2..=101 {
        let writes = processes[number as usize % 2].clone();
        writers.spawn(async move { (number, write(&writes, &mutation(number)).await) });
    }

    let mut applied = HashSet::from([1]);
    for (number, written) in writers.join_all().await {
        match written {
            Ok(_) => assert!(applied.insert(number)),
            Err(WriteError::Contended) => {}
            Err(other) => panic!("mutation {number}: {other:?}"),
        }
    }

    assert!(
        applied.len() > 50,
        "{} of 100 came through",
        applied.len() - 1
    );

    assert_applied_once(&test.log, applied).await;
}

async fn write_memory_is_never_the_reason_for_a_rejection(test: TestLog) {
    let (ours, theirs) = (path(&test.log), path(&test.beside().await));
    for number in 1..=2 {
        write(&ours, &mutation(number))
            .await
            .expect("it is written");
    }

    write(&theirs, &mutation(3)).await.expect("it is written");
    let seen = std::cell::RefCell::new(Vec::new());
    let look = |last: Option<&Fact>| {
        seen.borrow_mut()
            .push(deal_of(last.expect("there is a deal")).deal.name.clone())
    };

    let rejected = ours
        .write(&mutation(4), |last, _| {
            look(last);
            Err("not today")
        })
        .await;

    assert!(
        matches!(rejected, Err(WriteError::Rejected("not today"))),
        "{rejected:?}"
    );

    assert_eq!(
        seen.take(),
        ["by 2", "by 3"],
        "what was remembered, then what the log holds"
    );

    let unchanged = ours
        .write(&mutation(4), |last, _| {
            look(last);
            Ok::<_, Infallible>(Decision::Unchanged)
        })
        .await;

    assert_eq!(
        deal_of(&unchanged.expect("that is an answer").fact)
            .deal
            .name,
        "by 3"
    );

    let repeat = write(&ours, &mutation(2)).await.expect("it is known");
    assert_eq!(
        deal_of(&repeat.fact).deal.name,
        "by 3",
        "a repeat tells the deal as it stands"
    );

    let begun_again = write(&path(&test.log), &mutation(1))
        .await
        .expect("it is known");

    assert_eq!(deal_of(&begun_again.fact).deal.name, "by 3");
    write(&theirs, &mutation(5)).await.expect("it is written");
    let appended = write(&ours, &mutation(6))
        .await
        .expect("the log says what was remembered is old");

    assert_eq!(deal_of(&appended.fact).revision, 5);
    assert_applied_once(&test.log, [1, 2, 3, 5, 6].into()).await;
}

async fn write_is_refused_by_a_full_lane_and_other_deals_are_not_affected(test: TestLog) {
    let writes = path(&test.log);
    let crowd = (1..=300).map(|number| {
        let writes = &writes;
        async move { write(writes, &mutation(number)).await }
    });

    let of_another_deal = Mutation {
        subject: subject(2),
        ..mutation(999)
    };

    let (crowd, other) = tokio::join!(join_all(crowd), write(&writes, &of_another_deal));
    other.expect("its lane is empty");
    let refused = crowd
        .iter()
        .filter(|written| matches!(written, Err(WriteError::LaneFull)))
        .count();

    let written = crowd.iter().filter(|written| written.is_ok()).count();
    assert_eq!((written, refused), (256, 44));
    assert_eq!(test.log.head().await.expect("the log is up"), 2 + 256);
    write(&writes, &mutation(300))
        .await
        .expect("there is room again");
}

/// The deal's events are these mutations', each once, in an unbroken chain of revisions.
async fn assert_applied_once(log: &EventLog, mutations: HashSet<u128>) {
    let head = log.head().await.expect("the log is up");
    let records = read(&mut tail(log, 0).await, head as usize).await;
    let events: Vec<_> = records[1..].iter().map(event_of).collect();
    let revisions: Vec<_> = events.iter().map(|event| event.fact.revision()).collect();
    assert_eq!(revisions, (1..=events.len() as u64).collect::<Vec<_>>());
    assert_eq!(events.len(), mutations.len(), "none twice");
    let found: HashSet<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(
        found,
        mutations
            .into_iter()
            .map(|number| mutation(number).event_id)
            .collect()
    );
}

fn path(log: &EventLog) -> WritePath {
    WritePath::new(log.clone(), Clock::system())
}

#[tokio::test]
async fn write_never_sets_the_time_of_a_subject_back() {
    let test = TestLog::sqlite().await;
    let at = |micros| WritePath::new(test.log.clone(), Clock::fixed(micros));
    let ahead = at(2_000_000);
    let behind = at(1_000_000);

    write(&ahead, &mutation(1)).await.expect("it is created");
    for number in [2, 3] {
        write(&behind, &mutation(number))
            .await
            .expect("it is renamed");
    }

    for record in read(&mut tail(&test.log, 1).await, 3).await {
        assert_eq!(event_of(&record).time, Timestamp::from_micros(2_000_000));
    }
}

/// The mutation of this number, of deal 1, with a key: the same whenever it is asked for.
fn mutation(number: u128) -> Mutation {
    Mutation {
        subject: subject(1),
        event_id: EventId(Uuid::from_u128(number)),
        key: Some(Fingerprint::of(&number.to_be_bytes())),
        request: Fingerprint::of(b"rename"),
        trace: None,
        begins: number == 1,
    }
}

/// Writes a mutation by the rules of [`rename`].
async fn write(writes: &WritePath, mutation: &Mutation) -> Result<Written, WriteError<Infallible>> {
    writes
        .write(mutation, |last, now| rename(mutation, last, now))
        .await
}

/// Creates the deal if there is none, else names it after the mutation.
fn rename(
    mutation: &Mutation,
    last: Option<&Fact>,
    _now: Timestamp,
) -> Result<Decision, Infallible> {
    let name = format!("by {}", mutation.event_id.0.as_u128());
    let fact = match (last.map(deal_of), mutation.subject) {
        (Some(last), _) => renamed(last, &name, mutation.applied(last.deal.version + 1)),
        (None, Subject::Deal { deal, .. }) => created(deal.0.as_u128(), mutation.applied(1)),
        (None, other) => panic!("{other} is no deal"),
    };

    Ok(Decision::Append(Fact::Deal(fact)))
}
