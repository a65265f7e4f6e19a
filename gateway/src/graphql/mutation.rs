//! Declaration of mutations: their names, arguments and descriptions. Each resolver is one call of the root function that
//! does the work.

use async_graphql::{Context, ID, Object, Result};

use super::access::AccessPayload;
use super::account::{Account, IssuedApiKey, RevokedApiKey};
use super::context::RootContext;
use super::deal::DealPayload;
use super::deal_input::{CreateDealInput, UpdateDealInput};
use super::operator::EventDecisionPayload;
use super::roots::{
    self, AccountArgs, CreateDealArgs, DecisionArgs, GrantArgs, IdArgs, IssueKeyArgs,
    RegisterWebhookArgs, ReplayArgs, UpdateDealArgs, UpdateWebhookArgs,
};
use super::scalars::DateTime;
use super::webhook::{
    DeleteWebhookPayload, WebhookDeliveryPayload, WebhookPayload, WebhookSecretPayload,
};
use super::webhook_input::{RegisterWebhookInput, UpdateWebhookInput};
use super::webhook_replay::{ReplayWebhookInput, WebhookReplay};

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
        Ok(roots::create_deal(
            RootContext::of(context),
            CreateDealArgs {
                input,
                idempotency_key,
            },
        )
        .await?)
    }

    /// Sellers only. Changes a deal. Fails with CONFLICT if the deal does not have the expectedVersion.
    async fn update_deal(
        &self,
        context: &Context<'_>,
        input: UpdateDealInput,
        idempotency_key: Option<String>,
    ) -> Result<DealPayload> {
        Ok(roots::update_deal(
            RootContext::of(context),
            UpdateDealArgs {
                input,
                idempotency_key,
            },
        )
        .await?)
    }

    /// Sellers and administrators. Lets a buyer see the seller's deals and their changes from now on. Administrators must
    /// name the seller.
    async fn grant_access(
        &self,
        context: &Context<'_>,
        buyer_id: ID,
        seller_id: Option<ID>,
    ) -> Result<AccessPayload> {
        Ok(roots::grant_access(
            RootContext::of(context),
            GrantArgs {
                buyer_id,
                seller_id,
            },
        )
        .await?)
    }

    /// Sellers and administrators. Ends a buyer's access: the buyer no longer sees the seller's deals nor their changes from
    /// now on. Administrators must name the seller.
    async fn revoke_access(
        &self,
        context: &Context<'_>,
        buyer_id: ID,
        seller_id: Option<ID>,
    ) -> Result<AccessPayload> {
        Ok(roots::revoke_access(
            RootContext::of(context),
            GrantArgs {
                buyer_id,
                seller_id,
            },
        )
        .await?)
    }

    /// Administrators only. Creates a seller. Repeated with the same id and name, or within 24 hours with the same
    /// idempotencyKey, it returns the same seller.
    async fn create_seller(
        &self,
        context: &Context<'_>,
        name: String,
        id: Option<ID>,
        idempotency_key: Option<String>,
    ) -> Result<Account> {
        Ok(roots::create_seller(
            RootContext::of(context),
            AccountArgs {
                name,
                id,
                idempotency_key,
            },
        )
        .await?)
    }

    /// Administrators only. Creates a buyer. Repeated with the same id and name, or within 24 hours with the same
    /// idempotencyKey, it returns the same buyer.
    async fn create_buyer(
        &self,
        context: &Context<'_>,
        name: String,
        id: Option<ID>,
        idempotency_key: Option<String>,
    ) -> Result<Account> {
        Ok(roots::create_buyer(
            RootContext::of(context),
            AccountArgs {
                name,
                id,
                idempotency_key,
            },
        )
        .await?)
    }

    /// Administrators only. Disables an account other than one's own: its API keys and tokens are refused until it is
    /// enabled, and its connections are closed within seconds.
    async fn disable_account(&self, context: &Context<'_>, id: ID) -> Result<Account> {
        Ok(roots::disable_account(RootContext::of(context), IdArgs { id }).await?)
    }

    /// Administrators only. Enables an account. Its API keys are as valid as before it was disabled.
    async fn enable_account(&self, context: &Context<'_>, id: ID) -> Result<Account> {
        Ok(roots::enable_account(RootContext::of(context), IdArgs { id }).await?)
    }

    /// Administrators only. Issues a new API key for an account. The label, 1 to 200 characters, tells its keys apart; from
    /// expiresAt on the key is refused. Repeated within 24 hours with the same idempotencyKey, it returns the same key.
    async fn issue_api_key(
        &self,
        context: &Context<'_>,
        account_id: ID,
        label: Option<String>,
        expires_at: Option<DateTime>,
        idempotency_key: Option<String>,
    ) -> Result<IssuedApiKey> {
        Ok(roots::issue_api_key(
            RootContext::of(context),
            IssueKeyArgs {
                account_id,
                label,
                expires_at,
                idempotency_key,
            },
        )
        .await?)
    }

    /// Administrators only. Revokes an API key. Connections that were opened with it are closed within seconds.
    async fn revoke_api_key(&self, context: &Context<'_>, id: ID) -> Result<RevokedApiKey> {
        Ok(roots::revoke_api_key(RootContext::of(context), IdArgs { id }).await?)
    }

    /// Buyers only. Registers a webhook that is called for every matching change from now on. A buyer may have at most 20;
    /// one more fails with LIMIT_EXCEEDED.
    async fn register_webhook(
        &self,
        context: &Context<'_>,
        input: RegisterWebhookInput,
    ) -> Result<WebhookSecretPayload> {
        Ok(
            roots::register_webhook(RootContext::of(context), RegisterWebhookArgs { input })
                .await?,
        )
    }

    /// Buyers only. Changes a webhook. Deliveries that are owed already stay owed.
    async fn update_webhook(
        &self,
        context: &Context<'_>,
        input: UpdateWebhookInput,
    ) -> Result<WebhookPayload> {
        Ok(roots::update_webhook(RootContext::of(context), UpdateWebhookArgs { input }).await?)
    }

    /// Buyers only. Deletes a webhook. Its pending deliveries become DISCARDED.
    async fn delete_webhook(&self, context: &Context<'_>, id: ID) -> Result<DeleteWebhookPayload> {
        Ok(roots::delete_webhook(RootContext::of(context), IdArgs { id }).await?)
    }

    /// Buyers only. Gives a webhook a new secret. For 24 hours calls are signed with the old secret, too.
    async fn rotate_webhook_secret(
        &self,
        context: &Context<'_>,
        id: ID,
    ) -> Result<WebhookSecretPayload> {
        Ok(roots::rotate_webhook_secret(RootContext::of(context), IdArgs { id }).await?)
    }

    /// Buyers only. Creates a delivery of event TEST for a webhook.
    async fn test_webhook(&self, context: &Context<'_>, id: ID) -> Result<WebhookDeliveryPayload> {
        Ok(roots::test_webhook(RootContext::of(context), IdArgs { id }).await?)
    }

    /// Buyers only. Sends a delivered or dead delivery again, under the same id.
    async fn replay_webhook_delivery(
        &self,
        context: &Context<'_>,
        id: ID,
    ) -> Result<WebhookDeliveryPayload> {
        Ok(roots::replay_webhook_delivery(RootContext::of(context), IdArgs { id }).await?)
    }

    /// Buyers only. Sends finished deliveries of a webhook again as a job: in the order of each deal, and behind live
    /// deliveries. Fails with CONFLICT while another replay of the webhook is running.
    async fn replay_webhook(
        &self,
        context: &Context<'_>,
        input: ReplayWebhookInput,
        idempotency_key: Option<String>,
    ) -> Result<WebhookReplay> {
        Ok(roots::replay_webhook(
            RootContext::of(context),
            ReplayArgs {
                input,
                idempotency_key,
            },
        )
        .await?)
    }

    /// Buyers only. Ends a replay: deliveries that it has not sent yet stay as they were before.
    async fn cancel_webhook_replay(&self, context: &Context<'_>, id: ID) -> Result<WebhookReplay> {
        Ok(roots::cancel_webhook_replay(RootContext::of(context), IdArgs { id }).await?)
    }

    /// Administrators only. Appends the newest readable state of the event's deal or access, from which all readers go on. The
    /// log keeps why, 1 to 1,000 characters, and by, the name of a person beside the account.
    async fn repair_event(
        &self,
        context: &Context<'_>,
        sequence: ID,
        why: String,
        by: Option<String>,
    ) -> Result<EventDecisionPayload> {
        Ok(
            roots::repair_event(RootContext::of(context), DecisionArgs { sequence, why, by })
                .await?,
        )
    }

    /// Administrators only. Lets tables that wait at an event of a newer version go on without it; later events of its deal
    /// or access are set aside with it. Tables that have applied it keep what they applied.
    async fn skip_event(
        &self,
        context: &Context<'_>,
        sequence: ID,
        why: String,
        by: Option<String>,
    ) -> Result<EventDecisionPayload> {
        Ok(roots::skip_event(RootContext::of(context), DecisionArgs { sequence, why, by }).await?)
    }

    /// Administrators only. Gives up what was set aside of the event's deal or access; its next event is applied.
    async fn discard_event(
        &self,
        context: &Context<'_>,
        sequence: ID,
        why: String,
        by: Option<String>,
    ) -> Result<EventDecisionPayload> {
        Ok(
            roots::discard_event(RootContext::of(context), DecisionArgs { sequence, why, by })
                .await?,
        )
    }
}
