//! Deals in GraphQL.

use async_graphql::{Enum, ID, Object, SimpleObject};
use backbone::contract;
use backbone::deal_table::StoredDeal;
use backbone::money;
use documents::{ObjectState, object};
use serde::{Deserialize, Serialize};

use super::ids::Id;
use super::scalars::{Currency, DateTime, MinorUnits, Position, render_enums};

/// Status of a deal. A deal never leaves SOLD, and leaves WITHDRAWN only for AVAILABLE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Deserialize, Serialize)]
#[graphql(remote = "contract::DealStatus")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum DealStatus {
    /// Open to all buyers that have access.
    Available,
    /// Reserved for a buyer.
    Reserved,
    /// Sold, for good.
    Sold,
    /// Withdrawn by the seller.
    Withdrawn,
}

render_enums!(DealStatus, DiscountType, DealField);

/// Kind of a discount.
#[derive(Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum DiscountType {
    /// An amount of money.
    Flat,
    /// A share of the total price.
    Percentage,
}

/// Reduction of a deal's total price.
#[derive(SimpleObject)]
pub(super) struct Discount {
    /// Kind of the discount, which decides which of amount and percentage is set.
    r#type: DiscountType,
    /// Amount of a FLAT discount, in the deal's currency; otherwise null.
    amount: Option<MinorUnits>,
    /// Percentage of a PERCENTAGE discount, 0 to 100 with at most two decimals; otherwise null.
    percentage: Option<f64>,
}

object!(Discount as "Discount", |discount| {
    "type" => discount.r#type,
    "amount" => discount.amount,
    "percentage" => discount.percentage,
});

impl From<money::Discount> for Discount {
    fn from(discount: money::Discount) -> Self {
        match discount {
            money::Discount::Flat { amount } => Self {
                r#type: DiscountType::Flat,
                amount: Some(amount.into()),
                percentage: None,
            },
            money::Discount::Percentage { basis_points } => Self {
                r#type: DiscountType::Percentage,
                amount: None,
                percentage: Some(basis_points.percentage()),
            },
        }
    }
}

/// One item of a deal.
#[derive(SimpleObject)]
pub(super) struct DealItem {
    /// UUID of the item.
    id: ID,
    /// Name, 1 to 200 characters.
    name: String,
    /// Price, in the deal's currency.
    price: MinorUnits,
}

impl From<&contract::Item> for DealItem {
    fn from(item: &contract::Item) -> Self {
        Self {
            id: item.id.into(),
            name: item.name.clone(),
            price: item.price.into(),
        }
    }
}

object!(DealItem as "DealItem", |item| {
    "id" => *item.id.as_str(),
    "name" => item.name,
    "price" => item.price,
});

#[derive(Clone)]
pub(super) struct Deal(pub(super) StoredDeal);

impl Deal {
    fn item_list(&self) -> Vec<DealItem> {
        let items = self.0.deal.items.iter();
        items.map(DealItem::from).collect()
    }

    /// Returns the state by which rendered bytes are kept. What is rendered of a deal does not depend on the viewer.
    fn state(&self) -> ObjectState {
        ObjectState {
            id: *self.0.deal.id.0.as_bytes(),
            version: self.0.sequence,
        }
    }
}

object!(Deal as "Deal", kept by Deal::state, |deal| {
    "id" => Id(deal.0.deal.id.0),
    "sellerId" => Id(deal.0.deal.seller_id.0),
    "name" => deal.0.deal.name,
    "totalPrice" => deal.0.deal.total_price.get(),
    "finalPrice" => deal.0.deal.final_price().get(),
    "currency" => *deal.0.deal.currency.code(),
    "status" => DealStatus::from(deal.0.deal.status),
    "discount" => deal.0.deal.discount.map(Discount::from),
    "items" => deal.item_list(),
    "version" => deal.0.deal.version,
    "createdAt" => DateTime(deal.0.deal.created_at),
    "updatedAt" => DateTime(deal.0.deal.updated_at),
});

/// One or more items that a seller offers together at one price.
#[Object]
impl Deal {
    /// UUID of the deal.
    pub(super) async fn id(&self) -> ID {
        self.0.deal.id.into()
    }

    /// Seller who offers the deal.
    async fn seller_id(&self) -> ID {
        self.0.deal.seller_id.into()
    }

    /// Name, 1 to 200 characters.
    async fn name(&self) -> &str {
        &self.0.deal.name
    }

    /// Total price before the discount.
    async fn total_price(&self) -> MinorUnits {
        self.0.deal.total_price.into()
    }

    /// Total price less the discount, with half a minor unit rounded up.
    async fn final_price(&self) -> MinorUnits {
        self.0.deal.final_price().into()
    }

    /// Currency of all prices of the deal.
    async fn currency(&self) -> Currency {
        Currency(self.0.deal.currency.code().to_owned())
    }

    /// Status of the deal.
    async fn status(&self) -> DealStatus {
        self.0.deal.status.into()
    }

    /// Discount on the total price; null if there is none.
    async fn discount(&self) -> Option<Discount> {
        self.0.deal.discount.map(Discount::from)
    }

    /// Items of the deal, 1 to 100.
    async fn items(&self) -> Vec<DealItem> {
        self.item_list()
    }

    /// Version of the deal: 1 at creation, one more with every change.
    async fn version(&self) -> u32 {
        self.0.deal.version
    }

    /// Time at which the deal was created.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.deal.created_at)
    }

    /// Time of the last change.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.deal.updated_at)
    }
}

/// Result of creating or changing a deal.
#[derive(SimpleObject)]
pub(super) struct DealPayload {
    /// The deal after the mutation.
    pub(super) deal: Deal,
    /// Position of the change in the log. Pass it as minPosition to read tables that include the change, or subscribe
    /// after it.
    pub(super) position: Position,
}

object!(DealPayload as "DealPayload", |payload| {
    "deal" => payload.deal,
    "position" => payload.position,
});

/// Field of a deal that a change may affect.
#[derive(Clone, Copy, PartialEq, Eq, Enum, Deserialize, Serialize)]
#[graphql(remote = "contract::DealField")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum DealField {
    /// Deal.name
    Name,
    /// Deal.totalPrice
    TotalPrice,
    /// Deal.status
    Status,
    /// Deal.discount
    Discount,
    /// Deal.items
    Items,
}
