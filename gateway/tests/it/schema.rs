//! Public contract: the committed schema is the one that the binary serves, and it contains all of
//! the target schema that is built.

use std::collections::BTreeMap;

use async_graphql_parser::parse_schema;
use async_graphql_parser::types::{
    FieldDefinition, InputValueDefinition, TypeKind, TypeSystemDefinition,
};

/// Types and fields of the target schema that are not built yet.
const NOT_BUILT: [&str; 21] = [
    "AcceptBidPayload",
    "Bid",
    "BidChange",
    "BidConnection",
    "BidDecisionInput",
    "BidEdge",
    "BidPayload",
    "BidStatus",
    "Mutation.acceptBid",
    "Mutation.placeBid",
    "Mutation.rejectBid",
    "Mutation.withdrawBid",
    "PlaceBidInput",
    "Query.bidsForBuyer",
    "Query.bidsForSeller",
    "Subscription.bidChanged",
    "WebhookEvent.BID_ACCEPTED",
    "WebhookEvent.BID_LOST",
    "WebhookEvent.BID_PLACED",
    "WebhookEvent.BID_REJECTED",
    "WebhookEvent.BID_WITHDRAWN",
];

#[test]
fn committed_schema_is_the_one_that_is_served() {
    let committed = include_str!("../../../schema.graphql");

    assert!(
        committed == gateway::graphql::sdl(),
        "schema.graphql is stale: cargo run -- schema > schema.graphql"
    );
}

#[test]
fn served_schema_contains_the_target() {
    let target = members(include_str!("../../../docs/schema-target.graphql"));
    let served = members(&gateway::graphql::sdl());
    let mut faults = Vec::new();

    for (name, kind) in &target {
        // `Query.deal.id` is built if none of `Query`, `Query.deal` and itself is on the list.
        let ends = name
            .match_indices('.')
            .map(|(end, _)| end)
            .chain([name.len()]);
        let built = ends
            .into_iter()
            .all(|end| !NOT_BUILT.contains(&&name[..end]));

        match served.get(name) {
            Some(_) if !built => faults.push(format!("{name} is built; remove it from the list")),
            Some(found) if found != kind => {
                faults.push(format!("{name} is {found}, but the target has {kind}"))
            }
            None if built => faults.push(format!("{name}: {kind} is missing")),
            _ => {}
        }
    }

    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // Guards against a target that parses to nothing, which any schema would contain.
    assert!(target.len() > 200, "the target was read");
}

/// Returns the type of every member of a schema by its path (`Deal.id`, `Query.deal.id` for
/// arguments, `DealStatus.SOLD`).
fn members(schema: &str) -> BTreeMap<String, String> {
    let mut members = BTreeMap::new();

    for definition in parse_schema(schema)
        .expect("the schema is valid")
        .definitions
    {
        let TypeSystemDefinition::Type(definition) = definition else {
            continue;
        };
        let definition = definition.node;
        let name = definition.name.node.as_str();

        let (kind, children) = match definition.kind {
            TypeKind::Scalar => ("scalar".to_owned(), Vec::new()),
            TypeKind::Object(object) => {
                let implements: Vec<_> = object
                    .implements
                    .iter()
                    .map(|name| name.node.to_string())
                    .collect();
                (
                    format!("object {}", implements.join(" ")),
                    fields(object.fields.iter().map(|field| &field.node)),
                )
            }
            TypeKind::Interface(interface) => (
                "interface".to_owned(),
                fields(interface.fields.iter().map(|field| &field.node)),
            ),
            TypeKind::Union(_) => ("union".to_owned(), Vec::new()),
            TypeKind::Enum(values) => {
                let values = values
                    .values
                    .iter()
                    .map(|value| (value.node.value.node.to_string(), String::new()));
                ("enum".to_owned(), values.collect())
            }
            TypeKind::InputObject(input) => (
                "input".to_owned(),
                input
                    .fields
                    .iter()
                    .map(|field| argument(&field.node))
                    .collect(),
            ),
        };

        members.extend(
            children
                .into_iter()
                .map(|(child, kind)| (format!("{name}.{child}"), kind)),
        );
        members.insert(name.to_owned(), kind);
    }

    members
}

fn fields<'a>(fields: impl Iterator<Item = &'a FieldDefinition>) -> Vec<(String, String)> {
    let mut members = Vec::new();

    for field in fields {
        let name = field.name.node.as_str();
        members.push((name.to_owned(), field.ty.node.to_string()));

        let arguments = field.arguments.iter().map(|found| argument(&found.node));
        members.extend(arguments.map(|(argument, kind)| (format!("{name}.{argument}"), kind)));
    }

    members
}

fn argument(argument: &InputValueDefinition) -> (String, String) {
    let default = argument
        .default_value
        .as_ref()
        .map(|value| format!(" = {}", value.node));

    (
        argument.name.node.to_string(),
        format!("{}{}", argument.ty.node, default.unwrap_or_default()),
    )
}
