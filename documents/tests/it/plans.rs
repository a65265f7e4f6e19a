//! Plans kept by text and operation, within the memory that they may come to take.

use std::sync::Arc;

use documents::{Documents, OperationKind};
use serde_json::json;

use crate::kit::{documents, execute, request};

#[test]
fn a_plan_is_compiled_once_for_each_text_and_operation() {
    let documents = documents();
    let text = "query A { a: __typename } query B { b: __typename }";
    let plan = |text: &str, operation: Option<&str>| documents.plan(text, operation).unwrap();

    let first = plan(text, Some("A"));
    let again = plan(text, Some("A"));
    assert!(first.is_new && !again.is_new);
    assert!(Arc::ptr_eq(&first.plan, &again.plan));

    assert!(plan(text, Some("B")).is_new);
    assert!(plan(&format!("{text} "), Some("A")).is_new);
    assert!(plan("{ __typename }", None).is_new);
    assert!(!plan("{ __typename }", None).is_new);
}

#[test]
fn an_invalid_text_is_told_again() {
    let documents = documents();
    let told = || documents.plan("{ nope }", None).err();

    assert!(told().is_some());
    assert_eq!(told(), told());
}

#[test]
fn a_plan_knows_its_kind() {
    let documents = documents();
    let rows = [
        ("{ __typename }", OperationKind::Query),
        ("query { __typename }", OperationKind::Query),
        ("mutation { __typename }", OperationKind::Mutation),
        (
            "subscription { changed { id } }",
            OperationKind::Subscription,
        ),
    ];

    for (text, kind) in rows {
        assert_eq!(documents.plan(text, None).unwrap().plan.kind(), kind);
        assert_eq!(request(&documents, text, json!({})).kind(), kind);
    }
}

/// Returns how many of so many plans are kept.
fn kept(documents: &Documents, count: usize, text: impl Fn(usize) -> String) -> usize {
    let plan = |number: usize| {
        let planned = documents.plan(&text(number), None);
        planned.expect("the text is valid")
    };
    for number in 0..count {
        plan(number);
    }

    // The newest first: asking for one that is gone puts it in the place of another.
    let asked = (0..count).rev().map(plan);
    asked.take_while(|planned| !planned.is_new).count()
}

#[test]
fn plans_are_weighed_by_what_they_may_come_to_keep() {
    let plain = documents();
    assert_eq!(
        kept(&plain, 1_000, |number| format!(
            "query Q{number} {{ item(id: 1) {{ id }} }}"
        )),
        1_000
    );

    // A text of 60 bytes whose result has thousands: 32 MiB are room for 256 of them.
    let asking = documents();
    let count = kept(&asking, 1_000, |number| {
        format!("query Q{number} {{ __schema {{ types {{ name }} }} }}")
    });
    assert!((1..=256).contains(&count), "{count}");

    // Sixteen variants of a few hundred fields.
    let varied = documents();
    let fields: String = (0..45)
        .map(|number| format!("x{number}: parent {{ id name price tags }} "))
        .collect();
    let count = kept(&varied, 200, |number| {
        format!(
            "query Q{number}($a: Boolean!, $b: Boolean!, $c: Boolean!, $d: Boolean!) {{ item(id: 1) {{ {fields}
            a: id @skip(if: $a) b: id @skip(if: $b) c: id @skip(if: $c) d: id @skip(if: $d) }} }}"
        )
    });
    assert!(count <= 60, "{count}");
}

#[test]
fn one_plan_serves_requests_at_once() {
    let documents = documents();
    let text = "query($id: ID!, $with: Boolean!) { item(id: $id) { id name @include(if: $with) } __type(name: \"Item\") { name } }";

    std::thread::scope(|scope| {
        for worker in 0..4 {
            let documents = &documents;
            scope.spawn(move || {
                for round in 0..200 {
                    let id = worker * 1_000 + round;
                    let with = round % 2 == 0;
                    let request = request(documents, text, json!({ "id": id, "with": with }));
                    let name = if with { r#","name":"a \"name\"""# } else { "" };

                    let expected =
                        format!(r#"{{"item":{{"id":"{id}"{name}}},"__type":{{"name":"Item"}}}}"#);
                    assert_eq!(execute(documents, &request).data, expected);
                }
            });
        }
    });
}

#[test]
fn a_plan_knows_the_fields_that_it_selects() {
    let documents = documents();
    let text =
        "query Mine($on: Boolean!) { shelf { ...S items @include(if: $on) { id } } __typename }
                fragment S on Shelf { items { name __typename } best { ... on Item { price } } }";
    let plan = documents.plan(text, None).unwrap().plan;

    assert_eq!(plan.operation_name(), Some("Mine"));
    let expected = [
        "Item.id",
        "Item.name",
        "Item.price",
        "Query.shelf",
        "Shelf.best",
        "Shelf.items",
    ];
    assert_eq!(plan.fields(), expected);
}

#[test]
fn a_plan_knows_whether_it_asks_about_the_schema_only() {
    let documents = documents();
    let is_meta = |text: &str| documents.plan(text, None).unwrap().plan.is_meta();

    assert!(is_meta(
        "{ __typename ... { __schema { queryType { name } } } }"
    ));
    assert!(!is_meta(
        "{ __typename ...F } fragment F on Query { item(id: 1) { id } }"
    ));
    assert!(!is_meta(
        "query($on: Boolean!) { __typename item(id: 1) @include(if: $on) { id } }"
    ));
}
