//! Mutations: each authorises, hands the input to the side that knows the rules, and shows what it answered.

use async_graphql::{Context, ID, Object, Result};
use backbone::accounts::Role;
use backbone::ids::{BuyerId, SellerId};
use seller_core::{AccessWritten, Asked, DealWritten};

use super::access::{Access, AccessPayload};
use super::account::{Account, IssuedApiKey, RevokedApiKey};
use super::deal::{CreateDealInput, DealPayload, UpdateDealInput, uuid};
use super::scalars::DateTime;
use super::{principal, services, trace};
use crate::error::Problem;

#[derive(Default)]
pub struct Mutation;

#[Object]
impl Mutation {
    /// Sellers: begins a deal
    async fn create_deal(
        &self,
        context: &Context<'_>,
        input: CreateDealInput,
        idempotency_key: Option<String>,
    ) -> Result<DealPayload> {
        let seller = principal(context)?.seller()?;
        let asked = Asked { key: idempotency_key, trace: Some(trace(context)) };
        let written = services(context).sellers.create_deal(seller, input.read()?, asked).await;
        Ok(written.map_err(|refusal| Problem::refused(refusal, "input."))?.into())
    }

    /// Sellers: changes a deal
    async fn update_deal(
        &self,
        context: &Context<'_>,
        input: UpdateDealInput,
        idempotency_key: Option<String>,
    ) -> Result<DealPayload> {
        let seller = principal(context)?.seller()?;
        let asked = Asked { key: idempotency_key, trace: Some(trace(context)) };
        let written = services(context).sellers.update_deal(seller, input.read()?, asked).await;
        Ok(written.map_err(|refusal| Problem::refused(refusal, "input."))?.into())
    }

    /// Sellers: lets a buyer see their deals from now on. Administrators name the seller
    async fn grant_access(
        &self,
        context: &Context<'_>,
        buyer_id: ID,
        seller_id: Option<ID>,
    ) -> Result<AccessPayload> {
        let seller = granting_seller(context, seller_id).await?;
        let (services, buyer) = (services(context), uuid("buyerId", &buyer_id)?);
        services.read(services.accounts.must_exist(Role::Buyer, buyer)).await?;
        let asked = Asked { key: None, trace: Some(trace(context)) };
        let written = services.sellers.grant_access(seller, BuyerId(buyer), asked).await;
        Ok(written.map_err(|refusal| Problem::refused(refusal, ""))?.into())
    }

    /// Sellers: ends a buyer's access; changes from here on are not shown. Administrators name the seller
    async fn revoke_access(
        &self,
        context: &Context<'_>,
        buyer_id: ID,
        seller_id: Option<ID>,
    ) -> Result<AccessPayload> {
        let seller = granting_seller(context, seller_id).await?;
        let buyer = BuyerId(uuid("buyerId", &buyer_id)?);
        let asked = Asked { key: None, trace: Some(trace(context)) };
        let written = services(context).sellers.revoke_access(seller, buyer, asked).await;
        Ok(written.map_err(|refusal| Problem::refused(refusal, ""))?.into())
    }

    /// Administrators: a new seller. Again with the same id and name: the same seller
    async fn create_seller(&self, context: &Context<'_>, name: String, id: Option<ID>) -> Result<Account> {
        create_account(context, Role::Seller, name, id).await
    }

    /// Administrators: a new buyer. Again with the same id and name: the same buyer
    async fn create_buyer(&self, context: &Context<'_>, name: String, id: Option<ID>) -> Result<Account> {
        create_account(context, Role::Buyer, name, id).await
    }

    /// Administrators: a new key of an account
    async fn issue_api_key(
        &self,
        context: &Context<'_>,
        account_id: ID,
        label: Option<String>,
    ) -> Result<IssuedApiKey> {
        principal(context)?.admin()?;
        let (services, account) = (services(context), uuid("accountId", &account_id)?);
        Ok(services.read(services.accounts.issue(account, label.as_deref())).await?.into())
    }

    /// Administrators: ends a key, and within seconds what it has opened
    async fn revoke_api_key(&self, context: &Context<'_>, id: ID) -> Result<RevokedApiKey> {
        principal(context)?.admin()?;
        let (services, key) = (services(context), uuid("id", &id)?);
        let at = services.read(services.accounts.revoke(key)).await?;
        services.keys.check_now();
        Ok(RevokedApiKey { id, revoked_at: DateTime(at) })
    }
}

/// Whose access is granted or revoked: the caller's own, or the one an administrator names.
async fn granting_seller(context: &Context<'_>, named: Option<ID>) -> Result<SellerId, Problem> {
    let caller = principal(context)?;
    let named = named.map(|id| uuid("sellerId", &id)).transpose()?;
    match (caller.role(), named) {
        (Role::Admin, Some(id)) => {
            let services = services(context);
            services.read(services.accounts.must_exist(Role::Seller, id)).await?;
            Ok(SellerId(id))
        }
        (Role::Admin, None) => Err(Problem::input("sellerId", "is needed from an administrator")),
        (_, Some(id)) if id != caller.id() => Err(Problem::forbidden("this is another seller")),
        _ => caller.seller(),
    }
}

async fn create_account(context: &Context<'_>, role: Role, name: String, id: Option<ID>) -> Result<Account> {
    principal(context)?.admin()?;
    let services = services(context);
    let id = id.map(|id| uuid("id", &id)).transpose()?;
    Ok(services.read(services.accounts.create(role, &name, id)).await?.into())
}

impl From<DealWritten> for DealPayload {
    fn from(written: DealWritten) -> Self {
        Self { deal: written.deal.into(), position: written.position.into() }
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
