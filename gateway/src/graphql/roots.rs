//! Root fields: what each does for a caller with its arguments. Rules and stores belong to the cores; a root function
//! authorises, converts and hands on.

mod account;
mod operator;
mod query;
mod subscription;
mod webhook;
mod webhook_replay;
mod write;

use documents::{Arguments, Render, Root};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;

pub(super) use account::*;
pub(super) use operator::*;
pub(super) use query::*;
pub(super) use subscription::*;
pub(super) use webhook::*;
pub(super) use webhook_replay::*;
pub(super) use write::*;

use super::context::{Caller, RootContext};
use crate::error::Problem;
use crate::services::Services;

/// Result of a root field, to be rendered once all root fields have theirs.
pub(super) type Output = Box<dyn Render + Send>;

/// One root field to execute.
pub(super) struct RootCall<'a> {
    pub(super) root: &'a Root,
    pub(super) arguments: Arguments,
    pub(super) caller: &'a Caller,
}

/// Execution of the root fields of queries and mutations, by the market's services or the fixtures of a test.
pub(super) trait Roots: Send + Sync {
    /// Executes a root field.
    fn resolve<'a>(&'a self, call: RootCall<'a>) -> BoxFuture<'a, Result<Output, Problem>>;
}

/// Root fields over the services of a market.
pub(super) struct MarketRoots {
    pub(super) services: Services,
}

impl Roots for MarketRoots {
    fn resolve<'a>(&'a self, call: RootCall<'a>) -> BoxFuture<'a, Result<Output, Problem>> {
        // One box for each root field, and none below it.
        self.execute(call).boxed()
    }
}

impl MarketRoots {
    async fn execute(&self, call: RootCall<'_>) -> Result<Output, Problem> {
        let context = RootContext {
            services: &self.services,
            caller: call.caller,
        };
        let arguments = &call.arguments;

        Ok(match call.root.field() {
            "viewer" => output(viewer(context)?),
            "node" => output(node(context, read(arguments)?).await?),
            "deal" => output(deal(context, read(arguments)?).await?),
            "dealsForBuyer" => output(deals_for_buyer(context, read(arguments)?).await?),
            "dealsForSeller" => output(deals_for_seller(context, read(arguments)?).await?),
            "accessForBuyer" => output(access_for_buyer(context, read(arguments)?).await?),
            "accessForSeller" => output(access_for_seller(context, read(arguments)?).await?),
            "changes" => output(changes(context, read(arguments)?).await?),
            "projections" => output(projections(context).await?),
            "deadEvents" => output(dead_events(context, read(arguments)?).await?),
            "storedEvent" => output(stored_event(context, read(arguments)?).await?),
            "apiKeys" => output(api_keys(context, read(arguments)?).await?),
            "webhooks" => output(webhooks(context).await?),
            "webhookDeliveries" => output(webhook_deliveries(context, read(arguments)?).await?),
            "webhookReplays" => output(webhook_replays(context, read(arguments)?).await?),
            "createDeal" => output(create_deal(context, read(arguments)?).await?),
            "updateDeal" => output(update_deal(context, read(arguments)?).await?),
            "grantAccess" => output(grant_access(context, read(arguments)?).await?),
            "revokeAccess" => output(revoke_access(context, read(arguments)?).await?),
            "createSeller" => output(create_seller(context, read(arguments)?).await?),
            "createBuyer" => output(create_buyer(context, read(arguments)?).await?),
            "disableAccount" => output(disable_account(context, read(arguments)?).await?),
            "enableAccount" => output(enable_account(context, read(arguments)?).await?),
            "issueApiKey" => output(issue_api_key(context, read(arguments)?).await?),
            "revokeApiKey" => output(revoke_api_key(context, read(arguments)?).await?),
            "repairEvent" => output(repair_event(context, read(arguments)?).await?),
            "skipEvent" => output(skip_event(context, read(arguments)?).await?),
            "discardEvent" => output(discard_event(context, read(arguments)?).await?),
            "registerWebhook" => output(register_webhook(context, read(arguments)?).await?),
            "updateWebhook" => output(update_webhook(context, read(arguments)?).await?),
            "deleteWebhook" => output(delete_webhook(context, read(arguments)?).await?),
            "rotateWebhookSecret" => {
                output(rotate_webhook_secret(context, read(arguments)?).await?)
            }
            "testWebhook" => output(test_webhook(context, read(arguments)?).await?),
            "replayWebhookDelivery" => {
                output(replay_webhook_delivery(context, read(arguments)?).await?)
            }
            "replayWebhook" => output(replay_webhook(context, read(arguments)?).await?),
            "cancelWebhookReplay" => {
                output(cancel_webhook_replay(context, read(arguments)?).await?)
            }
            unknown => return Err(Problem::internal(format!("no root field {unknown} exists"))),
        })
    }
}

fn output(value: impl Render + Send + 'static) -> Output {
    Box::new(value)
}

/// Reads the arguments of a root field. They were coerced by the schema, so a mismatch is a fault of the program.
pub(super) fn read<'a, T: Deserialize<'a>>(arguments: &'a Arguments) -> Result<T, Problem> {
    arguments.read().map_err(Problem::internal)
}
