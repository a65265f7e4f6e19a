//! Mutations: each authorises, hands the input to the side that knows the rules, and shows what it answered.

use async_graphql::{Context, ID, Object, Result};
use backbone::accounts::Role;
use backbone::ids::{BuyerId, DeliveryId, SellerId, WebhookId};
use seller_core::{AccessWritten, DealWritten, MutationContext};
use webhooks::{Refusal, Webhooks};

use super::access::{Access, AccessPayload};
use super::account::{Account, IssuedApiKey, RevokedApiKey};
use super::context::{principal, services, trace};
use super::deal::{CreateDealInput, DealPayload, UpdateDealInput, uuid};
use super::scalars::DateTime;
use super::webhook::{
    DeleteWebhookPayload, DeliveryState, RegisterWebhookInput, ReplayPayload, UpdateWebhookInput,
    WebhookDeliveryPayload, WebhookPayload, WebhookSecretPayload,
};
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
        let asked = MutationContext {
            key: idempotency_key,
            trace: Some(trace(context)),
        };
        let written = services(context)
            .sellers
            .create_deal(seller, input.read()?, asked)
            .await;
        Ok(written
            .map_err(|refusal| Problem::refused(refusal, "input."))?
            .into())
    }

    /// Sellers: changes a deal
    async fn update_deal(
        &self,
        context: &Context<'_>,
        input: UpdateDealInput,
        idempotency_key: Option<String>,
    ) -> Result<DealPayload> {
        let seller = principal(context)?.seller()?;
        let asked = MutationContext {
            key: idempotency_key,
            trace: Some(trace(context)),
        };
        let written = services(context)
            .sellers
            .update_deal(seller, input.read()?, asked)
            .await;
        Ok(written
            .map_err(|refusal| Problem::refused(refusal, "input."))?
            .into())
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
        services
            .read(services.accounts.must_exist(Role::Buyer, buyer))
            .await?;
        let asked = MutationContext {
            key: None,
            trace: Some(trace(context)),
        };
        let written = services
            .sellers
            .grant_access(seller, BuyerId(buyer), asked)
            .await;
        Ok(written
            .map_err(|refusal| Problem::refused(refusal, ""))?
            .into())
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
        let asked = MutationContext {
            key: None,
            trace: Some(trace(context)),
        };
        let written = services(context)
            .sellers
            .revoke_access(seller, buyer, asked)
            .await;
        Ok(written
            .map_err(|refusal| Problem::refused(refusal, ""))?
            .into())
    }

    /// Administrators: a new seller. Again with the same id and name: the same seller
    async fn create_seller(
        &self,
        context: &Context<'_>,
        name: String,
        id: Option<ID>,
    ) -> Result<Account> {
        create_account(context, Role::Seller, name, id).await
    }

    /// Administrators: a new buyer. Again with the same id and name: the same buyer
    async fn create_buyer(
        &self,
        context: &Context<'_>,
        name: String,
        id: Option<ID>,
    ) -> Result<Account> {
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
        Ok(services
            .read(services.accounts.issue(account, label.as_deref()))
            .await?
            .into())
    }

    /// Administrators: ends a key, and within seconds what it has opened
    async fn revoke_api_key(&self, context: &Context<'_>, id: ID) -> Result<RevokedApiKey> {
        principal(context)?.admin()?;
        let (services, key) = (services(context), uuid("id", &id)?);
        let at = services.read(services.accounts.revoke(key)).await?;
        services.keys.check_now();
        Ok(RevokedApiKey {
            id,
            revoked_at: DateTime(at),
        })
    }

    /// Buyers: an endpoint that is called for every change from here on; at most 20 a buyer
    async fn register_webhook(
        &self,
        context: &Context<'_>,
        input: RegisterWebhookInput,
    ) -> Result<WebhookSecretPayload> {
        let ((buyer, webhooks), asked) = (own_webhooks(context)?, input.read()?);
        Ok(granted(context, "input.", webhooks.register(buyer, asked))
            .await?
            .into())
    }

    /// Buyers: changes an endpoint; what was owed before stays owed
    async fn update_webhook(
        &self,
        context: &Context<'_>,
        input: UpdateWebhookInput,
    ) -> Result<WebhookPayload> {
        let (buyer, webhooks) = own_webhooks(context)?;
        let (id, asked) = (webhook("input.id", &input.id)?, input.read()?);
        let webhook = granted(context, "input.", webhooks.update(buyer, id, asked))
            .await?
            .into();
        Ok(WebhookPayload { webhook })
    }

    /// Buyers: ends an endpoint; what is pending is discarded
    async fn delete_webhook(&self, context: &Context<'_>, id: ID) -> Result<DeleteWebhookPayload> {
        let ((buyer, webhooks), named) = (own_webhooks(context)?, webhook("id", &id)?);
        granted(context, "", webhooks.delete(buyer, named)).await?;
        Ok(DeleteWebhookPayload { id })
    }

    /// Buyers: a new secret; for 24 hours calls are signed with the old one too
    async fn rotate_webhook_secret(
        &self,
        context: &Context<'_>,
        id: ID,
    ) -> Result<WebhookSecretPayload> {
        let ((buyer, webhooks), id) = (own_webhooks(context)?, webhook("id", &id)?);
        Ok(granted(context, "", webhooks.rotate_secret(buyer, id))
            .await?
            .into())
    }

    /// Buyers: owes an endpoint a call of event TEST
    async fn test_webhook(&self, context: &Context<'_>, id: ID) -> Result<WebhookDeliveryPayload> {
        let ((buyer, webhooks), id) = (own_webhooks(context)?, webhook("id", &id)?);
        let delivery = granted(context, "", webhooks.test(buyer, id)).await?.into();
        Ok(WebhookDeliveryPayload { delivery })
    }

    /// Buyers: sends a delivered or dead delivery again, under the same id
    async fn replay_webhook_delivery(
        &self,
        context: &Context<'_>,
        id: ID,
    ) -> Result<WebhookDeliveryPayload> {
        let ((buyer, webhooks), id) = (own_webhooks(context)?, DeliveryId(uuid("id", &id)?));
        let delivery = granted(context, "", webhooks.replay(buyer, id))
            .await?
            .into();
        Ok(WebhookDeliveryPayload { delivery })
    }

    /// Buyers: sends all of an endpoint's dead deliveries again, or all delivered ones; since: only those owed from then
    /// on
    async fn replay_webhook_deliveries(
        &self,
        context: &Context<'_>,
        webhook_id: ID,
        #[graphql(default_with = "DeliveryState::Dead")] state: DeliveryState,
        since: Option<DateTime>,
    ) -> Result<ReplayPayload> {
        let ((buyer, webhooks), id) = (own_webhooks(context)?, webhook("webhookId", &webhook_id)?);
        let wish = webhooks.replay_many(buyer, id, state.into(), since.map(|since| since.0));
        Ok(ReplayPayload {
            count: granted(context, "", wish).await?,
        })
    }
}

fn own_webhooks<'a>(context: &Context<'a>) -> Result<(BuyerId, &'a Webhooks), Problem> {
    Ok((principal(context)?.buyer()?, &services(context).webhooks))
}

/// What a wish about webhooks came to. `root`: what field paths begin with.
async fn granted<T>(
    context: &Context<'_>,
    root: &str,
    wish: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Problem> {
    let answered = async { Ok::<_, Problem>(wish.await) };
    services(context)
        .read(answered)
        .await?
        .map_err(|refusal| Problem::webhook(refusal, root))
}

fn webhook(path: &str, id: &ID) -> Result<WebhookId, Problem> {
    uuid(path, id).map(WebhookId)
}

/// Whose access is granted or revoked: the caller's own, or the one an administrator names.
async fn granting_seller(context: &Context<'_>, named: Option<ID>) -> Result<SellerId, Problem> {
    let caller = principal(context)?;
    let named = named.map(|id| uuid("sellerId", &id)).transpose()?;
    match (caller.role(), named) {
        (Role::Admin, Some(id)) => {
            let services = services(context);
            services
                .read(services.accounts.must_exist(Role::Seller, id))
                .await?;
            Ok(SellerId(id))
        }
        (Role::Admin, None) => Err(Problem::input(
            "sellerId",
            "is needed from an administrator",
        )),
        (_, Some(id)) if id != caller.id() => Err(Problem::forbidden("this is another seller")),
        _ => caller.seller(),
    }
}

async fn create_account(
    context: &Context<'_>,
    role: Role,
    name: String,
    id: Option<ID>,
) -> Result<Account> {
    principal(context)?.admin()?;
    let services = services(context);
    let id = id.map(|id| uuid("id", &id)).transpose()?;
    Ok(services
        .read(services.accounts.create(role, &name, id))
        .await?
        .into())
}

impl From<DealWritten> for DealPayload {
    fn from(written: DealWritten) -> Self {
        Self {
            deal: written.deal.into(),
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
