//! Deals in GraphQL: what is shown, and what sellers send.

use std::sync::Arc;

use async_graphql::{Enum, ID, InputObject, MaybeUndefined, Object, OneofObject, SimpleObject};
use backbone::FieldError;
use backbone::contract;
use backbone::deal_table;
use backbone::ids::{DealId, ItemId, SellerId};
use backbone::money;
use seller_core::{DealUpdate, NewDeal, NewDiscount, NewItem, Patch};
use uuid::Uuid;

use super::scalars::{Currency, DateTime, MinorUnits, Position};
use crate::error::Problem;

/// Where a deal stands. It never leaves SOLD, and leaves WITHDRAWN only for AVAILABLE
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "contract::DealStatus")]
pub(super) enum DealStatus {
    /// Open to buyers
    Available,
    /// Held for somebody
    Reserved,
    /// Gone for good
    Sold,
    /// Taken back by the seller
    Withdrawn,
}

#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum DiscountType {
    Flat,
    Percentage,
}

/// FLAT has amount, PERCENTAGE has percentage (0 … 100, at most two decimals)
#[derive(SimpleObject)]
pub(super) struct Discount {
    r#type: DiscountType,
    amount: Option<MinorUnits>,
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

#[derive(SimpleObject)]
pub(super) struct DealItem {
    id: ID,
    name: String,
    price: MinorUnits,
}

pub(super) struct Deal(pub(super) Arc<contract::Deal>);

impl From<contract::Deal> for Deal {
    fn from(deal: contract::Deal) -> Self {
        Self(Arc::new(deal))
    }
}

/// Something that a seller offers as one
#[Object]
impl Deal {
    pub(super) async fn id(&self) -> ID {
        self.0.id.into()
    }

    async fn seller_id(&self) -> ID {
        self.0.seller_id.into()
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    async fn total_price(&self) -> MinorUnits {
        self.0.total_price.into()
    }

    /// totalPrice less the discount, half a minor unit rounded up
    async fn final_price(&self) -> MinorUnits {
        self.0.final_price().into()
    }

    async fn currency(&self) -> Currency {
        Currency(self.0.currency.code().to_owned())
    }

    async fn status(&self) -> DealStatus {
        self.0.status.into()
    }

    async fn discount(&self) -> Option<Discount> {
        self.0.discount.map(Discount::from)
    }

    async fn items(&self) -> Vec<DealItem> {
        let item = |item: &contract::Item| DealItem {
            id: item.id.into(),
            name: item.name.clone(),
            price: item.price.into(),
        };
        self.0.items.iter().map(item).collect()
    }

    /// 1 at creation, +1 with every change
    async fn version(&self) -> u32 {
        self.0.version
    }

    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }
}

/// A change that was made, and where it stands
#[derive(SimpleObject)]
pub(super) struct DealPayload {
    pub(super) deal: Deal,
    /// Where this change stands in the log: read your own write with minPosition, or subscribe after it
    pub(super) position: Position,
}

/// A part of a deal that a change may touch
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "contract::DealField")]
pub(super) enum DealField {
    Name,
    TotalPrice,
    Status,
    Discount,
    Items,
}

#[derive(InputObject, Clone)]
pub(super) struct DealFilter {
    seller_ids: Option<Vec<ID>>,
    statuses: Option<Vec<DealStatus>>,
    currency: Option<Currency>,
    /// Needs currency
    min_total_price: Option<MinorUnits>,
    /// Needs currency
    max_total_price: Option<MinorUnits>,
}

/// The price orders need filter.currency
#[derive(Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "deal_table::DealOrder")]
pub(super) enum DealOrder {
    #[default]
    LastChangedFirst,
    PriceAscending,
    PriceDescending,
}

/// Ids in one list.
const MAX_FILTER_IDS: usize = 100;

impl DealFilter {
    /// Judges a filter; every violation is told.
    pub(super) fn check(filter: Option<Self>) -> Result<deal_table::DealFilter, Problem> {
        let Some(filter) = filter else {
            return Ok(deal_table::DealFilter::default());
        };
        let mut wrong = Vec::new();
        let mut field = |path: String, message: &str| {
            wrong.push(FieldError::new(path, message));
        };
        let seller_ids = filter.seller_ids.map(|ids| {
            if ids.len() > MAX_FILTER_IDS {
                field("filter.sellerIds".to_owned(), "has more than 100 ids");
            }
            let mut read = Vec::new();
            for (index, id) in ids.iter().enumerate() {
                match Uuid::parse_str(id) {
                    Ok(id) => read.push(SellerId(id)),
                    Err(_) => field(format!("filter.sellerIds.{index}"), "is no UUID"),
                }
            }
            read
        });
        let currency = filter.currency.and_then(|code| {
            let currency = code.0.parse().ok();
            if currency.is_none() {
                field("filter.currency".to_owned(), "is no ISO 4217 currency code");
            }
            currency
        });
        let mut price = |path: &str, price: Option<MinorUnits>| {
            let price = price?;
            if currency.is_none() {
                field(format!("filter.{path}"), "needs currency");
            }
            let units = money::MinorUnits::new(price.0);
            if units.is_none() {
                field(format!("filter.{path}"), "is not in 0 … 2^53-1");
            }
            units
        };
        let min_total_price = price("minTotalPrice", filter.min_total_price);
        let max_total_price = price("maxTotalPrice", filter.max_total_price);
        if !wrong.is_empty() {
            return Err(Problem::inputs(wrong));
        }
        let statuses = filter
            .statuses
            .map(|statuses| statuses.into_iter().map(Into::into).collect());
        Ok(deal_table::DealFilter {
            seller_ids,
            statuses,
            currency,
            min_total_price,
            max_total_price,
        })
    }
}

/// Exactly one of them
#[derive(OneofObject)]
pub(super) enum DiscountInput {
    Amount(MinorUnits),
    Percentage(f64),
}

impl From<DiscountInput> for NewDiscount {
    fn from(input: DiscountInput) -> Self {
        match input {
            DiscountInput::Amount(amount) => Self::Flat(amount.0),
            DiscountInput::Percentage(percentage) => Self::Percentage(percentage),
        }
    }
}

/// An item's id is kept as given, or made when absent
#[derive(InputObject)]
pub(super) struct DealItemInput {
    id: Option<ID>,
    name: String,
    price: MinorUnits,
}

#[derive(InputObject)]
pub(super) struct CreateDealInput {
    name: String,
    total_price: MinorUnits,
    currency: Currency,
    #[graphql(default_with = "DealStatus::Available")]
    status: DealStatus,
    discount: Option<DiscountInput>,
    items: Vec<DealItemInput>,
}

/// Fields left out stay as they are; a null discount removes it; items, if given, replace the list.
#[derive(InputObject)]
pub(super) struct UpdateDealInput {
    id: ID,
    /// Refuse with CONFLICT unless the deal is at this version
    expected_version: Option<i32>,
    name: Option<String>,
    total_price: Option<MinorUnits>,
    status: Option<DealStatus>,
    discount: MaybeUndefined<DiscountInput>,
    items: Option<Vec<DealItemInput>>,
}

impl CreateDealInput {
    pub(super) fn read(self) -> Result<NewDeal, Problem> {
        Ok(NewDeal {
            id: None,
            name: self.name,
            total_price: self.total_price.0,
            currency: self.currency.0,
            status: self.status.into(),
            discount: self.discount.map(NewDiscount::from),
            items: items(self.items)?,
        })
    }
}

impl UpdateDealInput {
    pub(super) fn read(self) -> Result<DealUpdate, Problem> {
        Ok(DealUpdate {
            id: DealId(uuid("input.id", &self.id)?),
            expected_version: self.expected_version,
            name: self.name,
            total_price: self.total_price.map(|price| price.0),
            currency: None,
            status: self.status.map(Into::into),
            discount: match self.discount {
                MaybeUndefined::Undefined => Patch::Keep,
                MaybeUndefined::Null => Patch::Remove,
                MaybeUndefined::Value(discount) => Patch::Set(discount.into()),
            },
            items: self.items.map(items).transpose()?,
        })
    }
}

fn items(items: Vec<DealItemInput>) -> Result<Vec<NewItem>, Problem> {
    let mut wrong = Vec::new();
    let read = items
        .into_iter()
        .enumerate()
        .map(|(index, item)| {
            let id = item.id.and_then(|id| match Uuid::parse_str(&id) {
                Ok(id) => Some(ItemId(id)),
                Err(_) => {
                    let path = format!("input.items.{index}.id");
                    wrong.push(FieldError::new(path, "is no UUID"));
                    None
                }
            });
            NewItem {
                id,
                name: item.name,
                price: item.price.0,
            }
        })
        .collect();
    if wrong.is_empty() {
        Ok(read)
    } else {
        Err(Problem::inputs(wrong))
    }
}

/// Reads an id.
pub(super) fn uuid(path: &str, id: &ID) -> Result<Uuid, Problem> {
    Uuid::parse_str(id).map_err(|_| Problem::input(path, "is no UUID"))
}
