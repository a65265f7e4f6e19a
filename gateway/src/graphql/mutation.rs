//! Mutations: each authorises, hands the input to the side that knows the rules, and shows what it answered.

use async_graphql::{Context, ID, Object, Result};
use backbone::accounts::{Account as StoredAccount, Role};
use backbone::ids::{BuyerId, SellerId};
use seller_core::{AccessWritten, Asked, DealWritten};
use uuid::Uuid;

use super::access::{Access, AccessPayload};
use super::account::{Account, IssuedApiKey, RevokedApiKey};
use super::deal::{CreateDealInput, DealPayload, UpdateDealInput, uuid};
use super::scalars::DateTime;
use super::{principal, services, trace};
use crate::error::{Code, Field, Problem};

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
        if services.read(services.buyers.accounts().find(buyer)).await?.is_none() {
            return Err(Problem::new(Code::NotFound, "there is no such buyer").into());
        }
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
        let label = label.map(|label| text("label", &label)).transpose()?;
        for accounts in [services.sellers.accounts(), services.buyers.accounts()] {
            if services.read(accounts.find(account)).await?.is_some() {
                return Ok(services.read(accounts.issue(account, label.as_deref())).await?.into());
            }
        }
        Err(Problem::new(Code::NotFound, "there is no such account").into())
    }

    /// Administrators: ends a key, and within seconds what it has opened
    async fn revoke_api_key(&self, context: &Context<'_>, id: ID) -> Result<RevokedApiKey> {
        principal(context)?.admin()?;
        let (services, key) = (services(context), uuid("id", &id)?);
        for accounts in [services.sellers.accounts(), services.buyers.accounts()] {
            if let Some(at) = services.read(accounts.revoke(key)).await? {
                services.keys.check_now();
                return Ok(RevokedApiKey { id, revoked_at: DateTime(at) });
            }
        }
        Err(Problem::new(Code::NotFound, "there is no such key").into())
    }
}

/// Whose access is granted or revoked: the caller's own, or the one an administrator names.
async fn granting_seller(context: &Context<'_>, named: Option<ID>) -> Result<SellerId, Problem> {
    let caller = principal(context)?;
    let named = named.map(|id| uuid("sellerId", &id)).transpose()?;
    match (caller.role(), named) {
        (Role::Admin, Some(id)) => {
            let services = services(context);
            let account = services.read(services.sellers.accounts().find(id)).await?;
            match account {
                Some(StoredAccount { role: Role::Seller, .. }) => Ok(SellerId(id)),
                _ => Err(Problem::new(Code::NotFound, "there is no such seller")),
            }
        }
        (Role::Admin, None) => Err(Problem::input("sellerId", "is needed from an administrator")),
        (_, Some(id)) if id != caller.id() => Err(Problem::forbidden("this is another seller")),
        _ => caller.seller(),
    }
}

async fn create_account(context: &Context<'_>, role: Role, name: String, id: Option<ID>) -> Result<Account> {
    principal(context)?.admin()?;
    let services = services(context);
    let name = text("name", &name)?;
    let id: Option<Uuid> = id.map(|id| uuid("id", &id)).transpose()?;
    let (accounts, others) = match role {
        Role::Buyer => (services.buyers.accounts(), services.sellers.accounts()),
        Role::Seller | Role::Admin => (services.sellers.accounts(), services.buyers.accounts()),
    };
    let taken = || Problem::new(Code::Conflict, "the id belongs to another account");
    if let Some(id) = id
        && services.read(others.find(id)).await?.is_some()
    {
        return Err(taken().into());
    }
    let account = services.read(accounts.create(id, role, &name)).await?;
    if account.role != role || account.name != name {
        return Err(taken().into());
    }
    Ok(account.into())
}

fn text(path: &str, text: &str) -> Result<String, Problem> {
    let mut wrong = Vec::new();
    let text = seller_core::text(text, path, &mut wrong);
    let fields: Vec<Field> =
        wrong.into_iter().map(|field| Field { path: field.path, message: field.message }).collect();
    if fields.is_empty() { Ok(text) } else { Err(Problem::inputs(fields)) }
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
