//! Subscriptions (specification, section 5.2.4): one root field after merging, no introspection, no conditions.

use documents::{ErrorKind, OperationKind};
use serde_json::json;

use crate::kit::{data, describe, documents, request, run_operation};

#[test]
fn a_subscription_with_one_root_field_is_valid() {
    let rows = [
        "subscription { changed { id } }",
        "subscription { a: changed { id } }",
        "subscription { ...F } fragment F on Subscription { changed { id } }",
        "subscription { ... { ... on Subscription { changed { id } } } }",
        "subscription { changed { id } changed { id } }",
        "subscription { ...F ...G } fragment F on Subscription { changed { id } }
            fragment G on Subscription { changed { name } }",
        "subscription { ...F ...F changed { id } } fragment F on Subscription { changed { id name } }",
        "subscription { a: changed { id @include(if: true) __typename } }",
        "subscription { changed { ...F @skip(if: false) } } fragment F on Item { id }",
    ];

    for text in rows {
        let documents = documents();
        let request = request(&documents, text, json!({}));
        assert_eq!(request.kind(), OperationKind::Subscription, "{text}");
        assert_eq!(request.roots().len(), 1, "{text}");
    }
    assert_eq!(
        data(rows[5], json!({})),
        r#"{"changed":{"id":"new","name":"a \"name\""}}"#
    );
}

#[test]
fn other_subscriptions_are_refused() {
    let rows = [
        "subscription { changed { id } a: changed { id } }",
        "subscription { changed { id } ...F } fragment F on Subscription { a: changed { id } }",
        "subscription { ...F } fragment F on Subscription { changed { id } a: changed { id } }",
        "subscription { ... { changed { id } ... { a: changed { id } } } }",
        "subscription { __typename }",
        "subscription { a: __typename }",
        "subscription { changed { id } __typename }",
        "subscription { ...F } fragment F on Subscription { __typename }",
        "subscription { __schema { queryType { name } } }",
        "subscription { changed @include(if: true) { id } }",
        "subscription { changed @skip(if: false) { id } }",
        "subscription($v: Boolean!) { changed @skip(if: $v) { id } }",
        "subscription { ... @include(if: true) { changed { id } } }",
        "subscription { ...F @skip(if: false) } fragment F on Subscription { changed { id } }",
        "subscription { ...F } fragment F on Subscription { ... @skip(if: false) { changed { id } } }",
        "subscription { changed { id } changed(after: \"x\") { id } }",
    ];

    for text in rows {
        // As another operation of the document, too.
        let beside = format!(
            "query Q {{ __typename }} {}",
            text.replacen("subscription", "subscription S", 1)
        );
        for (text, operation) in [
            (text, None),
            (beside.as_str(), Some("Q")),
            (beside.as_str(), Some("S")),
        ] {
            let told = run_operation(text, operation, json!({ "v": false })).expect_err(text);
            assert_eq!(
                told[0].kind,
                ErrorKind::ValidationFailed,
                "{text}: {told:?}"
            );
            assert!(!told[0].locations.is_empty(), "{text}: {told:?}");
        }
    }
}

#[test]
fn the_second_root_field_is_shown() {
    let text = "subscription {\n  changed { id }\n  a: changed { id }\n}";

    let told = run_operation(text, None, json!({})).expect_err("there are two");
    let told: Vec<String> = told.iter().map(describe).collect();
    assert_eq!(
        told,
        ["ValidationFailed A subscription must have exactly one root field [3:3]"]
    );
}
