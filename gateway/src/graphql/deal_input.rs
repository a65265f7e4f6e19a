//! Inputs of the mutations of deals.

use async_graphql::{ID, InputObject, MaybeUndefined, OneofObject};
use backbone::FieldError;
use backbone::ids::{DealId, ItemId};
use seller_core::{DealUpdate, NewDeal, NewDiscount, NewItem, Patch, Versions};
use serde::Deserialize;
use uuid::Uuid;

use super::deal::DealStatus;
use super::ids::{NOT_A_UUID, parse_id};
use super::scalars::{Currency, MinorUnits};
use crate::error::Problem;

/// A discount, given as exactly one of amount and percentage.
#[derive(OneofObject, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum DiscountInput {
    /// Flat discount, at most the deal's total price.
    Amount(MinorUnits),
    /// Discount in percent of the total price, 0 to 100 with at most two decimals.
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

/// One item of a deal.
#[derive(InputObject, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DealItemInput {
    /// UUID of the item, kept as given. Without one, an item with the same name and price keeps its id, and any other item
    /// gets a new one.
    id: Option<ID>,
    /// Name, 1 to 200 characters.
    name: String,
    /// Price, in the deal's currency.
    price: MinorUnits,
}

/// A deal to create.
#[derive(InputObject, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateDealInput {
    /// Name, 1 to 200 characters.
    name: String,
    /// Total price before the discount.
    total_price: MinorUnits,
    /// Currency of all prices of the deal, which cannot be changed later.
    currency: Currency,
    /// Status of the new deal.
    #[graphql(default_with = "DealStatus::Available")]
    status: DealStatus,
    /// Discount on the total price.
    discount: Option<DiscountInput>,
    /// Items of the deal, 1 to 100.
    items: Vec<DealItemInput>,
}

/// Changes to a deal. Absent fields stay as they are.
#[derive(InputObject, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateDealInput {
    /// UUID of the deal.
    id: ID,
    /// Version that the deal must have, at least 1. With any other version the mutation fails with CONFLICT.
    expected_version: Option<i32>,
    /// Name, 1 to 200 characters.
    name: Option<String>,
    /// Total price before the discount.
    total_price: Option<MinorUnits>,
    /// Status to which the deal changes.
    status: Option<DealStatus>,
    /// Discount on the total price; null removes it.
    #[serde(default)]
    discount: MaybeUndefined<DiscountInput>,
    /// Items, 1 to 100, which replace all items of the deal.
    items: Option<Vec<DealItemInput>>,
}

impl CreateDealInput {
    pub(super) fn parse(self) -> Result<NewDeal, Problem> {
        Ok(NewDeal {
            id: None,
            name: self.name,
            total_price: self.total_price.0,
            currency: self.currency.0,
            status: self.status.into(),
            discount: self.discount.map(NewDiscount::from),
            items: parse_items(self.items)?,
        })
    }
}

impl UpdateDealInput {
    pub(super) fn parse(self) -> Result<DealUpdate, Problem> {
        let discount = match self.discount {
            MaybeUndefined::Undefined => Patch::Keep,
            MaybeUndefined::Null => Patch::Remove,
            MaybeUndefined::Value(discount) => Patch::Set(discount.into()),
        };

        Ok(DealUpdate {
            id: DealId(parse_id("input.id", &self.id)?),
            expected_version: self.expected_version,
            name: self.name,
            total_price: self.total_price.map(|price| price.0),
            currency: None,
            status: self.status.map(Into::into),
            discount,
            items: self.items.map(parse_items).transpose()?,
            versions: Versions::Any,
        })
    }
}

fn parse_items(items: Vec<DealItemInput>) -> Result<Vec<NewItem>, Problem> {
    let mut errors = Vec::new();
    let parsed = items
        .into_iter()
        .enumerate()
        .map(|(index, item)| {
            let id = item.id.and_then(|id| match Uuid::parse_str(&id) {
                Ok(id) => Some(ItemId(id)),
                Err(_) => {
                    let path = format!("input.items.{index}.id");
                    errors.push(FieldError::new(path, NOT_A_UUID));
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

    if errors.is_empty() {
        Ok(parsed)
    } else {
        Err(Problem::inputs(errors))
    }
}
