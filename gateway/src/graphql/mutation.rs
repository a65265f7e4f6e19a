//! Mutations. Each authorises, hands the input to the core that has the rules, and converts the answer.

use async_graphql::{Context, ID, Object, Result};
use backbone::accounts::Role;
use backbone::ids::{BuyerId, DeliveryId, SellerId, WebhookId};
use seller_core::{AccessWritten, DealWritten, MutationContext};
use webhooks::{Refusal, Webhooks};

use super::access::{Access, AccessPayload};
use super::account::{Account, IssuedApiKey, RevokedApiKey};
use super::context::{principal, services, trace};
use super::deal::DealPayload;
use super::deal_input::{CreateDealInput, UpdateDealInput};
use super::ids::parse_id;
use super::scalars::DateTime;
use super::webhook::{
    DeleteWebhookPayload, DeliveryState, ReplayPayload, WebhookDeliveryPayload, WebhookPayload,
    WebhookSecretPayload,
};
use super::webhook_input::{RegisterWebhookInput, UpdateWebhookInput};
use crate::error::Problem;

#[derive(Default)]
pub struct Mutation;

/// Writes. With an idempotencyKey, 1 to 200 characters, a mutation can be repeated safely: the same key with the same input
/// returns the first result, and with other input fails with IDEMPOTENCY_KEY_REUSED.
#[Object]
impl Mutation {
    /// Sellers only. Creates a deal.
    async fn create_deal(
        &self,
        context: &Context<'_>,
        input: CreateDealInput,
        idempotency_key: Option<String>,
    ) -> Result<DealPayload> {
        let seller = principal(context)?.seller()?;
        let written = services(context)
            .sellers
            .create_deal(
                seller,
                input.parse()?,
                mutation_context(context, idempotency_key),
            )
            .await;

        let written = written.map_err(|refusal| Problem::refused(refusal, "input."))?;
        Ok(written.into())
    }

    /// Sellers only. Changes a deal. Fails with CONFLICT if the deal does not have the expectedVersion.
    async fn update_deal(
        &self,
        context: &Context<'_>,
        input: UpdateDealInput,
        idempotency_key: Option<String>,
    ) -> Result<DealPayload> {
        let seller = principal(context)?.seller()?;
        let written = services(context)
            .sellers
            .update_deal(
                seller,
                input.parse()?,
                mutation_context(context, idempotency_key),
            )
            .await;

        let written = written.map_err(|refusal| Problem::refused(refusal, "input."))?;
        Ok(written.into())
    }

    /// Sellers and administrators. Lets a buyer see the seller's deals and their changes from now on. Administrators must
    /// name the seller.
    async fn grant_access(
        &self,
        context: &Context<'_>,
        buyer_id: ID,
        seller_id: Option<ID>,
    ) -> Result<AccessPayload> {
        let seller = granting_seller(context, seller_id).await?;
        let buyer = parse_id("buyerId", &buyer_id)?;

        // A grant is an event for ever, so it must not name a buyer that does not exist.
        let services = services(context);
        services
            .read(services.accounts.must_exist(Role::Buyer, buyer))
            .await?;

        let written = services
            .sellers
            .grant_access(seller, BuyerId(buyer), mutation_context(context, None))
            .await;
        let written = written.map_err(|refusal| Problem::refused(refusal, ""))?;

        Ok(written.into())
    }

    /// Sellers and administrators. Ends a buyer's access: the buyer no longer sees the seller's deals nor their changes from
    /// now on. Administrators must name the seller.
    async fn revoke_access(
        &self,
        context: &Context<'_>,
        buyer_id: ID,
        seller_id: Option<ID>,
    ) -> Result<AccessPayload> {
        let seller = granting_seller(context, seller_id).await?;
        let buyer = BuyerId(parse_id("buyerId", &buyer_id)?);

        let written = services(context)
            .sellers
            .revoke_access(seller, buyer, mutation_context(context, None))
            .await;
        let written = written.map_err(|refusal| Problem::refused(refusal, ""))?;

        Ok(written.into())
    }

    /// Administrators only. Creates a seller. Repeated with the same id and name, it returns the same seller.
    async fn create_seller(
        &self,
        context: &Context<'_>,
        name: String,
        id: Option<ID>,
    ) -> Result<Account> {
        create_account(context, Role::Seller, name, id).await
    }

    /// Administrators only. Creates a buyer. Repeated with the same id and name, it returns the same buyer.
    async fn create_buyer(
        &self,
        context: &Context<'_>,
        name: String,
        id: Option<ID>,
    ) -> Result<Account> {
        create_account(context, Role::Buyer, name, id).await
    }

    /// Administrators only. Issues a new API key for an account. The label, 1 to 200 characters, tells its keys apart.
    async fn issue_api_key(
        &self,
        context: &Context<'_>,
        account_id: ID,
        label: Option<String>,
    ) -> Result<IssuedApiKey> {
        principal(context)?.admin()?;
        let account = parse_id("accountId", &account_id)?;

        let services = services(context);
        let issued = services
            .read(services.accounts.issue(account, label.as_deref()))
            .await?;

        Ok(issued.into())
    }

    /// Administrators only. Revokes an API key. Connections that were opened with it are closed within seconds.
    async fn revoke_api_key(&self, context: &Context<'_>, id: ID) -> Result<RevokedApiKey> {
        principal(context)?.admin()?;
        let key = parse_id("id", &id)?;

        let services = services(context);
        let revoked_at = services.read(services.accounts.revoke(key)).await?;

        // Other gateways find out at their next check; here there is no reason to wait for it.
        services.keys.check_now();
        Ok(RevokedApiKey {
            id,
            revoked_at: DateTime(revoked_at),
        })
    }

    /// Buyers only. Registers a webhook that is called for every matching change from now on. A buyer may have at most 20;
    /// one more fails with LIMIT_EXCEEDED.
    async fn register_webhook(
        &self,
        context: &Context<'_>,
        input: RegisterWebhookInput,
    ) -> Result<WebhookSecretPayload> {
        let (buyer, webhooks) = own_webhooks(context)?;
        let registration = input.parse()?;

        let registered = webhooks.register(buyer, registration);
        Ok(answer(context, "input.", registered).await?.into())
    }

    /// Buyers only. Changes a webhook. Deliveries that are owed already stay owed.
    async fn update_webhook(
        &self,
        context: &Context<'_>,
        input: UpdateWebhookInput,
    ) -> Result<WebhookPayload> {
        let (buyer, webhooks) = own_webhooks(context)?;
        let id = parse_webhook_id("input.id", &input.id)?;
        let changes = input.parse()?;

        let updated = webhooks.update(buyer, id, changes);
        let webhook = answer(context, "input.", updated).await?.into();

        Ok(WebhookPayload { webhook })
    }

    /// Buyers only. Deletes a webhook. Its pending deliveries become DISCARDED.
    async fn delete_webhook(&self, context: &Context<'_>, id: ID) -> Result<DeleteWebhookPayload> {
        let (buyer, webhooks) = own_webhooks(context)?;
        let webhook = parse_webhook_id("id", &id)?;

        answer(context, "", webhooks.delete(buyer, webhook)).await?;
        Ok(DeleteWebhookPayload { id })
    }

    /// Buyers only. Gives a webhook a new secret. For 24 hours calls are signed with the old secret, too.
    async fn rotate_webhook_secret(
        &self,
        context: &Context<'_>,
        id: ID,
    ) -> Result<WebhookSecretPayload> {
        let (buyer, webhooks) = own_webhooks(context)?;
        let id = parse_webhook_id("id", &id)?;

        let rotated = webhooks.rotate_secret(buyer, id);
        Ok(answer(context, "", rotated).await?.into())
    }

    /// Buyers only. Creates a delivery of event TEST for a webhook.
    async fn test_webhook(&self, context: &Context<'_>, id: ID) -> Result<WebhookDeliveryPayload> {
        let (buyer, webhooks) = own_webhooks(context)?;
        let id = parse_webhook_id("id", &id)?;

        let delivery = answer(context, "", webhooks.test(buyer, id)).await?.into();
        Ok(WebhookDeliveryPayload { delivery })
    }

    /// Buyers only. Sends a delivered or dead delivery again, under the same id.
    async fn replay_webhook_delivery(
        &self,
        context: &Context<'_>,
        id: ID,
    ) -> Result<WebhookDeliveryPayload> {
        let (buyer, webhooks) = own_webhooks(context)?;
        let id = DeliveryId(parse_id("id", &id)?);

        let replayed = webhooks.replay(buyer, id);
        let delivery = answer(context, "", replayed).await?.into();
        Ok(WebhookDeliveryPayload { delivery })
    }

    /// Buyers only. Sends all dead deliveries of a webhook again, or all delivered ones; with since, only deliveries that
    /// were created at that time or later.
    async fn replay_webhook_deliveries(
        &self,
        context: &Context<'_>,
        webhook_id: ID,
        #[graphql(default_with = "DeliveryState::Dead")] state: DeliveryState,
        since: Option<DateTime>,
    ) -> Result<ReplayPayload> {
        let (buyer, webhooks) = own_webhooks(context)?;
        let id = parse_webhook_id("webhookId", &webhook_id)?;

        let replayed = webhooks.replay_many(buyer, id, state.into(), since.map(|since| since.0));
        let count = answer(context, "", replayed).await?;
        Ok(ReplayPayload { count })
    }
}

fn mutation_context(context: &Context<'_>, idempotency_key: Option<String>) -> MutationContext {
    MutationContext {
        key: idempotency_key,
        trace: Some(trace(context)),
    }
}

fn own_webhooks<'a>(context: &Context<'a>) -> Result<(BuyerId, &'a Webhooks), Problem> {
    Ok((principal(context)?.buyer()?, &services(context).webhooks))
}

/// Awaits the answer to a request about webhooks, within the time limit of database calls. `root` begins the paths of
/// invalid fields.
async fn answer<T>(
    context: &Context<'_>,
    root: &str,
    request: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Problem> {
    // Two layers: an error of the time limit, and within it the answer or refusal itself.
    let answered = async { Ok::<_, Problem>(request.await) };
    services(context)
        .read(answered)
        .await?
        .map_err(|refusal| Problem::webhook(refusal, root))
}

fn parse_webhook_id(path: &str, id: &ID) -> Result<WebhookId, Problem> {
    parse_id(path, id).map(WebhookId)
}

/// Returns the seller whose access is granted or revoked: the caller, or the one that an administrator names.
async fn granting_seller(context: &Context<'_>, named: Option<ID>) -> Result<SellerId, Problem> {
    let caller = principal(context)?;
    let named = named.map(|id| parse_id("sellerId", &id)).transpose()?;

    match (caller.role(), named) {
        (Role::Admin, Some(id)) => {
            let services = services(context);
            services
                .read(services.accounts.must_exist(Role::Seller, id))
                .await?;
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
    context: &Context<'_>,
    role: Role,
    name: String,
    id: Option<ID>,
) -> Result<Account> {
    principal(context)?.admin()?;
    let id = id.map(|id| parse_id("id", &id)).transpose()?;

    let services = services(context);
    let account = services
        .read(services.accounts.create(role, &name, id))
        .await?;

    Ok(account.into())
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
