//! A deal as events carry it and read models keep it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{DealId, ItemId, SellerId};
use crate::money::{Currency, Discount, MinorUnits};
use crate::time::Timestamp;

/// State of a deal after one of its versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deal {
    /// Id, unique within the market.
    pub id: DealId,
    /// Seller that the deal belongs to.
    pub seller_id: SellerId,
    /// Name, 1 to 200 characters.
    pub name: String,
    /// Total price in minor units of `currency`. It need not equal the sum of the items.
    pub total_price: MinorUnits,
    /// Currency of all prices of the deal, fixed at creation.
    pub currency: Currency,
    /// Status of the deal.
    pub status: DealStatus,
    /// Reduction of the total price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<Discount>,
    /// Items, 1 to 100, in the seller's order.
    pub items: Vec<Item>,
    /// Version: 1 at creation, one more with every change of the deal itself.
    pub version: u32,
    /// Time at which version 1 was decided.
    pub created_at: Timestamp,
    /// Time at which this version was decided.
    pub updated_at: Timestamp,
}

impl Deal {
    /// Returns the total price less the discount, in minor units.
    pub fn final_price(&self) -> MinorUnits {
        // Computed, never stored, so that it cannot disagree with its parts.
        self.discount.map_or(self.total_price, |discount| {
            discount.applied_to(self.total_price)
        })
    }
}

/// One line of a deal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Id, unique within the deal.
    pub id: ItemId,
    /// Name, 1 to 200 characters.
    pub name: String,
    /// Price in minor units of the deal's currency.
    pub price: MinorUnits,
}

/// Status of a deal. `Sold` is final; `Withdrawn` may only change to `Available`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DealStatus {
    /// Open to buyers.
    Available,
    /// Held for one buyer.
    Reserved,
    /// Sold; this cannot change any more.
    Sold,
    /// Withdrawn by the seller.
    Withdrawn,
}

impl DealStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Available, Self::Reserved, Self::Sold, Self::Withdrawn];

    /// Returns the name that tables and JSON use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "AVAILABLE",
            Self::Reserved => "RESERVED",
            Self::Sold => "SOLD",
            Self::Withdrawn => "WITHDRAWN",
        }
    }
}

/// Error of parsing a text that is not a deal status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of AVAILABLE, RESERVED, SOLD and WITHDRAWN")]
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

/// Part of a deal that a change may affect.
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
    /// Every field, in the order of the contract.
    pub const ALL: [Self; 5] = [
        Self::Name,
        Self::TotalPrice,
        Self::Status,
        Self::Discount,
        Self::Items,
    ];
}
