//! Schema of the API: the declaration of its types by async-graphql, its text, and what documents are compiled against.

use std::sync::Arc;

use async_graphql::SDLExportOptions;
use documents::{ListSize, OutputType, PageRule, PageSize, Schema as DocumentSchema};

use super::access::{Access, AccessConnection, AccessEdge, AccessPayload};
use super::account::{Account, ApiKey, IssuedApiKey, RevokedApiKey, Viewer};
use super::change::{AccessChange, DealChange, DealChangePage};
use super::connection::{DEFAULT_PAGE, DealConnection, DealEdge, MAX_PAGE, PageInfo};
use super::deal::{Deal, DealItem, DealPayload, Discount};
use super::node::Node;
use super::operator::{
    DeadEvent, EventDecisionPayload, ProjectionState, StoredEvent, StoredEventHeader,
};
use super::webhook::{
    DeleteWebhookPayload, DeliveryCounts, Webhook, WebhookAttempt, WebhookDelivery,
    WebhookDeliveryConnection, WebhookDeliveryEdge, WebhookDeliveryPayload, WebhookPayload,
    WebhookSecretPayload,
};
use super::webhook_replay::WebhookReplay;
use super::{mutation, query, scalars, subscription};

/// Declaration of the API. It prints the schema; nothing is executed by it in production.
pub type Schema =
    async_graphql::Schema<query::Query, mutation::Mutation, subscription::Subscription>;

type Builder =
    async_graphql::SchemaBuilder<query::Query, mutation::Mutation, subscription::Subscription>;

/// Size of a page, and the arguments that give it.
const PAGE: PageRule = PageRule {
    arguments: &["first", "last"],
    default: DEFAULT_PAGE as u64,
    most: MAX_PAGE as u64,
    exceptions: &[(
        "changes",
        PageSize {
            default: 100,
            most: 500,
        },
    )],
};

/// Largest number of entries of every list. Where no rule of the market sets one, it is a multiple of what occurs.
const LISTS: [(&str, &str, ListSize); 18] = [
    ("AccessConnection", "edges", ListSize::Page),
    ("AccessConnection", "nodes", ListSize::Page),
    ("Deal", "items", ListSize::AtMost(100)),
    ("DealChange", "changedFields", ListSize::AtMost(5)),
    ("DealChangePage", "changes", ListSize::Page),
    ("DealConnection", "edges", ListSize::Page),
    ("DealConnection", "nodes", ListSize::Page),
    ("Query", "apiKeys", ListSize::AtMost(1_000)),
    ("Query", "deadEvents", ListSize::Page),
    ("Query", "projections", ListSize::AtMost(2)),
    ("Query", "webhookReplays", ListSize::AtMost(100)),
    ("Query", "webhooks", ListSize::AtMost(20)),
    ("StoredEvent", "headers", ListSize::AtMost(20)),
    ("Webhook", "events", ListSize::AtMost(2)),
    ("Webhook", "sellerIds", ListSize::AtMost(100)),
    ("WebhookDelivery", "attempts", ListSize::AtMost(50)),
    ("WebhookDeliveryConnection", "edges", ListSize::Page),
    ("WebhookDeliveryConnection", "nodes", ListSize::Page),
];

pub(super) fn builder() -> Builder {
    Schema::build(query::Query, mutation::Mutation, subscription::Subscription)
        .register_output_type::<Node>()
}

/// Returns the schema in the schema definition language, as the file `schema.graphql` holds it.
pub fn sdl() -> String {
    let options = SDLExportOptions::new()
        .include_specified_by()
        .prefer_single_line_descriptions();
    let sdl = builder().finish().sdl_with_options(options);
    sdl.replace('\t', "  ")
}

/// Executes a request by the declaration's own library instead of the gateway's engine.
#[cfg(feature = "testkit")]
pub async fn execute_declared(
    request: async_graphql::Request,
    services: crate::services::Services,
    caller: super::Caller,
) -> async_graphql::Response {
    let declared = builder().data(services).data(caller).finish();
    declared.execute(request).await
}

/// Builds the schema that documents are compiled against.
///
/// # Panics
/// If the renderers, the scalars' rules or the sizes of lists do not fit the declaration. All of them are part of the
/// program, and a test builds the schema.
pub(super) fn document_schema() -> Arc<DocumentSchema> {
    let schema = DocumentSchema::new(&sdl(), &scalars::RULES, outputs(), &LISTS, PAGE);
    Arc::new(schema.unwrap_or_else(|error| panic!("the parts of the schema fit: {error}")))
}

fn outputs() -> Vec<OutputType> {
    vec![
        OutputType::of::<Access>(),
        OutputType::of::<AccessChange>(),
        OutputType::of::<AccessConnection>(),
        OutputType::of::<AccessEdge>(),
        OutputType::of::<AccessPayload>(),
        OutputType::of::<Account>(),
        OutputType::of::<ApiKey>(),
        OutputType::of::<DeadEvent>(),
        OutputType::of::<Deal>(),
        OutputType::of::<DealChange>(),
        OutputType::of::<DealChangePage>(),
        OutputType::of::<DealConnection>(),
        OutputType::of::<DealEdge>(),
        OutputType::of::<DealItem>(),
        OutputType::of::<DealPayload>(),
        OutputType::of::<DeleteWebhookPayload>(),
        OutputType::of::<DeliveryCounts>(),
        OutputType::of::<Discount>(),
        OutputType::of::<EventDecisionPayload>(),
        OutputType::of::<IssuedApiKey>(),
        OutputType::of::<PageInfo>(),
        OutputType::of::<ProjectionState>(),
        OutputType::of::<RevokedApiKey>(),
        OutputType::of::<StoredEvent>(),
        OutputType::of::<StoredEventHeader>(),
        OutputType::of::<Viewer>(),
        OutputType::of::<Webhook>(),
        OutputType::of::<WebhookAttempt>(),
        OutputType::of::<WebhookDelivery>(),
        OutputType::of::<WebhookDeliveryConnection>(),
        OutputType::of::<WebhookDeliveryEdge>(),
        OutputType::of::<WebhookDeliveryPayload>(),
        OutputType::of::<WebhookPayload>(),
        OutputType::of::<WebhookReplay>(),
        OutputType::of::<WebhookSecretPayload>(),
    ]
}

#[cfg(test)]
mod tests {
    use documents::{Limits, Plan};
    use serde_json::Map;

    use super::*;

    #[test]
    fn every_field_of_the_schema_has_exactly_one_renderer() {
        // Building compares the fields of every type with the table of its renderer.
        let _schema = document_schema();
    }

    #[test]
    fn page_of_every_field_costs_what_the_settings_say() {
        let text = "{ dealsForBuyer(first: 100) { nodes { id sellerId name totalPrice finalPrice currency status
            discount { type amount percentage } items { id name price } version createdAt updatedAt } } }";
        let schema = document_schema();
        let plan = Plan::new(&schema, text, None, &Limits::default()).map(Arc::new);
        let plan = plan.expect("the document is valid");
        let request = plan.bind(&schema, &Map::new());

        let cost = request.expect("there are no variables").cost(&schema);
        assert_eq!(cost, 41_501);
    }
}
