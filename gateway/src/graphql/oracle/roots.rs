//! Root fields over the fixtures of a world, which record their calls and fail, answer null or wait as they are told.

use std::collections::HashMap;
use std::sync::Arc;

use documents::{Arguments, Render, Root};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::yield_now;

use super::world::World;
use crate::error::Problem;
use crate::graphql::access::AccessPayload;
use crate::graphql::account::RevokedApiKey;
use crate::graphql::change::DealChangePage;
use crate::graphql::deal::DealPayload;
use crate::graphql::operator::EventDecisionPayload;
use crate::graphql::roots::{self, Output, RootCall, Roots, read};
use crate::graphql::scalars::DateTime;
use crate::graphql::webhook::{
    DeleteWebhookPayload, WebhookDeliveryPayload, WebhookPayload, WebhookSecretPayload,
};

/// Arguments whose values are looked up in a request's behaviour, in this order.
const IDS: [&str; 5] = ["id", "webhookId", "accountId", "buyerId", "sellerId"];

/// Behaviour of a root field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Effect {
    /// The field fails.
    Fail,
    /// The field is null, or fails if it may not be.
    Null,
    /// The field answers after the others.
    Slow,
}

/// Root fields of one request.
pub(super) struct FixtureRoots {
    world: Arc<World>,
    behaviour: HashMap<String, Effect>,
    // A lock, since root fields of a query run together on shared references.
    calls: Mutex<Vec<Value>>,
}

impl FixtureRoots {
    pub(super) fn new(world: Arc<World>, behaviour: HashMap<String, Effect>) -> Self {
        Self {
            world,
            behaviour,
            calls: Mutex::default(),
        }
    }

    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// Returns the calls so far, in the order of their start.
    pub(super) fn calls(&self) -> Vec<Value> {
        self.calls.lock().clone()
    }

    pub(super) fn record(&self, root: &Root, arguments: &Arguments) {
        self.calls.lock().push(json!({
            "field": root.field(),
            "key": &**root.response_key(),
            "arguments": arguments,
        }));
    }

    fn effect(&self, root: &Root, arguments: &Arguments) -> Option<Effect> {
        let arguments = json!(arguments);
        let values = IDS.iter().map(|name| &arguments[*name]);
        let keys = values.chain([&arguments["input"]["id"]]);
        let keys = keys.filter_map(Value::as_str);

        [&**root.response_key()]
            .into_iter()
            .chain(keys)
            .find_map(|key| self.behaviour.get(key).copied())
    }

    async fn execute(&self, call: RootCall<'_>) -> Result<Output, Problem> {
        self.record(call.root, &call.arguments);

        let failure = || Err(Problem::internal("the fixture fails as it was told to"));
        match self.effect(call.root, &call.arguments) {
            Some(Effect::Fail) => return failure(),
            Some(Effect::Null) if !call.root.nullable() => return failure(),
            Some(Effect::Null) => return Ok(Box::new(None::<bool>)),
            Some(Effect::Slow) => {
                // Two turns of the scheduler: every other root field has answered by then.
                yield_now().await;
                yield_now().await;
            }
            None => {}
        }

        self.read_field(call.root.field(), &call.arguments)
    }

    /// Answers a query, after reading the arguments into the types that the market's root functions take.
    fn read_field(&self, field: &str, arguments: &Arguments) -> Result<Output, Problem> {
        let world = &self.world;

        Ok(match field {
            "viewer" => output(world.viewer()),
            "node" => {
                let arguments: roots::IdArgs = read(arguments)?;
                output(world.node(&arguments.id))
            }
            "deal" => {
                let arguments: roots::DealArgs = read(arguments)?;
                output(world.deal(&arguments.id))
            }
            "dealsForBuyer" | "dealsForSeller" => {
                let arguments: roots::DealsArgs = read(arguments)?;
                output(world.deals(arguments.first.or(arguments.last)))
            }
            "accessForBuyer" => {
                let arguments: roots::AccessArgs = read(arguments)?;
                output(world.accesses(arguments.first, true))
            }
            "accessForSeller" => {
                let arguments: roots::AccessArgs = read(arguments)?;
                output(world.accesses(arguments.first, false))
            }
            "changes" => {
                let arguments: roots::ChangesArgs = read(arguments)?;
                output(DealChangePage::from(world.pulled(arguments.first)))
            }
            "projections" => output(world.log.projections()),
            "deadEvents" => {
                let arguments: roots::DeadEventsArgs = read(arguments)?;
                output(world.log.dead_events(arguments.side, arguments.first))
            }
            "storedEvent" => {
                let _read: roots::EventArgs = read(arguments)?;
                output(world.log.stored_event())
            }
            "apiKeys" => {
                let _read: roots::KeysArgs = read(arguments)?;
                output(world.api_keys())
            }
            "webhooks" => output(world.webhooks()),
            "webhookDeliveries" => {
                let arguments: roots::DeliveriesArgs = read(arguments)?;
                output(world.deliveries(arguments.first))
            }
            "webhookReplays" => {
                let _read: roots::ReplaysArgs = read(arguments)?;
                output(world.replays())
            }
            _ => return self.write_field(field, arguments),
        })
    }

    fn write_field(&self, field: &str, arguments: &Arguments) -> Result<Output, Problem> {
        let world = &self.world;

        Ok(match field {
            "createDeal" => {
                let _read: roots::CreateDealArgs = read(arguments)?;
                output(self.deal_payload())
            }
            "updateDeal" => {
                let _read: roots::UpdateDealArgs = read(arguments)?;
                output(self.deal_payload())
            }
            "grantAccess" | "revokeAccess" => {
                let _read: roots::GrantArgs = read(arguments)?;
                output(AccessPayload {
                    access: world.access(),
                    granted: field == "grantAccess",
                    position: world.position(),
                })
            }
            "createSeller" | "createBuyer" => {
                let _read: roots::AccountArgs = read(arguments)?;
                output(world.account(usize::from(field == "createBuyer")))
            }
            "disableAccount" | "enableAccount" => {
                let _read: roots::IdArgs = read(arguments)?;
                output(world.account(usize::from(field == "disableAccount")))
            }
            "issueApiKey" => {
                let _read: roots::IssueKeyArgs = read(arguments)?;
                output(world.issued_key())
            }
            "revokeApiKey" => {
                let _read: roots::IdArgs = read(arguments)?;
                let (id, revoked_at) = world.revoked_key();
                output(RevokedApiKey {
                    id: id.into(),
                    revoked_at: DateTime(revoked_at),
                })
            }
            "repairEvent" | "skipEvent" | "discardEvent" => {
                let arguments: roots::DecisionArgs = read(arguments)?;
                output(EventDecisionPayload {
                    sequence: arguments.sequence,
                    position: world.position(),
                })
            }
            _ => return self.write_webhook(field, arguments),
        })
    }

    fn write_webhook(&self, field: &str, arguments: &Arguments) -> Result<Output, Problem> {
        let world = &self.world;

        Ok(match field {
            "registerWebhook" => {
                let _read: roots::RegisterWebhookArgs = read(arguments)?;
                output(self.secret_payload())
            }
            "rotateWebhookSecret" => {
                let _read: roots::IdArgs = read(arguments)?;
                output(self.secret_payload())
            }
            "updateWebhook" => {
                let _read: roots::UpdateWebhookArgs = read(arguments)?;
                output(WebhookPayload {
                    webhook: world.webhook(),
                })
            }
            "deleteWebhook" => {
                let _read: roots::IdArgs = read(arguments)?;
                output(DeleteWebhookPayload {
                    id: world.webhook_id().into(),
                })
            }
            "testWebhook" | "replayWebhookDelivery" => {
                let _read: roots::IdArgs = read(arguments)?;
                output(WebhookDeliveryPayload {
                    delivery: world.delivery(),
                })
            }
            "replayWebhook" => {
                let _read: roots::ReplayArgs = read(arguments)?;
                output(world.replay())
            }
            "cancelWebhookReplay" => {
                let _read: roots::IdArgs = read(arguments)?;
                output(world.replay())
            }
            unknown => return Err(Problem::internal(format!("no fixture for {unknown}"))),
        })
    }

    fn deal_payload(&self) -> DealPayload {
        DealPayload {
            deal: self.world.first_deal(),
            position: self.world.position(),
        }
    }

    fn secret_payload(&self) -> WebhookSecretPayload {
        WebhookSecretPayload {
            webhook: self.world.webhook(),
            secret: self.world.secret(),
        }
    }
}

impl Roots for FixtureRoots {
    fn resolve<'a>(&'a self, call: RootCall<'a>) -> BoxFuture<'a, Result<Output, Problem>> {
        self.execute(call).boxed()
    }
}

fn output(value: impl Render + Send + 'static) -> Output {
    Box::new(value)
}
