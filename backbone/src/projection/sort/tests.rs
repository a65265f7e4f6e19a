//! Table of batches, with the events in them that are dead.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use uuid::Uuid;

use super::{DeadSubjects, Entry, Sorted, sort, subjects};
use crate::contract::wire::{Message, Undecodable};
use crate::contract::{
    AccessCause, AccessFact, Applied, Event, Fact, Fingerprint, Recent, Subject,
};
use crate::event_log::Record;
use crate::ids::{BuyerId, EventId, SellerId};
use crate::time::Timestamp;
use What::{Garbage, Plain, Repair};

/// One event of subject `.0`.
#[derive(Clone, Copy)]
enum What {
    /// An event of this revision.
    Plain(u64),
    /// A repair of this revision.
    Repair(u64),
    /// An event that cannot be decoded.
    Garbage,
}

struct Case {
    story: &'static str,
    /// Subjects and their revisions in the tables.
    revisions: &'static [(u128, u64)],
    /// Subjects that wait for a repair.
    dead: &'static [u128],
    batch: &'static [(u128, What)],
    /// Part of the reason why each event is dead; empty for an event that is applied.
    reasons: &'static [&'static str],
    /// Indexes of the events that settle dead ones.
    repairs: &'static [usize],
}

const JOINS: &str = "an earlier event";

const CASES: &[Case] = &[
    Case {
        story: "a new subject begins at 1 and goes on by one",
        revisions: &[],
        dead: &[],
        batch: &[(1, Plain(1)), (1, Plain(2)), (1, Plain(3))],
        reasons: &["", "", ""],
        repairs: &[],
    },
    Case {
        story: "a known subject goes on where the tables stand",
        revisions: &[(1, 7)],
        dead: &[],
        batch: &[(1, Plain(8)), (1, Plain(9))],
        reasons: &["", ""],
        repairs: &[],
    },
    Case {
        story: "a gap, a repeat and a late beginning are dead",
        revisions: &[(1, 7), (2, 7)],
        dead: &[],
        batch: &[(1, Plain(9)), (2, Plain(7)), (3, Plain(2))],
        reasons: &[
            "is 9, but the subject's last revision is 7",
            "is 7, but the subject's last revision is 7",
            "is 2, but the subject's last revision is 0",
        ],
        repairs: &[],
    },
    Case {
        story: "later events join their dead subject, even the one that was missing; others go on",
        revisions: &[(1, 1), (2, 1)],
        dead: &[],
        batch: &[
            (1, Plain(3)),
            (2, Plain(2)),
            (1, Plain(2)),
            (1, Plain(4)),
            (2, Plain(3)),
        ],
        reasons: &["is 3", "", JOINS, JOINS, ""],
        repairs: &[],
    },
    Case {
        story: "what cannot be read is dead with its reason and takes its subject along",
        revisions: &[(1, 1)],
        dead: &[],
        batch: &[(1, Garbage), (1, Plain(2)), (1, Garbage)],
        reasons: &["no JSON", JOINS, "no JSON"],
        repairs: &[],
    },
    Case {
        story: "a subject that died in an earlier batch stays dead",
        revisions: &[(1, 1)],
        dead: &[1],
        batch: &[(1, Plain(2)), (2, Plain(1))],
        reasons: &[JOINS, ""],
        repairs: &[],
    },
    Case {
        story: "a repair settles its subject, which goes on from the repair's revision",
        revisions: &[(1, 1), (2, 1)],
        dead: &[1, 2],
        batch: &[
            (1, Plain(2)),
            (1, Repair(5)),
            (1, Plain(6)),
            (1, Plain(8)),
            (2, Plain(2)),
        ],
        reasons: &[
            JOINS,
            "",
            "",
            "is 8, but the subject's last revision is 6",
            JOINS,
        ],
        repairs: &[1],
    },
    Case {
        story: "a repair settles what died in the same batch",
        revisions: &[],
        dead: &[],
        batch: &[
            (1, Garbage),
            (1, Repair(2)),
            (1, Plain(3)),
            (1, Garbage),
            (1, Repair(9)),
        ],
        reasons: &["no JSON", "", "", "no JSON", ""],
        repairs: &[1, 4],
    },
    Case {
        story: "a repair of a healthy subject is applied and settles nothing, whatever its revision",
        revisions: &[(1, 7)],
        dead: &[],
        batch: &[(1, Repair(3)), (1, Plain(4))],
        reasons: &["", ""],
        repairs: &[],
    },
];

#[test]
fn sort_treats_every_batch_as_its_story_says() {
    for case in CASES {
        let records = records(case.batch);
        let revisions: HashMap<_, _> = case
            .revisions
            .iter()
            .map(|(number, revision)| (subject(*number), *revision))
            .collect();

        let dead = DeadSubjects {
            waiting: case
                .dead
                .iter()
                .map(|number| subject(*number).to_string())
                .collect(),
            with_gaps: HashSet::new(),
        };

        let sorted = sort(&records, revisions, dead);

        for (index, reason) in case.reasons.iter().enumerate() {
            let found = reason_of(&sorted, records[index].sequence);
            let agrees = if reason.is_empty() {
                found.is_empty()
            } else {
                found.contains(reason)
            };

            assert!(
                agrees,
                "{}: event {index}: {found:?} for {reason:?}",
                case.story
            );
        }

        let repairs: Vec<_> = sorted
            .repairs
            .iter()
            .map(|record| record.sequence as usize - 1)
            .collect();

        assert_eq!(repairs, case.repairs, "{}", case.story);
        assert_eq!(
            order(&sorted),
            (1..=records.len() as u64).collect::<Vec<_>>(),
            "{}",
            case.story
        );
    }
}

#[test]
fn sort_names_the_subject_of_a_dead_event_if_it_can_be_parsed() {
    let mut records = records(&[(1, Garbage), (1, Garbage)]);
    records[1].subject = "deal.what".to_owned();
    let sorted = sort(&records, HashMap::new(), DeadSubjects::default());
    let named: Vec<_> = sorted
        .entries
        .iter()
        .map(|entry| matches!(entry, Entry::Dead { subject, .. } if *subject == Some(self::subject(1))))
        .collect();

    assert_eq!(named, [true, false]);
    assert_eq!(subjects(&records), [subject(1)]);
}

#[test]
fn subjects_of_a_batch_are_named_once() {
    let mut named = subjects(&records(&[(2, Plain(1)), (1, Plain(1)), (2, Garbage)]));
    named.sort_by_key(ToString::to_string);
    assert_eq!(named, [subject(1), subject(2)]);
}

/// Returns the reason why the event at `sequence` is dead; empty if it is not.
fn reason_of(sorted: &Sorted<'_>, sequence: u64) -> String {
    let dead = sorted
        .dead
        .iter()
        .find(|(record, _)| record.sequence == sequence);

    dead.map(|(_, reason)| reason.clone()).unwrap_or_default()
}

/// Returns the sequences of the entries, and checks that exactly those with a reason are dead.
fn order(sorted: &Sorted<'_>) -> Vec<u64> {
    let sequence_of = |entry: &Entry<'_>| {
        let (sequence, dead) = match *entry {
            Entry::Event { sequence, .. } => (sequence, false),
            Entry::Dead { sequence, .. } => (sequence, true),
        };

        assert_eq!(
            !reason_of(sorted, sequence).is_empty(),
            dead,
            "event {sequence}"
        );

        sequence
    };

    sorted.entries.iter().map(sequence_of).collect()
}

fn subject(number: u128) -> Subject {
    Subject::Access {
        seller: SellerId(Uuid::from_u128(99)),
        buyer: BuyerId(Uuid::from_u128(number)),
    }
}

/// Builds the records of a batch, at sequences 1, 2, 3 …
fn records(batch: &[(u128, What)]) -> Vec<Record> {
    batch
        .iter()
        .zip(1..)
        .map(|((number, what), sequence)| record(sequence, *number, *what))
        .collect()
}

fn record(sequence: u64, number: u128, what: What) -> Record {
    let event = match what {
        Plain(revision) => Ok(event(number, AccessCause::Granted, revision)),
        Repair(revision) => Ok(event(number, AccessCause::Repaired, revision)),
        Garbage => Err(Undecodable::Corrupt("no JSON".to_owned())),
    };

    let message = Message {
        headers: std::collections::BTreeMap::new(),
        body: Bytes::new(),
    };
    Record {
        sequence,
        subject: subject(number).to_string(),
        event,
        message,
    }
}

fn event(number: u128, cause: AccessCause, revision: u64) -> Event {
    let id = EventId(Uuid::from_u128(number << 64 | u128::from(revision)));
    let applied = Applied {
        event: id,
        key: None,
        request: Fingerprint::of(b"request"),
        version: 1,
    };

    let since = Timestamp::from_micros(0);
    let fact = AccessFact {
        cause,
        revision,
        granted: true,
        since,
        recent: Recent::first(applied),
        mutation: None,
        operator: None,
    };
    Event {
        id,
        subject: subject(number),
        time: since,
        trace: None,
        fact: Fact::Access(fact),
    }
}
