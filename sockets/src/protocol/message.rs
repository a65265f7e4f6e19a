//! Messages of a client: one text is decoded into one [`Message`], or into the reason why it is malformed.
//!
//! Only the form is checked, and unknown fields are tolerated. Whether a message is allowed now is the state machine's to
//! decide, and whether its GraphQL is valid the executor's.

use std::borrow::Cow;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::OperationId;

/// Extension by which a client names a document that it has sent before.
const PERSISTED_QUERY: &str = "persistedQuery";

/// Payload of a `subscribe`: one GraphQL request, not yet parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscribePayload {
    /// GraphQL document, as text; `None` if the client only names one that the server knows.
    pub query: Option<String>,
    /// Id of a document that the server knows.
    pub document_id: Option<String>,
    /// Name of the operation to execute; needed if the document has several.
    pub operation_name: Option<String>,
    /// Values of the operation's variables; empty if absent or null.
    pub variables: Map<String, Value>,
    /// Protocol extensions of the client; empty if absent or null.
    pub extensions: Map<String, Value>,
}

/// One well-formed message of a client.
#[derive(Debug)]
pub enum Message {
    /// Begins the connection.
    ConnectionInit {
        /// Parameters of the client; `None` if absent or null.
        payload: Option<Map<String, Value>>,
    },
    /// Asks for a pong.
    Ping {
        /// JSON object that the pong repeats.
        payload: Option<Box<RawValue>>,
    },
    /// Answers a ping.
    Pong,
    /// Begins an operation.
    Subscribe {
        /// Id of the operation.
        id: OperationId,
        /// GraphQL request, not yet parsed.
        request: SubscribePayload,
    },
    /// Ends an operation.
    Complete {
        /// Id of the operation.
        id: OperationId,
    },
}

/// Reason why a message is malformed, as sent in the close frame.
pub type Malformed = &'static str;

impl Message {
    /// Decodes one message, whose id may have up to `max_id_bytes` bytes.
    ///
    /// # Errors
    /// The reason why the message is malformed.
    pub fn decode(text: &str, max_id_bytes: usize) -> Result<Self, Malformed> {
        let envelope: Envelope<'_> = object(text, "Invalid message: must be a JSON object")?;
        let kind = string(envelope.kind).ok_or("Invalid message: type must be a string")?;

        match &*kind {
            "connection_init" => Ok(Self::ConnectionInit {
                payload: envelope
                    .payload
                    .map(|raw| {
                        object(
                            raw.get(),
                            "Invalid message: payload must be an object or null",
                        )
                    })
                    .transpose()?,
            }),
            // Payloads of ping are echoed as they came, so they stay JSON text.
            "ping" => Ok(Self::Ping {
                payload: envelope.object_payload()?.map(ToOwned::to_owned),
            }),
            "pong" => envelope.object_payload().map(|_| Self::Pong),
            "subscribe" => Ok(Self::Subscribe {
                id: envelope.id(max_id_bytes)?,
                request: envelope.request()?,
            }),
            "complete" => Ok(Self::Complete {
                id: envelope.id(max_id_bytes)?,
            }),
            _ => Err("Invalid message: unknown type"),
        }
    }
}

/// Parts of a message, still as JSON: a fault can then be reported by the name of its part, and a payload that is echoed
/// keeps its exact text.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRequest<'a> {
    #[serde(borrow)]
    query: Option<&'a RawValue>,
    #[serde(borrow)]
    document_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "doc_id")]
    doc_id: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    operation_name: Option<&'a RawValue>,
    #[serde(borrow)]
    variables: Option<&'a RawValue>,
    #[serde(borrow)]
    extensions: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    fn id(&self, max_bytes: usize) -> Result<OperationId, Malformed> {
        // Bounded, because the server keeps the id and repeats it in every message of the operation.
        match string(self.id) {
            Some(id) if id.len() > max_bytes => Err("Invalid message: id is too long"),
            Some(id) if !id.is_empty() => Ok(id.into()),
            _ => Err("Invalid message: id must be a non-empty string"),
        }
    }

    fn object_payload(&self) -> Result<Option<&'a RawValue>, Malformed> {
        match self.payload {
            Some(raw) if !raw.get().starts_with('{') => {
                Err("Invalid message: payload must be an object or null")
            }
            payload => Ok(payload),
        }
    }

    fn request(&self) -> Result<SubscribePayload, Malformed> {
        let not_an_object = "Invalid message: payload must be an object";
        let raw: RawRequest<'a> = object(self.payload.map_or("", RawValue::get), not_an_object)?;
        let operation_name = match raw.operation_name {
            None => None,
            name => Some(
                string(name)
                    .ok_or("Invalid message: payload.operationName must be a string or null")?,
            ),
        };

        let variables = optional_object(
            raw.variables,
            "Invalid message: payload.variables must be an object or null",
        )?;
        let extensions: Map<String, Value> = optional_object(
            raw.extensions,
            "Invalid message: payload.extensions must be an object or null",
        )?;

        let document_id = raw.document_id();
        let query = match raw.query {
            // Only a document that the server knows needs no text.
            None if document_id.is_some() || extensions.contains_key(PERSISTED_QUERY) => None,
            text => Some(string(text).ok_or("Invalid message: payload.query must be a string")?),
        };

        Ok(SubscribePayload {
            query: query.map(Cow::into_owned),
            document_id: document_id.map(Cow::into_owned),
            operation_name: operation_name.map(Cow::into_owned),
            variables,
            extensions,
        })
    }
}

impl<'a> RawRequest<'a> {
    /// Returns the id of a document under any of its names; older clients have the last two. Anything but a text is
    /// ignored, as unknown fields are.
    fn document_id(&self) -> Option<Cow<'a, str>> {
        let ids = [self.document_id, self.doc_id, self.id];

        ids.into_iter().find_map(string)
    }
}

fn optional_object<T: DeserializeOwned + Default>(
    raw: Option<&RawValue>,
    fault: Malformed,
) -> Result<T, Malformed> {
    raw.map_or_else(|| Ok(T::default()), |raw| object(raw.get(), fault))
}

fn object<'a, T: Deserialize<'a>>(text: &'a str, fault: Malformed) -> Result<T, Malformed> {
    // Checked by hand, because derived deserializers accept an array in place of an object.
    if !text.trim_start().starts_with('{') {
        return Err(fault);
    }
    serde_json::from_str(text).map_err(|_| fault)
}

/// Returns the text of a JSON string, borrowed unless it has escapes; `None` for any other JSON.
fn string(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let text = raw?.get();
    // A borrowed string fails to parse when it has escapes; only then is it copied.
    match serde_json::from_str::<&str>(text) {
        Ok(plain) => Some(Cow::Borrowed(plain)),
        Err(_) => serde_json::from_str::<String>(text).ok().map(Cow::Owned),
    }
}
