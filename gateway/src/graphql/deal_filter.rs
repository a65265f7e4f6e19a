//! Filters and orders of deals in GraphQL.

use async_graphql::{Enum, ID, InputObject};
use backbone::FieldError;
use backbone::deal_table;
use backbone::ids::SellerId;
use backbone::money;
use serde::Deserialize;
use uuid::Uuid;

use super::deal::DealStatus;
use super::ids::NOT_A_UUID;
use super::scalars::{Currency, MinorUnits};
use crate::error::Problem;

/// Most ids in one filter.
const MAX_SELLER_IDS: usize = 100;

/// Conditions that deals must meet, all of them. An absent or null condition is always met.
#[derive(InputObject, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DealFilter {
    /// Sellers of the deals, at most 100.
    seller_ids: Option<Vec<ID>>,
    /// Statuses of the deals. An empty list matches no deal.
    statuses: Option<Vec<DealStatus>>,
    /// Currency of the deals.
    currency: Option<Currency>,
    /// Lowest total price, inclusive. Requires currency.
    min_total_price: Option<MinorUnits>,
    /// Highest total price, inclusive. Requires currency.
    max_total_price: Option<MinorUnits>,
}

/// Order of a list of deals. The orders by price require filter.currency.
#[derive(Clone, Copy, Default, PartialEq, Eq, Enum, Deserialize)]
#[graphql(remote = "deal_table::DealOrder")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum DealOrder {
    /// The most recently changed deal first.
    #[default]
    LastChangedFirst,
    /// The lowest total price first.
    PriceAscending,
    /// The highest total price first.
    PriceDescending,
}

impl DealFilter {
    /// Checks a filter; an absent one matches every deal.
    ///
    /// # Errors
    /// BAD_USER_INPUT with every violation.
    pub(super) fn check(filter: Option<Self>) -> Result<deal_table::DealFilter, Problem> {
        let Some(filter) = filter else {
            return Ok(deal_table::DealFilter::default());
        };
        let mut errors = Vec::new();

        let seller_ids = filter.seller_ids.map(|ids| seller_ids(&ids, &mut errors));
        let statuses = filter
            .statuses
            .map(|statuses| statuses.into_iter().map(Into::into).collect());

        let currency = filter.currency.and_then(|code| {
            let currency = code.0.parse().ok();
            if currency.is_none() {
                errors.push(FieldError::new(
                    "filter.currency",
                    "must be an ISO 4217 code of three upper-case letters",
                ));
            }
            currency
        });

        let mut price = |path: &str, price: Option<MinorUnits>| {
            let price = price?;
            // Amounts of different currencies do not compare.
            if currency.is_none() {
                errors.push(FieldError::new(path, "requires filter.currency"));
            }

            let units = money::MinorUnits::new(price.0);
            if units.is_none() {
                errors.push(FieldError::new(path, "must be between 0 and 2^53-1"));
            }
            units
        };
        let min_total_price = price("filter.minTotalPrice", filter.min_total_price);
        let max_total_price = price("filter.maxTotalPrice", filter.max_total_price);

        if !errors.is_empty() {
            return Err(Problem::inputs(errors));
        }

        Ok(deal_table::DealFilter {
            seller_ids,
            statuses,
            currency,
            min_total_price,
            max_total_price,
        })
    }
}

fn seller_ids(ids: &[ID], errors: &mut Vec<FieldError>) -> Vec<SellerId> {
    if ids.len() > MAX_SELLER_IDS {
        errors.push(FieldError::new(
            "filter.sellerIds",
            format!("must list at most {MAX_SELLER_IDS} ids"),
        ));
    }

    let mut parsed = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        match Uuid::parse_str(id) {
            Ok(id) => parsed.push(SellerId(id)),
            Err(_) => errors.push(FieldError::new(
                format!("filter.sellerIds.{index}"),
                NOT_A_UUID,
            )),
        }
    }

    parsed
}
