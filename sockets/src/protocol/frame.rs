//! Texts of the messages that the server sends.
//!
//! Payloads come as rendered JSON and are copied once, into the frame, without being parsed again.

use serde_json::value::RawValue;

/// Text of one websocket message, complete and valid JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(String);

impl Frame {
    /// Returns the message as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Text before the payload in every `next` message of one operation. Built once, when the operation starts, so that a
/// push costs no escaping of the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHeader(Box<str>);

impl NextHeader {
    /// Text after the payload.
    pub const TAIL: &'static str = "}";

    /// Returns the header's text. Header, payload and [`Self::TAIL`], in this order, make a message.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Builds the header of all `next` messages of the operation `id`.
#[must_use]
pub fn next_header(id: &str) -> NextHeader {
    // The payload comes last, so that everything before it is the same in every message of the operation.
    let frame = concat(&["{\"id\":", &quoted(id), ",\"type\":\"next\",\"payload\":"]);
    NextHeader(frame.0.into_boxed_str())
}

/// Builds `error`, which ends an operation. `errors` must be a non-empty JSON array of GraphQL errors.
#[must_use]
pub fn error(id: &str, errors: &RawValue) -> Frame {
    concat(&[
        "{\"id\":",
        &quoted(id),
        ",\"type\":\"error\",\"payload\":",
        errors.get(),
        "}",
    ])
}

/// Builds `complete`: the operation has sent all its results.
#[must_use]
pub fn complete(id: &str) -> Frame {
    concat(&["{\"id\":", &quoted(id), ",\"type\":\"complete\"}"])
}

/// Builds `connection_ack`. `payload` must be a JSON object.
#[must_use]
pub fn connection_ack(payload: Option<&RawValue>) -> Frame {
    bare("connection_ack", payload)
}

/// Builds `ping`. `payload` must be a JSON object.
#[must_use]
pub fn ping(payload: Option<&RawValue>) -> Frame {
    bare("ping", payload)
}

/// Builds `pong`. `payload` must be a JSON object.
#[must_use]
pub fn pong(payload: Option<&RawValue>) -> Frame {
    bare("pong", payload)
}

fn bare(kind: &str, payload: Option<&RawValue>) -> Frame {
    match payload {
        None => concat(&["{\"type\":\"", kind, "\"}"]),
        Some(payload) => concat(&["{\"type\":\"", kind, "\",\"payload\":", payload.get(), "}"]),
    }
}

// Concatenation instead of serde: parts that are valid JSON already are neither parsed nor escaped again.
fn concat(parts: &[&str]) -> Frame {
    Frame(parts.concat())
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a str is always valid JSON")
}
