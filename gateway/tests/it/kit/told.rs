//! Results with the very text in which they came: a parsed value has lost the order of its keys.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Change as a client was told it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) change: Value,
    /// Text that `change` was parsed from.
    pub(crate) text: String,
}

/// Page of changes that a client has pulled.
pub(crate) struct ToldPage {
    pub(crate) changes: Vec<Told>,
    /// Position to go on after.
    pub(crate) position: String,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    data: HashMap<&'a str, &'a RawValue>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    changes: Vec<&'a RawValue>,
    position: String,
}

impl Told {
    /// Parses the text of a change.
    fn parse(text: &str) -> Self {
        Self {
            change: serde_json::from_str(text).expect("a change is JSON"),
            text: text.to_owned(),
        }
    }

    /// Reads the response to a subscription, which must have data.
    pub(crate) fn of_response(response: &str) -> Self {
        Self::parse(root_field(response))
    }

    /// Reads a message `next` of a socket, which must have data.
    pub(crate) fn of_message(message: &str) -> Self {
        let message: Message<'_> =
            serde_json::from_str(message).expect("the message has a payload");

        Self::of_response(message.payload.get())
    }
}

impl ToldPage {
    /// Reads the response to a query for a page, which must have data.
    pub(crate) fn of_response(response: &str) -> Self {
        let page: Page<'_> = serde_json::from_str(root_field(response)).expect("there is a page");
        let changes = page.changes.iter();

        Self {
            changes: changes.map(|change| Told::parse(change.get())).collect(),
            position: page.position,
        }
    }
}

/// Returns the text of the only root field of a response.
fn root_field(response: &str) -> &str {
    let response: Response<'_> = serde_json::from_str(response).expect("the response has data");
    let mut fields = response.data.into_values();
    let field = fields.next().expect("there is one root field");

    assert!(fields.next().is_none(), "there is one root field");
    field.get()
}
