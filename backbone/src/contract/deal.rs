//! A deal as events carry it and read models keep it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{DealId, ItemId, SellerId};
use crate::money::{Currency, Discount, MinorUnits};
use crate::time::Timestamp;

/// The state of a deal after some version of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deal {
    /// Unique over the market.
    pub id: DealId,
    /// Whose deal.
    pub seller_id: SellerId,
    /// 1 … 200 characters.
    pub name: String,
    /// Minor units of `currency`; need not equal the items' sum.
    pub total_price: MinorUnits,
    /// Fixed at creation.
    pub currency: Currency,
    /// Where the deal stands.
    pub status: DealStatus,
    /// What is taken off the total price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<Discount>,
    /// 1 … 100, in the seller's order.
    pub items: Vec<Item>,
    /// 1 at creation, +1 with every change of the deal itself.
    pub version: u32,
    /// When version 1 was decided.
    pub created_at: Timestamp,
    /// When this version was decided.
    pub updated_at: Timestamp,
}

impl Deal {
    /// The total price less the discount.
    pub fn final_price(&self) -> MinorUnits {
        self.discount.map_or(self.total_price, |discount| {
            discount.applied_to(self.total_price)
        })
    }
}

/// One thing within a deal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Unique within the deal.
    pub id: ItemId,
    /// 1 … 200 characters.
    pub name: String,
    /// Minor units of the deal's currency.
    pub price: MinorUnits,
}

/// Where a deal stands. It never leaves `Sold`, and leaves `Withdrawn` only for `Available`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DealStatus {
    /// Open to buyers.
    Available,
    /// Held for somebody.
    Reserved,
    /// Gone for good.
    Sold,
    /// Taken back by the seller.
    Withdrawn,
}

impl DealStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Available, Self::Reserved, Self::Sold, Self::Withdrawn];

    /// The name that tables and JSON use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "AVAILABLE",
            Self::Reserved => "RESERVED",
            Self::Sold => "SOLD",
            Self::Withdrawn => "WITHDRAWN",
        }
    }
}

/// The text names no deal status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no deal status")]
pub struct UnknownStatus;

impl FromStr for DealStatus {
    type Err = UnknownStatus;
    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownStatus)
    }
}

impl TryFrom<String> for DealStatus {
    type Error = UnknownStatus;
    fn try_from(text: String) -> Result<Self, UnknownStatus> {
        text.parse()
    }
}

/// A part of a deal that a change may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DealField {
    /// `name`
    Name,
    /// `totalPrice`
    TotalPrice,
    /// `status`
    Status,
    /// `discount`
    Discount,
    /// `items`
    Items,
}

impl DealField {
    /// Every field, in the contract's order.
    pub const ALL: [Self; 5] = [
        Self::Name,
        Self::TotalPrice,
        Self::Status,
        Self::Discount,
        Self::Items,
    ];
}
