//! Table of permissions: every root field of the schema, and every call of REST, for every kind of caller. A field
//! without a row is a failure, so that none is added without a decision about who may use it.

mod table;
mod world;

use std::collections::BTreeSet;

use async_graphql_parser::parse_schema;
use async_graphql_parser::types::{TypeKind, TypeSystemDefinition};
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Answer, Client, Events, TestApp, on_both};
use table::{CALLERS, Caller, Outcome, REST, ROWS, Row};
use world::World;

on_both!(
    operations_are_permitted_as_the_table_says,
    subscriptions_show_what_the_table_says,
    rest_is_permitted_as_the_table_says,
);

#[test]
fn permissions_have_a_row_for_every_operation() {
    let schema = parse_schema(gateway::graphql::sdl()).expect("the schema is valid");
    let mut fields = BTreeSet::new();
    for definition in schema.definitions {
        let TypeSystemDefinition::Type(definition) = definition else {
            continue;
        };
        let root = definition.node.name.node.as_str();
        if let (TypeKind::Object(object), "Query" | "Mutation" | "Subscription") =
            (&definition.node.kind, root)
        {
            let names = object.fields.iter().map(|field| &field.node.name.node);
            fields.extend(names.map(|name| format!("{root}.{name}")));
        }
    }

    let rows: BTreeSet<String> = ROWS.iter().map(Row::field).collect();
    assert_eq!(rows, fields);
}

async fn operations_are_permitted_as_the_table_says(app: TestApp) {
    let world = World::create(&app).await;
    let mut faults = Vec::new();

    for row in ROWS.iter().filter(|row| !row.is_subscription()) {
        for (caller, expected) in CALLERS.into_iter().zip(row.outcomes) {
            let client = world.client(caller);
            let answer = client.execute(row.document, world.variables.clone()).await;
            let outcome = outcome_of(&answer.body, world.subject(row.subject));
            if outcome != expected {
                faults.push(fault(row.document, caller, expected, &answer.body));
            }
        }
    }

    assert!(faults.is_empty(), "{}", faults.join("\n"));
    app.stop().await;
}

async fn subscriptions_show_what_the_table_says(app: TestApp) {
    let world = World::create(&app).await;
    let mut faults = Vec::new();
    // What everybody but the parties must not see comes before what everybody sees, so that a first event of the second
    // kind proves that the first was left out.
    world.tell_everybody().await;

    for row in ROWS.iter().filter(|row| row.is_subscription()) {
        for (caller, expected) in CALLERS.into_iter().zip(row.outcomes) {
            let first = first_event(&world, caller, row).await;
            if outcome_of(&first, world.subject(row.subject)) != expected {
                faults.push(fault(row.document, caller, expected, &first));
            }
        }
    }

    assert!(faults.is_empty(), "{}", faults.join("\n"));
    app.stop().await;
}

async fn rest_is_permitted_as_the_table_says(app: TestApp) {
    let world = World::create(&app).await;
    let mut faults = Vec::new();

    for (method, path, body, outcomes) in REST {
        let path = world.fill(path);
        let body = body.map(|body| {
            serde_json::from_str::<Value>(&world.fill(body)).expect("a body of the table is JSON")
        });

        for (caller, expected) in CALLERS.into_iter().zip(outcomes) {
            let method: Method = method.parse().expect("a method of the table is one");
            let client = world.client(caller);
            let answer = client.rest(method.clone(), &path, body.clone()).await;
            // A creation shows another deal than the one that the table is about.
            let subject = if method == Method::POST { "" } else { "deal" };
            if rest_outcome(&answer, world.subject(subject)) != expected {
                faults.push(fault(
                    &format!("{method} {path}"),
                    caller,
                    expected,
                    &answer.body,
                ));
            }
        }
    }

    assert!(faults.is_empty(), "{}", faults.join("\n"));
    app.stop().await;
}

/// Reads the outcome in a result of GraphQL.
fn outcome_of(result: &Value, subject: &str) -> Outcome {
    if let Some(code) = result["errors"][0]["extensions"]["code"].as_str() {
        return Outcome::from_code(code);
    }

    let data = result["data"]
        .as_object()
        .expect("a result has data or errors");
    let field = data.values().next().expect("a row asks for one field");
    if !field.is_null() && field.to_string().contains(subject) {
        Outcome::Shown
    } else {
        Outcome::Hidden
    }
}

fn rest_outcome(answer: &Answer, subject: &str) -> Outcome {
    if answer.status >= 400 {
        return Outcome::from_code(answer.code());
    }

    if answer.body.to_string().contains(subject) {
        Outcome::Shown
    } else {
        Outcome::Hidden
    }
}

/// Opens a subscription and returns its first result.
async fn first_event(world: &World, caller: Caller, row: &Row) -> Value {
    let client: &Client = world.client(caller);
    let body = json!({ "query": row.document, "variables": world.variables });
    let request = client.request(Method::POST, "/graphql").json(&body);

    let mut events = Events::open(request).await;
    loop {
        let event = events.next().await.expect("the stream has a result");
        // Events without data only name a position.
        if let Some(data) = event.get("data").filter(|data| !data.is_empty()) {
            return serde_json::from_str(data).expect("a result is JSON");
        }
    }
}

fn fault(what: &str, caller: Caller, expected: Outcome, found: &Value) -> String {
    format!("{what}\n    for {caller:?}: expected {expected:?}, found {found}")
}
