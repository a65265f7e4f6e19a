//! Inputs of the mutations of webhooks.

use async_graphql::{ID, InputObject, MaybeUndefined};
use backbone::contract;
use backbone::ids::SellerId;
use serde::Deserialize;
use webhooks::signature::SecretText;
use webhooks::{Changes, Registration};

use super::deal::DealField;
use super::ids::parse_id;
use super::webhook::WebhookEvent;
use crate::error::Problem;

/// A webhook to register.
#[derive(InputObject, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RegisterWebhookInput {
    /// URL to call, with https and at most 2,000 characters.
    url: String,
    /// Events to call it for: at least one, none twice, and not TEST.
    events: Vec<WebhookEvent>,
    /// Sellers whose deals to call it for, 1 to 100; absent or null for every seller that grants access.
    seller_ids: Option<Vec<ID>>,
    /// Fields of which a change must touch one: at least one, none twice; absent or null for every change. Creations are
    /// always sent.
    only_when_changed: Option<Vec<DealField>>,
    /// Description for your own use, at most 500 characters.
    description: Option<String>,
    /// Secret that the receiver knows already, instead of a new one: whsec_ and 24 to 64 bytes in Base64.
    secret: Option<String>,
}

/// Changes to a webhook. Absent fields stay as they are.
#[derive(InputObject, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateWebhookInput {
    /// UUID of the webhook.
    pub(super) id: ID,
    /// URL to call, with https and at most 2,000 characters.
    url: Option<String>,
    /// Events to call it for: at least one, none twice, and not TEST.
    events: Option<Vec<WebhookEvent>>,
    /// Sellers whose deals to call it for, 1 to 100; null for every seller that grants access.
    #[serde(default)]
    seller_ids: MaybeUndefined<Vec<ID>>,
    /// Fields of which a change must touch one: at least one, none twice; null for every change. Creations are always
    /// sent.
    #[serde(default)]
    only_when_changed: MaybeUndefined<Vec<DealField>>,
    /// Description for your own use, at most 500 characters; null removes it.
    #[serde(default)]
    description: MaybeUndefined<String>,
    /// True pauses the webhook; false activates it, also after the server has disabled it.
    paused: Option<bool>,
}

impl RegisterWebhookInput {
    pub(super) fn parse(self) -> Result<Registration, Problem> {
        Ok(Registration {
            url: self.url,
            events: parse_events(self.events),
            seller_ids: self.seller_ids.map(parse_sellers).transpose()?,
            only_when_changed: self.only_when_changed.map(parse_fields),
            description: self.description,
            secret: self.secret.map(SecretText::new),
        })
    }
}

impl UpdateWebhookInput {
    pub(super) fn parse(self) -> Result<Changes, Problem> {
        let seller_ids = if_present(self.seller_ids)
            .map(|ids| ids.map(parse_sellers).transpose())
            .transpose()?;

        Ok(Changes {
            url: self.url,
            events: self.events.map(parse_events),
            seller_ids,
            only_when_changed: if_present(self.only_when_changed)
                .map(|fields| fields.map(parse_fields)),
            description: if_present(self.description),
            paused: self.paused,
        })
    }
}

fn parse_events(events: Vec<WebhookEvent>) -> Vec<webhooks::WebhookEvent> {
    events
        .into_iter()
        .map(webhooks::WebhookEvent::from)
        .collect()
}

fn parse_fields(fields: Vec<DealField>) -> Vec<contract::DealField> {
    fields.into_iter().map(contract::DealField::from).collect()
}

fn parse_sellers(ids: Vec<ID>) -> Result<Vec<SellerId>, Problem> {
    let parse = |(index, id)| parse_id(&format!("input.sellerIds.{index}"), id).map(SellerId);
    ids.iter().enumerate().map(parse).collect()
}

/// Returns `None` for an absent field, and `Some(None)` for null.
fn if_present<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}
