//! An exported log as text: a header, and one line in JSON for each stored message.
//!
//! A body is kept byte for byte, because its hash is one of the headers: as text where it is UTF-8,
//! and in Base64 otherwise.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::record::{Record, Stored};
use crate::contract::wire::{Headers, Message};
use crate::position::{Epoch, Sequence};

/// Name of the form, which the header begins with.
const FORMAT: &str = "dealwire-log";
/// Version of the form that this binary writes, and the only one that it reads.
const VERSION: u32 = 1;

/// First line of an exported log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportHeader {
    format: String,
    version: u32,
    /// Market whose log was exported.
    pub market: String,
    /// Identity of the log.
    pub epoch: Epoch,
    /// Number of messages, which is also the sequence of the last one.
    pub count: u64,
}

/// One stored message.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sequence: Sequence,
    subject: String,
    headers: Headers,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl ExportHeader {
    pub(super) fn new(market: &str, epoch: Epoch, count: u64) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            market: market.to_owned(),
            epoch,
            count,
        }
    }

    /// Returns the header as a line without its end.
    pub(super) fn encode(&self) -> String {
        serde_json::to_string(self).expect("a header has string keys")
    }

    /// Reads a header.
    pub(super) fn decode(line: &str) -> Result<Self, String> {
        let header: Self = serde_json::from_str(line)
            .map_err(|error| format!("it is not the header of an exported log: {error}"))?;

        if header.format != FORMAT || header.version != VERSION {
            return Err(format!(
                "its format is {} {}, but this binary reads only {FORMAT} {VERSION}",
                header.format, header.version
            ));
        }

        Ok(header)
    }
}

/// Returns a message as a line without its end.
pub(super) fn encode(record: &Record) -> String {
    let text = std::str::from_utf8(&record.message.body).ok();
    let base64 = match text {
        Some(_) => None,
        None => Some(STANDARD.encode(&record.message.body)),
    };

    let line = Line {
        sequence: record.sequence,
        subject: record.subject.clone(),
        headers: record.message.headers.clone(),
        body: text.map(str::to_owned),
        base64,
    };
    serde_json::to_string(&line).expect("a line has string keys")
}

/// Reads the line of a message.
pub(super) fn decode(line: &str) -> Result<Stored, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let body = match (line.body, line.base64) {
        (Some(text), None) => Bytes::from(text),
        (None, Some(base64)) => STANDARD
            .decode(base64)
            .map_err(|error| format!("the body is not Base64: {error}"))?
            .into(),
        _ => return Err("it must have either `body` or `base64`".to_owned()),
    };

    Ok(Stored {
        sequence: line.sequence,
        subject: line.subject,
        message: Message {
            headers: line.headers,
            body,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_read_as_it_was_written() {
        for body in [&b"{\"name\": \"x\"}\n"[..], b"", &[0xff, 0, 1]] {
            let headers = [("ce-id".into(), "a \"b\"".to_owned())];
            let message = Message {
                headers: headers.into(),
                body: Bytes::copy_from_slice(body),
            };
            let stored = Stored {
                sequence: 7,
                subject: "deal.a.b".to_owned(),
                message: message.clone(),
            };

            let line = encode(&stored.decode(&[]));
            assert!(!line.contains('\n'), "{line}");

            let read = decode(&line).expect("it was written here");
            assert_eq!((read.sequence, read.subject.as_str()), (7, "deal.a.b"));
            assert_eq!(read.message, message);
        }
    }

    #[test]
    fn header_of_another_form_is_refused() {
        let header = ExportHeader::new("market", Epoch(5), 3);
        assert_eq!(ExportHeader::decode(&header.encode()), Ok(header.clone()));

        let newer = header.encode().replace("\"version\":1", "\"version\":2");
        let refused = ExportHeader::decode(&newer).expect_err("it is newer");
        assert!(refused.contains("dealwire-log 2"), "{refused}");
        assert!(ExportHeader::decode("{}").is_err());
    }
}
