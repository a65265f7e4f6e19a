//! The text of every message the server sends.
//!
//! Payloads come as JSON that is already rendered and are copied once, into the frame. Refuses to look inside them.

use super::RawJson;

/// The text of one websocket message, complete and valid JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(String);

impl Frame {
    /// The message as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The message as text, without another copy.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// What comes before the payload in every `next` message of one operation: made once, when the operation starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHeader(Box<str>);

impl NextHeader {
    /// What comes after the payload.
    pub const TAIL: &'static str = "}";

    /// The header's text. Header, payload and [`Self::TAIL`] in this order make a message.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One `next` message around a payload that many operations share. `payload` is a rendered execution result; one
    /// allocation of the exact size, one copy.
    #[must_use]
    pub fn frame(&self, payload: &str) -> Frame {
        concat(&[&self.0, payload, Self::TAIL])
    }
}

/// The header of all `next` messages of the operation `id`.
#[must_use]
pub fn next_header(id: &str) -> NextHeader {
    let frame = concat(&["{\"id\":", &quoted(id), ",\"type\":\"next\",\"payload\":"]);
    NextHeader(frame.into_string().into_boxed_str())
}

/// `error`: the operation ended before or instead of a result. `errors` is a rendered, non-empty array of GraphQL errors.
#[must_use]
pub fn error(id: &str, errors: &RawJson) -> Frame {
    concat(&[
        "{\"id\":",
        &quoted(id),
        ",\"type\":\"error\",\"payload\":",
        errors.get(),
        "}",
    ])
}

/// `complete`: the operation has sent all it will send.
#[must_use]
pub fn complete(id: &str) -> Frame {
    concat(&["{\"id\":", &quoted(id), ",\"type\":\"complete\"}"])
}

/// `connection_ack`, with a payload that is an object.
#[must_use]
pub fn connection_ack(payload: Option<&RawJson>) -> Frame {
    bare("connection_ack", payload)
}

/// `ping`, with a payload that is an object.
#[must_use]
pub fn ping(payload: Option<&RawJson>) -> Frame {
    bare("ping", payload)
}

/// `pong`, with a payload that is an object.
#[must_use]
pub fn pong(payload: Option<&RawJson>) -> Frame {
    bare("pong", payload)
}

fn bare(kind: &str, payload: Option<&RawJson>) -> Frame {
    match payload {
        None => concat(&["{\"type\":\"", kind, "\"}"]),
        Some(payload) => concat(&["{\"type\":\"", kind, "\",\"payload\":", payload.get(), "}"]),
    }
}

fn concat(parts: &[&str]) -> Frame {
    Frame(parts.concat())
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a str is always valid JSON")
}
