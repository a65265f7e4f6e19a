//! Objects that are found by their id alone, whatever their type (Relay's global object identification).

use async_graphql::{ID, Interface};
use documents::{Out, Render, Selection};

use super::deal::Deal;
use super::webhook::{Webhook, WebhookDelivery};

/// Object with a UUID that is unique over all types, in its canonical form.
#[derive(Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "UUID of the object, unique over all types."
))]
pub(super) enum Node {
    Deal(Deal),
    Webhook(Webhook),
    WebhookDelivery(WebhookDelivery),
}

impl Render for Node {
    fn render(&self, selection: &Selection, out: &mut Out<'_>) {
        match self {
            Self::Deal(deal) => deal.render(selection, out),
            Self::Webhook(webhook) => webhook.render(selection, out),
            Self::WebhookDelivery(delivery) => delivery.render(selection, out),
        }
    }
}
