//! What a client may say: one text message decoded into one [`Message`], or the reason why it is malformed.
//!
//! Checks shapes only and tolerates fields it does not know. Refuses to know the state of the connection and to look
//! into GraphQL.

use std::borrow::Cow;

use async_graphql::Variables;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::RawJson;

/// The payload of a `subscribe`: one GraphQL request, not yet parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscribePayload {
    /// The GraphQL document as text.
    pub query: String,
    /// Which operation of the document.
    pub operation_name: Option<String>,
    /// Values of the operation's variables; empty when absent or null.
    pub variables: Variables,
    /// Protocol extensions of the client; empty when absent or null.
    pub extensions: Map<String, Value>,
}

/// One well-formed message of a client, borrowing from its text what is only handed back.
#[derive(Debug)]
pub(super) enum Message<'a> {
    ConnectionInit {
        payload: Option<Map<String, Value>>,
    },
    Ping {
        payload: Option<&'a RawJson>,
    },
    Pong,
    Subscribe {
        id: Cow<'a, str>,
        request: SubscribePayload,
    },
    Complete {
        id: Cow<'a, str>,
    },
}

/// Why a message is malformed, fit for a close frame.
pub(super) type Malformed = &'static str;

impl<'a> Message<'a> {
    /// Decodes one message whose id may have up to `max_id_bytes` bytes.
    pub(super) fn decode(text: &'a str, max_id_bytes: usize) -> Result<Self, Malformed> {
        let envelope: Envelope<'a> = object(text, "Invalid message: must be a JSON object")?;
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
            "ping" => Ok(Self::Ping {
                payload: envelope.object_payload()?,
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

/// Raw parts, so that a fault in one of them can be named and what is echoed need not be rendered again.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawJson>,
    #[serde(borrow)]
    id: Option<&'a RawJson>,
    #[serde(borrow)]
    payload: Option<&'a RawJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRequest<'a> {
    #[serde(borrow)]
    query: Option<&'a RawJson>,
    #[serde(borrow)]
    operation_name: Option<&'a RawJson>,
    #[serde(borrow)]
    variables: Option<&'a RawJson>,
    #[serde(borrow)]
    extensions: Option<&'a RawJson>,
}

impl<'a> Envelope<'a> {
    fn id(&self, max_bytes: usize) -> Result<Cow<'a, str>, Malformed> {
        match string(self.id) {
            Some(id) if id.len() > max_bytes => Err("Invalid message: id is too long"),
            Some(id) if !id.is_empty() => Ok(id),
            _ => Err("Invalid message: id must be a non-empty string"),
        }
    }

    fn object_payload(&self) -> Result<Option<&'a RawJson>, Malformed> {
        match self.payload {
            Some(raw) if !raw.get().starts_with('{') => {
                Err("Invalid message: payload must be an object or null")
            }
            payload => Ok(payload),
        }
    }

    fn request(&self) -> Result<SubscribePayload, Malformed> {
        let not_an_object = "Invalid message: payload must be an object";
        let raw: RawRequest<'a> = object(self.payload.map_or("", RawJson::get), not_an_object)?;
        let operation_name = match raw.operation_name {
            None => None,
            name => Some(
                string(name)
                    .ok_or("Invalid message: payload.operationName must be a string or null")?,
            ),
        };
        Ok(SubscribePayload {
            query: string(raw.query)
                .ok_or("Invalid message: payload.query must be a string")?
                .into_owned(),
            operation_name: operation_name.map(Cow::into_owned),
            variables: optional_object(
                raw.variables,
                "Invalid message: payload.variables must be an object or null",
            )?,
            extensions: optional_object(
                raw.extensions,
                "Invalid message: payload.extensions must be an object or null",
            )?,
        })
    }
}

fn optional_object<T: DeserializeOwned + Default>(
    raw: Option<&RawJson>,
    fault: Malformed,
) -> Result<T, Malformed> {
    raw.map_or_else(|| Ok(T::default()), |raw| object(raw.get(), fault))
}

/// The brace is looked for because derived structs would also accept an array.
fn object<'a, T: Deserialize<'a>>(text: &'a str, fault: Malformed) -> Result<T, Malformed> {
    if !text.trim_start().starts_with('{') {
        return Err(fault);
    }
    serde_json::from_str(text).map_err(|_| fault)
}

/// None for anything but a string. Borrows when the string holds no escapes.
fn string(raw: Option<&RawJson>) -> Option<Cow<'_, str>> {
    let text = raw?.get();
    match serde_json::from_str::<&str>(text) {
        Ok(plain) => Some(Cow::Borrowed(plain)),
        Err(_) => serde_json::from_str::<String>(text).ok().map(Cow::Owned),
    }
}
