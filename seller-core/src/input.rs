//! Inputs of mutations, as the raw numbers and texts that callers send. The types admit any value;
//! the rules of the deal decide which are valid.
//!
//! A repeated request is recognised by the fingerprint of its input's serialised form, for as long
//! as the log lives. Therefore a new field must be skipped while it is not given, and no field may
//! be renamed or moved.

use backbone::contract::DealStatus;
use backbone::ids::{DealId, ItemId};
use backbone::telemetry::TraceContext;
use serde::{Serialize, Serializer};

/// Details of a mutation beside its input.
#[derive(Clone, Debug, Default)]
pub struct MutationContext {
    /// The caller's idempotency key: 1 … 200 characters, none of them a control character, kept
    /// exactly as it is.
    pub key: Option<String>,
    /// Trace that the mutation's event continues.
    pub trace: Option<TraceContext>,
}

/// Input of a creation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewDeal {
    /// Fixed id, for example data only: it takes the place of the idempotency key. `None` lets this
    /// crate choose one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<DealId>,
    /// Name, 1 … 200 characters.
    pub name: String,
    /// Total price, 0 … 2^53 − 1 minor units of `currency`.
    pub total_price: i64,
    /// An ISO 4217 alphabetic code.
    pub currency: String,
    /// Status that the deal starts with; any is allowed.
    pub status: DealStatus,
    /// Reduction of the total price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<NewDiscount>,
    /// Items, 1 … 100.
    pub items: Vec<NewItem>,
}

/// Input for a discount.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum NewDiscount {
    /// Fixed amount, in minor units of the deal's currency: 0 … the total price.
    Flat(i64),
    /// Share of the total price in percent: 0 … 100, with at most two decimals.
    Percentage(f64),
}

/// Input for an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewItem {
    /// Id, unique within the deal. `None` keeps the id of an equal item, or chooses a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<ItemId>,
    /// Name, 1 … 200 characters.
    pub name: String,
    /// Price, 0 … 2^53 − 1 minor units of the deal's currency.
    pub price: i64,
}

/// Input of an update. Fields that are `None` or [`Patch::Keep`] stay as they are.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DealUpdate {
    /// Deal to update.
    pub id: DealId,
    /// Version that the deal must be at (1 or more), else the update is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<i32>,
    /// New name, 1 … 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New total price, 0 … 2^53 − 1 minor units of the deal's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_price: Option<i64>,
    /// Currency of the deal, which cannot change: accepted from callers who send the whole deal
    /// back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// New status, which must be one that the deal may go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<DealStatus>,
    /// Change of the discount.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub discount: Patch<NewDiscount>,
    /// New items, 1 … 100, in place of the old ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<NewItem>>,
    /// Versions that the deal may be at, else the update is refused, like `expected_version`.
    #[serde(skip_serializing_if = "Versions::is_any")]
    pub versions: Versions,
}

/// Versions of a deal that a caller admits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Versions {
    /// Every version.
    #[default]
    Any,
    /// The listed versions; none if there are none.
    OneOf(Vec<u32>),
    /// Every version except the listed ones.
    NoneOf(Vec<u32>),
}

impl Versions {
    /// Returns whether a version is among them.
    pub fn admit(&self, version: u32) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(versions) => versions.contains(&version),
            Self::NoneOf(versions) => !versions.contains(&version),
        }
    }

    fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }
}

/// A change of an optional value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Leaves the value as it is.
    #[default]
    Keep,
    /// Removes the value.
    Remove,
    /// Sets the value.
    Set(T),
}

impl DealUpdate {
    /// Returns an update of this deal that changes nothing, as a start for others.
    pub fn of(id: DealId) -> Self {
        Self {
            // Absent fields are skipped in the serialised form, so this update's fingerprint covers
            // the id alone.
            id,
            expected_version: None,
            name: None,
            total_price: None,
            currency: None,
            status: None,
            discount: Patch::Keep,
            items: None,
            versions: Versions::Any,
        }
    }

    /// Returns the update without white space around its texts, so that a repeat that differs only
    /// there is the same.
    pub(crate) fn trimmed(self) -> Self {
        Self {
            name: self.name.map(trim),
            items: self.items.map(trim_items),
            ..self
        }
    }
}

impl NewDeal {
    /// Returns the creation without white space around its texts, so that a repeat that differs
    /// only there is the same.
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
    // Most texts have nothing to trim and keep their allocation.
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
            // A kept field never gets here: its struct skips it (see `is_keep`), so null means
            // removal alone.
            Self::Keep | Self::Remove => serializer.serialize_none(),
            Self::Set(value) => serializer.serialize_some(value),
        }
    }
}
