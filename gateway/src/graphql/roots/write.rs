//! Root fields that write deals and access.

use async_graphql::ID;
use backbone::accounts::Role;
use backbone::deal_table::StoredDeal;
use backbone::ids::{BuyerId, SellerId};
use seller_core::{AccessWritten, DealWritten, MutationContext};
use serde::Deserialize;

use crate::error::Problem;
use crate::graphql::access::{Access, AccessPayload};
use crate::graphql::context::RootContext;
use crate::graphql::deal::{Deal, DealPayload};
use crate::graphql::deal_input::{CreateDealInput, UpdateDealInput};
use crate::graphql::ids::parse_id;

/// Arguments of `createDeal`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graphql) struct CreateDealArgs {
    pub(in crate::graphql) input: CreateDealInput,
    pub(in crate::graphql) idempotency_key: Option<String>,
}

/// Arguments of `updateDeal`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graphql) struct UpdateDealArgs {
    pub(in crate::graphql) input: UpdateDealInput,
    pub(in crate::graphql) idempotency_key: Option<String>,
}

/// Arguments of `grantAccess` and `revokeAccess`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graphql) struct GrantArgs {
    pub(in crate::graphql) buyer_id: ID,
    pub(in crate::graphql) seller_id: Option<ID>,
}

/// Creates a deal of the calling seller.
pub(in crate::graphql) async fn create_deal(
    context: RootContext<'_>,
    arguments: CreateDealArgs,
) -> Result<DealPayload, Problem> {
    let seller = context.principal()?.seller()?;
    let input = arguments.input.parse()?;

    let sellers = &context.services.sellers;
    let mutation = mutation_context(context, arguments.idempotency_key);
    let written = sellers.create_deal(seller, input, mutation).await;

    let written = written.map_err(|refusal| Problem::refused(refusal, "input."))?;
    Ok(written.into())
}

/// Changes a deal of the calling seller.
pub(in crate::graphql) async fn update_deal(
    context: RootContext<'_>,
    arguments: UpdateDealArgs,
) -> Result<DealPayload, Problem> {
    let seller = context.principal()?.seller()?;
    let input = arguments.input.parse()?;

    let sellers = &context.services.sellers;
    let mutation = mutation_context(context, arguments.idempotency_key);
    let written = sellers.update_deal(seller, input, mutation).await;

    let written = written.map_err(|refusal| Problem::refused(refusal, "input."))?;
    Ok(written.into())
}

/// Lets a buyer see a seller's deals.
pub(in crate::graphql) async fn grant_access(
    context: RootContext<'_>,
    arguments: GrantArgs,
) -> Result<AccessPayload, Problem> {
    let seller = granting_seller(context, arguments.seller_id).await?;
    let buyer = parse_id("buyerId", &arguments.buyer_id)?;

    // A grant is an event for ever, so it must not name a buyer that does not exist.
    let services = context.services;
    let exists = services.accounts.must_exist(Role::Buyer, buyer);
    services.read(exists).await?;

    let mutation = mutation_context(context, None);
    let granted = services
        .sellers
        .grant_access(seller, BuyerId(buyer), mutation);
    let written = granted
        .await
        .map_err(|refusal| Problem::refused(refusal, ""))?;
    Ok(written.into())
}

/// Ends a buyer's access to a seller's deals.
pub(in crate::graphql) async fn revoke_access(
    context: RootContext<'_>,
    arguments: GrantArgs,
) -> Result<AccessPayload, Problem> {
    let seller = granting_seller(context, arguments.seller_id).await?;
    let buyer = BuyerId(parse_id("buyerId", &arguments.buyer_id)?);

    let mutation = mutation_context(context, None);
    let revoked = context
        .services
        .sellers
        .revoke_access(seller, buyer, mutation);
    let written = revoked
        .await
        .map_err(|refusal| Problem::refused(refusal, ""))?;
    Ok(written.into())
}

fn mutation_context(context: RootContext<'_>, key: Option<String>) -> MutationContext {
    MutationContext {
        key,
        trace: Some(context.caller.trace.child()),
    }
}

/// Returns the seller whose access is granted or revoked: the caller, or the one that an administrator names.
async fn granting_seller(context: RootContext<'_>, named: Option<ID>) -> Result<SellerId, Problem> {
    let caller = context.principal()?;
    let named = named.map(|id| parse_id("sellerId", &id)).transpose()?;

    match (caller.role(), named) {
        (Role::Admin, Some(id)) => {
            let services = context.services;
            let exists = services.accounts.must_exist(Role::Seller, id);
            services.read(exists).await?;
            Ok(SellerId(id))
        }
        (Role::Admin, None) => Err(Problem::input("sellerId", "is required for administrators")),
        (_, Some(id)) if id != caller.id() => Err(Problem::forbidden(
            "sellerId names another account; only administrators may do that",
        )),
        _ => caller.seller(),
    }
}

impl From<DealWritten> for DealPayload {
    fn from(written: DealWritten) -> Self {
        let deal = StoredDeal {
            deal: written.deal.into(),
            // The position is the end of the event that made this state.
            sequence: written.position.sequence,
        };

        Self {
            deal: Deal(deal),
            position: written.position.into(),
        }
    }
}

impl From<AccessWritten> for AccessPayload {
    fn from(written: AccessWritten) -> Self {
        Self {
            access: Access::new(written.seller, written.buyer, written.since),
            granted: written.granted,
            position: written.position.into(),
        }
    }
}
