//! The event contract on the wire: golden files of every type and version ever released, and what
//! is no event.

mod events;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use backbone::contract::wire::{self, Headers, Message, Undecodable};
use backbone::contract::{
    AccessCause, AccessFact, DealCause, DealFact, DecisionKind, Event, Fact, Subject,
};
use backbone::ids::BuyerId;
use backbone::money::Currency;
use backbone::position::Epoch;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::deals::{SELLER, subject};
use events::one_of_each_type;

/// The epoch of the log that all events are of.
const EPOCH: Epoch = Epoch(i64::MAX);
/// The version of the bodies that this binary writes.
const CURRENT: u32 = 1;

/// One stored message. The body stands on one line, as its hash is over its very bytes.
#[derive(Deserialize)]
struct Golden {
    subject: String,
    headers: Headers,
    body: Box<RawValue>,
}

#[test]
fn golden_files_decode_to_the_events_they_were_made_from() {
    for event in one_of_each_type() {
        let (subject, stored) = read(&golden_file(&event, CURRENT));
        assert_eq!(subject, event.subject.to_string());
        assert_eq!(
            wire::decode(&subject, &stored, &[EPOCH]).as_ref(),
            Ok(&event),
            "{}",
            event.fact.event_type()
        );
    }
}

#[test]
fn golden_files_of_earlier_releases_decode_to_the_same_events() {
    for event in one_of_each_type() {
        let file = golden_folder()
            .join("0.1.0")
            .join(golden_file(&event, 1).file_name().expect("it is a file"));
        if !file.exists() {
            continue;
        }

        let (subject, stored) = read(&file);
        let decoded = wire::decode(&subject, &stored, &[EPOCH]).expect("it was released");
        assert_eq!(decoded, as_of_0_1_0(event), "{}", file.display());
        if let Some(recent) = decoded.fact.recent() {
            assert_eq!(decoded.fact.mutation(), recent.latest.last());
        }
    }
}

/// The event without what version 0.1.0 did not write.
fn as_of_0_1_0(event: Event) -> Event {
    let fact = match event.fact {
        Fact::Deal(fact) => Fact::Deal(DealFact {
            mutation: None,
            operator: None,
            ..fact
        }),
        Fact::Access(fact) => Fact::Access(AccessFact {
            mutation: None,
            operator: None,
            ..fact
        }),
        other => other,
    };

    Event { fact, ..event }
}

#[test]
fn golden_files_of_the_current_version_are_what_it_encodes_byte_for_byte() {
    for event in one_of_each_type() {
        let (_, stored) = read(&golden_file(&event, CURRENT));
        let encoded = wire::encode("market", EPOCH, &event);
        assert_eq!(
            encoded.headers,
            stored.headers,
            "{}",
            event.fact.event_type()
        );

        assert_eq!(
            text(&encoded.body),
            text(&stored.body),
            "{}",
            event.fact.event_type()
        );
    }
}

#[test]
fn golden_files_exist_for_every_type_and_all_decode() {
    let files: BTreeSet<PathBuf> = fs::read_dir(golden_folder())
        .expect("the golden files are there")
        .map(|file| file.expect("the folder can be read").path())
        .collect();

    for file in files.iter().filter(|file| file.is_file()) {
        let (subject, stored) = read(file);
        wire::decode(&subject, &stored, &[EPOCH])
            .unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    }

    let numbers: BTreeSet<usize> = one_of_each_type()
        .iter()
        .map(|event| number(&event.fact))
        .collect();

    assert_eq!(
        numbers,
        (0..TYPES).collect(),
        "the list has an event of every type"
    );

    for event in one_of_each_type() {
        assert!(
            files.contains(&golden_file(&event, CURRENT)),
            "{}",
            event.fact.event_type()
        );
    }
}

/// How many types there are; see [`number`].
const TYPES: usize = 10;

/// Numbers the types: a new one does not compile here until it has its number, and so its golden
/// file.
fn number(fact: &Fact) -> usize {
    match fact {
        Fact::MarketOpened { .. } => 0,
        Fact::Deal(fact) => match fact.cause {
            DealCause::Created => 1,
            DealCause::Updated => 2,
            DealCause::Repaired => 3,
        },
        Fact::Access(fact) => match fact.cause {
            AccessCause::Granted => 4,
            AccessCause::Revoked => 5,
            AccessCause::Repaired => 6,
        },
        Fact::MarketReopened { .. } => 7,
        Fact::Decision(fact) => match fact.kind {
            DecisionKind::Skip => 8,
            DecisionKind::Discard => 9,
        },
    }
}

#[test]
fn decoding_reports_a_changed_body_as_corrupt() {
    let (subject, mut message) = an_update();
    message.body = text(&message.body).replace("deal 7", "deal 8").into();
    assert_corrupt(&subject, &message, "hash");
}

#[test]
fn decoding_reports_a_body_that_is_not_json_as_corrupt() {
    let (subject, mut message) = an_update();
    let cut = message.body.slice(..message.body.len() - 1);
    set_body(&mut message, cut);
    assert_corrupt(&subject, &message, "EOF");
    set_body(&mut message, Bytes::from_static(b"{}"));
    assert_corrupt(&subject, &message, "missing field");
}

#[test]
fn decoding_reports_a_missing_header_as_corrupt() {
    for name in [
        "ce-id",
        "ce-type",
        "ce-time",
        "ce-schemaversion",
        "ce-contenthash",
    ] {
        let (subject, mut message) = an_update();
        message.headers.remove(name).expect("the header was there");
        assert_corrupt(&subject, &message, name);
    }

    for (name, value, reason) in [
        ("ce-id", "seven", "UUID"),
        ("ce-time", "yesterday", "RFC 3339"),
        ("ce-schemaversion", "one", "version"),
    ] {
        let (subject, mut message) = an_update();
        message.headers.insert(name.into(), value.to_owned());
        assert_corrupt(&subject, &message, reason);
    }
}

#[test]
fn decoding_reports_a_body_of_a_different_subject_as_corrupt() {
    let (_, message) = an_update();
    let access = Subject::Access {
        seller: SELLER,
        buyer: BuyerId(Uuid::from_u128(7)),
    };

    for other in [subject(8), access, Subject::Opened] {
        let other = other.to_string();
        assert_corrupt(&other, &message, "written for a different subject");
        let named = named_for(&message, &other);
        assert_corrupt(&other, &named, "belongs to a different subject");
    }

    let named = named_for(&message, "deal.not.ids");
    assert_corrupt("deal.not.ids", &named, "cannot be parsed");
}

/// The message as it would be if it had been written for another subject.
fn named_for(message: &Message, subject: &str) -> Message {
    let mut message = message.clone();
    message
        .headers
        .insert("ce-subject".into(), subject.to_owned());
    message
}

#[test]
fn decoding_leaves_a_newer_version_or_type_to_a_newer_binary() {
    let (subject, mut message) = an_update();
    message
        .headers
        .insert("ce-schemaversion".into(), "2".to_owned());

    let version_2 = Undecodable::Newer {
        event_type: "deal.updated".to_owned(),
        version: "2".to_owned(),
    };

    assert_eq!(wire::decode(&subject, &message, &[EPOCH]), Err(version_2));

    let (_, mut message) = an_update();
    message
        .headers
        .insert("ce-type".into(), "bid.placed".to_owned());

    let unknown = Undecodable::Newer {
        event_type: "bid.placed".to_owned(),
        version: "1".to_owned(),
    };
    // On a subject that this binary does not know either.
    message
        .headers
        .insert("ce-subject".into(), "bid.1.2".to_owned());
    assert_eq!(wire::decode("bid.1.2", &message, &[EPOCH]), Err(unknown));
}

#[test]
fn decoding_takes_nothing_for_newer_that_this_market_has_not_written() {
    let (subject, message) = an_update();
    let newer_with = |name: &'static str, value: Option<&str>| {
        let mut message = message.clone();
        message
            .headers
            .insert("ce-schemaversion".into(), "2".to_owned());
        match value {
            Some(value) => message.headers.insert(name.into(), value.to_owned()),
            None => message.headers.remove(name),
        };
        message
    };

    let foreign = [
        (
            newer_with("ce-epoch", None),
            "does not name an epoch of this log",
        ),
        (newer_with("ce-epoch", Some("7")), "the log of epoch 7"),
        (newer_with("ce-contenthash", Some("00")), "hash"),
        (
            newer_with("ce-subject", Some("deal.1.2")),
            "different subject",
        ),
    ];

    for (message, reason) in foreign {
        assert_corrupt(&subject, &message, reason);
    }
}

#[test]
fn decoding_refuses_what_tables_cannot_hold() {
    let (subject, message) = an_update();
    let body = text(&message.body).to_owned();
    for (from, to, reason) in [
        ("\"name\":\"deal 7.2\"", "\"name\":\"deal\\u0000\"", "NUL"),
        ("\"totalPrice\":100", "\"totalPrice\":-1", "amount"),
        (
            "\"totalPrice\":100",
            "\"totalPrice\":9007199254740992",
            "amount",
        ),
        ("\"version\":2,", "\"version\":3000000000,", "version"),
    ] {
        let changed = body.replacen(from, to, 1);
        assert_ne!(changed, body, "{from} is in {body}");
        let mut message = message.clone();
        set_body(&mut message, Bytes::from(changed));
        assert_corrupt(&subject, &message, reason);
    }
}

#[test]
fn decoding_knows_currencies_that_no_deal_is_created_in() {
    let (subject, mut message) = an_update();
    let body = text(&message.body).replacen("\"GBP\"", "\"XQZ\"", 1);
    set_body(&mut message, Bytes::from(body));

    let event = wire::decode(&subject, &message, &[EPOCH]).expect("the code was valid once");
    assert_eq!(
        crate::deals::deal_of(&event.fact).deal.currency.code(),
        "XQZ"
    );
    assert!("XQZ".parse::<Currency>().is_err());
}

#[test]
fn decoding_drops_a_trace_that_cannot_be_parsed() {
    let (subject, mut message) = an_update();
    message
        .headers
        .insert("ce-traceparent".into(), "nonsense".to_owned());

    assert_eq!(
        wire::decode(&subject, &message, &[EPOCH])
            .expect("the event is fine")
            .trace,
        None
    );
}

fn an_update() -> (String, Message) {
    let event = crate::deals::event(7, 2);
    (
        event.subject.to_string(),
        wire::encode("market", EPOCH, &event),
    )
}

fn set_body(message: &mut Message, body: Bytes) {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(&body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();

    message.headers.insert("ce-contenthash".into(), hash);
    message.body = body;
}

fn assert_corrupt(subject: &str, message: &Message, reason: &str) {
    match wire::decode(subject, message, &[EPOCH]) {
        Err(Undecodable::Corrupt(why)) => {
            assert!(why.contains(reason), "{why:?} does not say {reason:?}")
        }
        other => panic!("not corrupt: {other:?}"),
    }
}

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn golden_file(event: &Event, version: u32) -> PathBuf {
    golden_folder().join(format!("{}.v{version}.json", event.fact.event_type()))
}

fn read(file: &Path) -> (String, Message) {
    let golden = fs::read_to_string(file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    let golden: Golden =
        serde_json::from_str(&golden).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    let body = Bytes::from(golden.body.get().to_owned());
    (
        golden.subject,
        Message {
            headers: golden.headers,
            body,
        },
    )
}

fn text(body: &[u8]) -> &str {
    std::str::from_utf8(body).expect("JSON is UTF-8")
}
