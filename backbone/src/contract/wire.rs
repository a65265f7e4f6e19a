//! Events as messages: CloudEvents 1.0 in binary mode (attributes as `ce-` headers, NATS protocol binding 1.0.2)
//! with a JSON body.
//!
//! Every version ever released decodes here for ever; a type or a version newer than this binary is not an error of
//! the event, it is left to a newer binary.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{AccessCause, AccessFact, DealCause, DealFact, Event, Fact, Subject};
use crate::ids::EventId;
use crate::position::Epoch;
use crate::telemetry::TraceContext;
use crate::time::Timestamp;

/// The version of the bodies that this binary writes.
const SCHEMA_VERSION: u32 = 1;

/// CloudEvents' attributes and our extensions, by their header names.
const ID: &str = "ce-id";
const TYPE: &str = "ce-type";
const TIME: &str = "ce-time";
const SOURCE: &str = "ce-source";
const SUBJECT: &str = "ce-subject";
const SPEC_VERSION: &str = "ce-specversion";
const BODY_VERSION: &str = "ce-schemaversion";
const CONTENT_HASH: &str = "ce-contenthash";
const TRACE_PARENT: &str = "ce-traceparent";
const CONTENT_TYPE: &str = "content-type";

/// The headers of a message, by name; ours have names that never change.
pub type Headers = BTreeMap<Cow<'static, str>, String>;

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// CloudEvents attributes.
    pub headers: Headers,
    /// JSON.
    pub body: Bytes,
}

/// Why a stored message is no event for this binary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// A newer binary wrote it and will understand it.
    #[error("{event_type} version {version} is newer than this binary knows")]
    Newer {
        /// Its CloudEvents type.
        event_type: String,
        /// Its body's version.
        version: String,
    },
    /// Nobody will understand it.
    #[error("{0}")]
    Corrupt(String),
}

/// The body of `market.opened`.
#[derive(Serialize, Deserialize)]
struct Opened {
    epoch: Epoch,
}

/// Writes an event of a market.
pub fn encode(market: &str, event: &Event) -> Message {
    let body = match &event.fact {
        Fact::MarketOpened { epoch } => serde_json::to_vec(&Opened { epoch: *epoch }),
        Fact::Deal(fact) => serde_json::to_vec(fact),
        Fact::Access(fact) => serde_json::to_vec(fact),
    };
    let body = Bytes::from(body.expect("event bodies have string keys and no failing serializer"));
    let headers = [
        (SPEC_VERSION, "1.0".to_owned()),
        (ID, event.id.to_string()),
        (SOURCE, format!("/dealwire/{market}")),
        (TYPE, event.fact.event_type().to_owned()),
        (SUBJECT, event.subject.to_string()),
        (TIME, event.time.to_string()),
        (BODY_VERSION, SCHEMA_VERSION.to_string()),
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

/// Reads a stored message of this subject (without its market).
///
/// # Errors
/// [`Undecodable`]; a body that does not match its hash, or its subject, is corrupt.
pub fn decode(subject: &str, message: &Message) -> Result<Event, Undecodable> {
    let header = |name: &str| {
        message
            .headers
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| corrupt(format!("no header {name}")))
    };
    let (event_type, version) = (header(TYPE)?, header(BODY_VERSION)?);
    let newer = || Undecodable::Newer {
        event_type: event_type.to_owned(),
        version: version.to_owned(),
    };
    if version
        .parse::<u32>()
        .map_err(|_| corrupt("the body's version is no number"))?
        > SCHEMA_VERSION
    {
        return Err(newer());
    }
    if header(CONTENT_HASH)? != content_hash(&message.body) {
        return Err(corrupt("the body does not match its hash"));
    }
    let fact = decode_fact(event_type, &message.body)?.ok_or_else(newer)?;
    let subject = Subject::parse(subject).ok_or_else(|| corrupt("unknown subject"))?;
    let event = Event {
        id: EventId(
            header(ID)?
                .parse()
                .map_err(|_| corrupt("the id is no UUID"))?,
        ),
        subject,
        time: Timestamp::parse(header(TIME)?).ok_or_else(|| corrupt("the time is not RFC 3339"))?,
        trace: message
            .headers
            .get(TRACE_PARENT)
            .and_then(|text| text.parse::<TraceContext>().ok()),
        fact,
    };
    belongs_to_subject(&event)
        .then_some(event)
        .ok_or_else(|| corrupt("the body is of another subject"))
}

/// `None` when the type is unknown.
fn decode_fact(event_type: &str, body: &[u8]) -> Result<Option<Fact>, Undecodable> {
    let deal = |cause| json::<DealFact>(body).map(|fact| Fact::Deal(DealFact { cause, ..fact }));
    let access =
        |cause| json::<AccessFact>(body).map(|fact| Fact::Access(AccessFact { cause, ..fact }));
    Ok(Some(match event_type {
        "market.opened" => Fact::MarketOpened {
            epoch: json::<Opened>(body)?.epoch,
        },
        "deal.created" => deal(DealCause::Created)?,
        "deal.updated" => deal(DealCause::Updated)?,
        "deal.repaired" => deal(DealCause::Repaired)?,
        "access.granted" => access(AccessCause::Granted)?,
        "access.revoked" => access(AccessCause::Revoked)?,
        "access.repaired" => access(AccessCause::Repaired)?,
        _ => return Ok(None),
    }))
}

fn belongs_to_subject(event: &Event) -> bool {
    match (&event.fact, event.subject) {
        (Fact::MarketOpened { .. }, Subject::Opened)
        | (Fact::Access(_), Subject::Access { .. }) => true,
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
