//! Messages read from the stream's leader as they are stored, whatever their bytes.
//!
//! The client library refuses headers and subjects that are not UTF-8, and ends the connection when
//! one is delivered to a consumer. A message read here is only ever a value: what is not UTF-8 is
//! replaced, and the event counts as one that cannot be decoded.

use std::borrow::Cow;

use async_nats::jetstream::Context;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::contract::wire::{Headers, Message};
use crate::event_log::record::Stored;
use crate::position::Sequence;

/// Choice of a message, as `$JS.API.STREAM.MSG.GET` takes it.
#[derive(Clone, Copy, Default, Serialize)]
pub(super) struct Wanted<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<Sequence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_by_subj: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_by_subj: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// The message at a sequence.
    pub(super) fn at(sequence: Sequence) -> Self {
        Self {
            seq: Some(sequence),
            ..Self::default()
        }
    }

    /// The newest message of a subject.
    pub(super) fn last(subject: &'a str) -> Self {
        Self {
            last_by_subj: Some(subject),
            ..Self::default()
        }
    }

    /// The first message of a subject, which may contain wildcards, after a sequence.
    pub(super) fn next(subject: &'a str, after: Sequence) -> Self {
        Self {
            seq: Some(after + 1),
            next_by_subj: Some(subject),
            ..Self::default()
        }
    }
}

#[derive(Deserialize)]
struct Found {
    message: RawMessage,
}

/// A message as the server answers it, headers and body in Base64.
#[derive(Deserialize)]
struct RawMessage {
    subject: String,
    seq: Sequence,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
}

/// Reads one message of the stream `name`; `None` if there is no such message.
pub(super) async fn read(
    context: &Context,
    name: &str,
    wanted: Wanted<'_>,
) -> Result<Option<Stored>, Error> {
    // A direct get would be answered by any replica, which may not have the newest events yet.
    let answer: Response<Found> = context
        .request(format!("STREAM.MSG.GET.{name}"), &wanted)
        .await
        .map_err(unavailable)?;

    let message = match answer {
        Response::Ok(Found { message }) => message,
        Response::Err { error } if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => {
            return Ok(None);
        }
        Response::Err { error } => return Err(unavailable(error)),
    };

    let headers = STANDARD.decode(message.hdrs).map_err(unavailable)?;
    let body = STANDARD.decode(message.data).map_err(unavailable)?;
    Ok(Some(Stored {
        sequence: message.seq,
        subject: message.subject,
        message: Message {
            headers: headers_of(&headers),
            body: body.into(),
        },
    }))
}

fn unavailable(error: impl std::fmt::Display) -> Error {
    Error::unavailable("event log", error)
}

/// Parses the headers of a message, without those of the server and the write path.
fn headers_of(bytes: &[u8]) -> Headers {
    let text = String::from_utf8_lossy(bytes);
    let mut headers = Headers::new();

    // The first line is the version of the format.
    for line in text.split("\r\n").skip(1) {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };

        if !name.starts_with("Nats-") {
            // Of several values the first counts, as in a message that a consumer delivers.
            headers
                .entry(Cow::Owned(name.to_owned()))
                .or_insert_with(|| value.trim().to_owned());
        }
    }

    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_whatever_their_bytes() {
        let headers = headers_of(
            b"NATS/1.0\r\nce-id: 7\r\nNats-Msg-Id: 7\r\nce-bad: \xff\xfe\r\nno colon\r\nce-id: 8\r\n\r\n",
        );

        let expected = [("ce-bad", "\u{fffd}\u{fffd}"), ("ce-id", "7")]
            .map(|(name, value)| (Cow::Borrowed(name), value.to_owned()));

        assert_eq!(headers, Headers::from(expected));
        assert!(headers_of(b"").is_empty());
    }
}
