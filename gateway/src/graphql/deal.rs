//! Deals in GraphQL.

use std::sync::Arc;

use async_graphql::{Enum, ID, Object, SimpleObject};
use backbone::contract;
use backbone::money;

use super::scalars::{Currency, DateTime, MinorUnits, Position};

/// Status of a deal. A deal never leaves SOLD, and leaves WITHDRAWN only for AVAILABLE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "contract::DealStatus")]
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

/// Kind of a discount.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
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

pub(super) struct Deal(pub(super) Arc<contract::Deal>);

impl From<contract::Deal> for Deal {
    fn from(deal: contract::Deal) -> Self {
        Self(Arc::new(deal))
    }
}

/// One or more items that a seller offers together at one price.
#[Object]
impl Deal {
    /// UUID of the deal.
    pub(super) async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Seller who offers the deal.
    async fn seller_id(&self) -> ID {
        self.0.seller_id.into()
    }

    /// Name, 1 to 200 characters.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Total price before the discount.
    async fn total_price(&self) -> MinorUnits {
        self.0.total_price.into()
    }

    /// Total price less the discount, with half a minor unit rounded up.
    async fn final_price(&self) -> MinorUnits {
        self.0.final_price().into()
    }

    /// Currency of all prices of the deal.
    async fn currency(&self) -> Currency {
        Currency(self.0.currency.code().to_owned())
    }

    /// Status of the deal.
    async fn status(&self) -> DealStatus {
        self.0.status.into()
    }

    /// Discount on the total price; null if there is none.
    async fn discount(&self) -> Option<Discount> {
        self.0.discount.map(Discount::from)
    }

    /// Items of the deal, 1 to 100.
    async fn items(&self) -> Vec<DealItem> {
        let item = |item: &contract::Item| DealItem {
            id: item.id.into(),
            name: item.name.clone(),
            price: item.price.into(),
        };
        self.0.items.iter().map(item).collect()
    }

    /// Version of the deal: 1 at creation, one more with every change.
    async fn version(&self) -> u32 {
        self.0.version
    }

    /// Time at which the deal was created.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// Time of the last change.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
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

/// Field of a deal that a change may affect.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "contract::DealField")]
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
