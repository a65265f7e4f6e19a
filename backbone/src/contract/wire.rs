//! Events as messages: CloudEvents 1.0 in binary mode, with attributes as `ce-` headers (NATS
//! protocol binding 1.0.2) and a JSON body.
//!
//! Every version that was ever released can be decoded. A type or version newer than this binary is
//! not an error of the event: a newer binary has to read it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    AccessCause, AccessFact, DealCause, DealFact, DecisionKind, Event, EventDecision, Fact, Subject,
};
use crate::ids::EventId;
use crate::position::Epoch;
use crate::telemetry::TraceContext;
use crate::time::Timestamp;

/// Version of the bodies that this binary writes.
const SCHEMA_VERSION: u32 = 1;

// Header names of the CloudEvents attributes and of our extensions.
pub(crate) const ID: &str = "ce-id";
const TYPE: &str = "ce-type";
const TIME: &str = "ce-time";
const SOURCE: &str = "ce-source";
const SUBJECT: &str = "ce-subject";
const SPEC_VERSION: &str = "ce-specversion";
const BODY_VERSION: &str = "ce-schemaversion";
const CONTENT_HASH: &str = "ce-contenthash";
const EPOCH: &str = "ce-epoch";
const TRACE_PARENT: &str = "ce-traceparent";
const CONTENT_TYPE: &str = "content-type";

/// Headers of a message by name. Those of this project are constants.
pub type Headers = BTreeMap<Cow<'static, str>, String>;

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// CloudEvents attributes.
    pub headers: Headers,
    /// Body in JSON.
    pub body: Bytes,
}

/// Reason why a stored message cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// A newer binary wrote the event and can decode it.
    #[error("{event_type} version {version} is newer than this binary knows")]
    Newer {
        /// CloudEvents type of the event.
        event_type: String,
        /// Version of the body.
        version: String,
    },
    /// No version of this project can decode the message.
    #[error("{0}")]
    Corrupt(String),
}

/// Body of `market.opened` and `market.reopened`.
#[derive(Serialize, Deserialize)]
struct Opened {
    epoch: Epoch,
}

/// Encodes an event of a market whose log has this epoch.
pub fn encode(market: &str, epoch: Epoch, event: &Event) -> Message {
    let body = match &event.fact {
        Fact::MarketOpened { epoch } | Fact::MarketReopened { epoch } => {
            serde_json::to_vec(&Opened { epoch: *epoch })
        }
        Fact::Decision(fact) => serde_json::to_vec(fact),
        Fact::Deal(fact) => serde_json::to_vec(fact),
        Fact::Access(fact) => serde_json::to_vec(fact),
    };
    // Hashed and stored as the same bytes, hence encoded only once.
    let body = Bytes::from(body.expect("event bodies have string keys and no failing serializer"));

    let headers = [
        (SPEC_VERSION, "1.0".to_owned()),
        (ID, event.id.to_string()),
        (SOURCE, format!("/dealwire/{market}")),
        (TYPE, event.fact.event_type().to_owned()),
        (SUBJECT, event.subject.to_string()),
        (TIME, event.time.to_string()),
        (BODY_VERSION, SCHEMA_VERSION.to_string()),
        (EPOCH, epoch.0.to_string()),
        (CONTENT_HASH, content_hash(&body)),
        (CONTENT_TYPE, "application/json".to_owned()),
    ];

    let trace = event
        .trace
        .as_ref()
        .map(|trace| (TRACE_PARENT, trace.to_string()));

    let headers = headers
        .into_iter()
        .chain(trace)
        .map(|(name, value)| (name.into(), value))
        .collect();

    Message { headers, body }
}

/// Decodes a message that is stored under `subject`, without the market, in a log with these epochs.
///
/// # Errors
/// [`Undecodable`]. A body that does not match its hash, and a message of another subject or log,
/// are corrupt, whatever version they claim: only what this market's own newer binary has written
/// may make readers wait for one.
pub fn decode(subject: &str, message: &Message, epochs: &[Epoch]) -> Result<Event, Undecodable> {
    let header = |name| header(message, name);
    if header(CONTENT_HASH)? != content_hash(&message.body) {
        return Err(corrupt("the body does not match its hash"));
    }
    if header(SUBJECT)? != subject {
        return Err(corrupt("it was written for a different subject"));
    }

    let is_own = is_of_log(message, epochs)?;
    let event_type = header(TYPE)?;
    let version = header(BODY_VERSION)?;
    let newer = || match is_own {
        true => Undecodable::Newer {
            event_type: event_type.to_owned(),
            version: version.to_owned(),
        },
        false => corrupt(format!(
            "{event_type} version {version} is unknown, and the event does not name an epoch of this log"
        )),
    };

    let number: u32 = version
        .parse()
        .map_err(|_| corrupt(format!("the body's version {version} is not a number")))?;

    if number > SCHEMA_VERSION {
        return Err(newer());
    }

    let fact = decode_fact(event_type, &message.body)?.ok_or_else(newer)?;
    let subject = Subject::parse(subject)
        .ok_or_else(|| corrupt(format!("the subject {subject} cannot be parsed")))?;

    let id = header(ID)?
        .parse()
        .map_err(|_| corrupt("the id is not a UUID"))?;

    let time = Timestamp::parse(header(TIME)?)
        .ok_or_else(|| corrupt("the time is not in RFC 3339 format"))?;

    let event = Event {
        id: EventId(id),
        subject,
        time,
        // A trace context that cannot be parsed is no reason to lose an event.
        trace: message
            .headers
            .get(TRACE_PARENT)
            .and_then(|text| text.parse::<TraceContext>().ok()),
        fact,
    };

    belongs_to_subject(&event)
        .then_some(event)
        .ok_or_else(|| corrupt("the body belongs to a different subject"))
}

fn header<'a>(message: &'a Message, name: &str) -> Result<&'a str, Undecodable> {
    message
        .headers
        .get(name)
        .map(String::as_str)
        .ok_or_else(|| corrupt(format!("the header {name} is missing")))
}

/// Returns whether a message names an epoch of the log. Those of version 0.1.0 name none.
fn is_of_log(message: &Message, epochs: &[Epoch]) -> Result<bool, Undecodable> {
    let Some(text) = message.headers.get(EPOCH) else {
        return Ok(false);
    };

    // The event that opens a log is read before its epoch is known.
    let is_own = text
        .parse()
        .is_ok_and(|epoch| epochs.is_empty() || epochs.contains(&Epoch(epoch)));

    is_own
        .then_some(true)
        .ok_or_else(|| corrupt(format!("it was written for the log of epoch {text}")))
}

/// Decodes a body; `None` if the type is unknown.
fn decode_fact(event_type: &str, body: &[u8]) -> Result<Option<Fact>, Undecodable> {
    // The cause is in the type alone, so the body's default is replaced here.
    let deal = |cause| {
        let fact = json::<DealFact>(body)?;
        fit_for_tables(&fact)?;
        Ok(Fact::Deal(DealFact { cause, ..fact }))
    };
    let access =
        |cause| json::<AccessFact>(body).map(|fact| Fact::Access(AccessFact { cause, ..fact }));

    let decision = |kind| {
        json::<EventDecision>(body).map(|fact| Fact::Decision(EventDecision { kind, ..fact }))
    };

    Ok(Some(match event_type {
        "market.opened" => Fact::MarketOpened {
            epoch: json::<Opened>(body)?.epoch,
        },
        "market.reopened" => Fact::MarketReopened {
            epoch: json::<Opened>(body)?.epoch,
        },
        "event.skipped" => decision(DecisionKind::Skip)?,
        "event.discarded" => decision(DecisionKind::Discard)?,
        "deal.created" => deal(DealCause::Created)?,
        "deal.updated" => deal(DealCause::Updated)?,
        "deal.repaired" => deal(DealCause::Repaired)?,
        "access.granted" => access(AccessCause::Granted)?,
        "access.revoked" => access(AccessCause::Revoked)?,
        "access.repaired" => access(AccessCause::Repaired)?,
        _ => return Ok(None),
    }))
}

/// Refuses what the tables of some engine cannot hold. The seller's rules never let it through, but
/// a message of another origin would stop every projection.
fn fit_for_tables(fact: &DealFact) -> Result<(), Undecodable> {
    let deal = &fact.deal;
    let mut texts = deal.items.iter().map(|item| &item.name).chain([&deal.name]);
    if texts.any(|text| text.contains('\0')) {
        return Err(corrupt("a name contains the character NUL"));
    }
    if i32::try_from(deal.version).is_err() {
        return Err(corrupt(format!(
            "the version {} is too large",
            deal.version
        )));
    }
    if i64::try_from(fact.revision).is_err() {
        return Err(corrupt(format!(
            "the revision {} is too large",
            fact.revision
        )));
    }

    Ok(())
}

fn belongs_to_subject(event: &Event) -> bool {
    // Access bodies name no parties: their subject is the only place where they are.
    match (&event.fact, event.subject) {
        (Fact::MarketOpened { .. } | Fact::MarketReopened { .. }, Subject::Opened)
        | (Fact::Access(_), Subject::Access { .. }) => true,
        (Fact::Decision(fact), Subject::Decision { sequence }) => fact.sequence == sequence,
        (Fact::Deal(fact), Subject::Deal { seller, deal }) => {
            fact.deal.id == deal && fact.deal.seller_id == seller
        }
        _ => false,
    }
}

fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Undecodable> {
    serde_json::from_slice(body).map_err(|error| corrupt(error.to_string()))
}

fn corrupt(reason: impl Into<String>) -> Undecodable {
    Undecodable::Corrupt(reason.into())
}

fn content_hash(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}
