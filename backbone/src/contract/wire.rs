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

use super::{AccessCause, AccessFact, DealCause, DealFact, Event, Fact, Subject};
use crate::ids::EventId;
use crate::position::Epoch;
use crate::telemetry::TraceContext;
use crate::time::Timestamp;

/// Version of the bodies that this binary writes.
const SCHEMA_VERSION: u32 = 1;

// Header names of the CloudEvents attributes and of our extensions.
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

/// Body of `market.opened`.
#[derive(Serialize, Deserialize)]
struct Opened {
    epoch: Epoch,
}

/// Encodes an event of a market.
pub fn encode(market: &str, event: &Event) -> Message {
    let body = match &event.fact {
        Fact::MarketOpened { epoch } => serde_json::to_vec(&Opened { epoch: *epoch }),
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

/// Decodes a stored message. `subject` is the subject that it was stored under, without the market.
///
/// # Errors
/// [`Undecodable`]. A body that does not match its hash or its subject is corrupt.
pub fn decode(subject: &str, message: &Message) -> Result<Event, Undecodable> {
    let header = |name: &str| {
        message
            .headers
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| corrupt(format!("the header {name} is missing")))
    };

    let event_type = header(TYPE)?;
    let version = header(BODY_VERSION)?;
    let newer = || Undecodable::Newer {
        event_type: event_type.to_owned(),
        version: version.to_owned(),
    };

    // The version comes first: a newer body may be hashed in a different way.
    let number: u32 = version
        .parse()
        .map_err(|_| corrupt(format!("the body's version {version} is not a number")))?;

    if number > SCHEMA_VERSION {
        return Err(newer());
    }

    if header(CONTENT_HASH)? != content_hash(&message.body) {
        return Err(corrupt("the body does not match its hash"));
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

/// Decodes a body; `None` if the type is unknown.
fn decode_fact(event_type: &str, body: &[u8]) -> Result<Option<Fact>, Undecodable> {
    // The cause is in the type alone, so the body's default is replaced here.
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
    // Access bodies name no parties: their subject is the only place where they are.
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
