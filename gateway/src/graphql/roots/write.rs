//! Root fields that write deals, access, accounts and keys.

use async_graphql::ID;
use backbone::accounts::Role;
use backbone::deal_table::StoredDeal;
use backbone::ids::{BuyerId, SellerId};
use seller_core::{AccessWritten, DealWritten, MutationContext};
use serde::Deserialize;

use super::IdArgs;
use crate::error::Problem;
use crate::graphql::access::{Access, AccessPayload};
use crate::graphql::account::{Account, IssuedApiKey, RevokedApiKey};
use crate::graphql::context::RootContext;
use crate::graphql::deal::{Deal, DealPayload};
use crate::graphql::deal_input::{CreateDealInput, UpdateDealInput};
use crate::graphql::ids::parse_id;
use crate::graphql::scalars::DateTime;

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

/// Arguments of `createSeller` and `createBuyer`.
#[derive(Deserialize)]
pub(in crate::graphql) struct AccountArgs {
    pub(in crate::graphql) name: String,
    pub(in crate::graphql) id: Option<ID>,
}

/// Arguments of `issueApiKey`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graphql) struct IssueKeyArgs {
    pub(in crate::graphql) account_id: ID,
    pub(in crate::graphql) label: Option<String>,
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

/// Creates a seller.
pub(in crate::graphql) async fn create_seller(
    context: RootContext<'_>,
    arguments: AccountArgs,
) -> Result<Account, Problem> {
    create_account(context, Role::Seller, arguments).await
}

/// Creates a buyer.
pub(in crate::graphql) async fn create_buyer(
    context: RootContext<'_>,
    arguments: AccountArgs,
) -> Result<Account, Problem> {
    create_account(context, Role::Buyer, arguments).await
}

/// Issues a key for an account.
pub(in crate::graphql) async fn issue_api_key(
    context: RootContext<'_>,
    arguments: IssueKeyArgs,
) -> Result<IssuedApiKey, Problem> {
    context.principal()?.admin()?;
    let account = parse_id("accountId", &arguments.account_id)?;

    let services = context.services;
    let issued = services.accounts.issue(account, arguments.label.as_deref());
    Ok(services.write(issued).await?.into())
}

/// Revokes a key.
pub(in crate::graphql) async fn revoke_api_key(
    context: RootContext<'_>,
    arguments: IdArgs,
) -> Result<RevokedApiKey, Problem> {
    context.principal()?.admin()?;
    let key = parse_id("id", &arguments.id)?;

    let services = context.services;
    let revoked_at = services.write(services.accounts.revoke(key)).await?;

    // Other gateways find out at their next check; here there is no reason to wait for it.
    services.keys.check_now();
    Ok(RevokedApiKey {
        id: arguments.id,
        revoked_at: DateTime(revoked_at),
    })
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

async fn create_account(
    context: RootContext<'_>,
    role: Role,
    arguments: AccountArgs,
) -> Result<Account, Problem> {
    context.principal()?.admin()?;
    let id = arguments.id.map(|id| parse_id("id", &id)).transpose()?;

    let services = context.services;
    let created = services.accounts.create(role, &arguments.name, id);
    Ok(services.write(created).await?.into())
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
