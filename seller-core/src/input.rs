//! What callers ask for, in raw numbers and texts: the rules judge them, not the types.
//!
//! The serialised form of an input is what a repeat of it is compared by, for as long as the log lives: a field that
//! is added must be left out while it is not given, and none may be moved or renamed.

use backbone::contract::DealStatus;
use backbone::ids::{DealId, ItemId};
use backbone::telemetry::TraceContext;
use serde::{Serialize, Serializer};

/// What goes with a mutation.
#[derive(Clone, Debug, Default)]
pub struct MutationContext {
    /// The caller's idempotency key: 1 … 200 characters, none of them a control character, kept exactly as it is.
    pub key: Option<String>,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
}

/// A deal to be created.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewDeal {
    /// Only for examples, whose ids are fixed: it stands in for the idempotency key. Otherwise the id is made here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<DealId>,
    /// 1 … 200 characters.
    pub name: String,
    /// 0 … 2^53 − 1 minor units of `currency`.
    pub total_price: i64,
    /// An ISO 4217 alphabetic code.
    pub currency: String,
    /// Any.
    pub status: DealStatus,
    /// What is taken off the total price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<NewDiscount>,
    /// 1 … 100.
    pub items: Vec<NewItem>,
}

/// A discount that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum NewDiscount {
    /// Minor units of the deal's currency: 0 … the total price.
    Flat(i64),
    /// 0 … 100, at most two decimals.
    Percentage(f64),
}

/// An item that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewItem {
    /// Unique within the deal; made when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<ItemId>,
    /// 1 … 200 characters.
    pub name: String,
    /// 0 … 2^53 − 1 minor units of the deal's currency.
    pub price: i64,
}

/// What to change of a deal; what is `None` or [`Patch::Keep`] stays.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DealUpdate {
    /// Which deal.
    pub id: DealId,
    /// Refuse unless the deal is at this version (1 or more).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<i32>,
    /// 1 … 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// 0 … 2^53 − 1 minor units of the deal's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_price: Option<i64>,
    /// Must be the deal's: for callers who send the whole deal back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// A status that the deal may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<DealStatus>,
    /// What is taken off the total price.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub discount: Patch<NewDiscount>,
    /// The new list, 1 … 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<NewItem>>,
}

/// A change of something that may be absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// There is none any more.
    Remove,
    /// It is this.
    Set(T),
}

impl DealUpdate {
    /// An update of this deal that changes nothing: where others are made from.
    pub fn of(id: DealId) -> Self {
        Self {
            id,
            expected_version: None,
            name: None,
            total_price: None,
            currency: None,
            status: None,
            discount: Patch::Keep,
            items: None,
        }
    }

    /// As it is meant: the space around texts is not.
    pub(crate) fn trimmed(self) -> Self {
        Self {
            name: self.name.map(trim),
            items: self.items.map(trim_items),
            ..self
        }
    }
}

impl NewDeal {
    /// As it is meant: the space around texts is not.
    pub(crate) fn trimmed(self) -> Self {
        Self {
            name: trim(self.name),
            items: trim_items(self.items),
            ..self
        }
    }
}

fn trim_items(items: Vec<NewItem>) -> Vec<NewItem> {
    items
        .into_iter()
        .map(|item| NewItem {
            name: trim(item.name),
            ..item
        })
        .collect()
}

fn trim(text: String) -> String {
    if text.trim().len() == text.len() {
        text
    } else {
        text.trim().to_owned()
    }
}

impl<T> Patch<T> {
    fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // Kept fields are left out where a patch is a field.
            Self::Keep | Self::Remove => serializer.serialize_none(),
            Self::Set(value) => serializer.serialize_some(value),
        }
    }
}
