//! Tests of the choice of an operation and of the rules for a subscription's root.

use async_graphql_value::Value;

use super::*;

#[test]
fn operation_is_the_named_one_or_the_only_one() {
    let choose = |text: &str, name: Option<&str>| match parsed(text).operation(name) {
        Ok(operation) => format!(
            "{} {:?}",
            operation.ty(),
            operation.name().map(Name::as_str)
        ),
        Err(error) => describe::<()>(Err(error)),
    };
    let unknown = |name| {
        format!("GRAPHQL_VALIDATION_FAILED The document has no operation named \"{name}\" []")
    };
    let ambiguous = "GRAPHQL_VALIDATION_FAILED The document has several operations; set operationName to the one to execute []";
    let two = "mutation A { a } subscription B { b }";
    assert_eq!(choose("{ a }", None), "query None");
    assert_eq!(choose("{ a }", Some("A")), unknown("A"));
    assert_eq!(choose("{ a }", Some("")), unknown(""));
    assert_eq!(choose("query A { a }", None), "query Some(\"A\")");
    assert_eq!(choose(two, Some("A")), "mutation Some(\"A\")");
    assert_eq!(choose(two, Some("B")), "subscription Some(\"B\")");
    assert_eq!(choose(two, Some("C")), unknown("C"));
    assert_eq!(choose(two, None), ambiguous);
}

/// Subscriptions with a valid root, and the root's name and response key.
const ROOTS: &[(&str, &str)] = &[
    ("subscription { x { a } }", "x as x"),
    ("subscription { y: x }", "x as y"),
    (
        "subscription { ...F } fragment F on Subscription { y: x }",
        "x as y",
    ),
    (
        "subscription { ... { ... on Subscription { x } } }",
        "x as x",
    ),
    (
        "subscription { ...F ...G } fragment F on Subscription { ...G } fragment G on Subscription { x }",
        "x as x",
    ),
    ("subscription { x { a } x { b } }", "x as x"),
    ("subscription { x(p: 1, q: 2) x(q: 2, p: 1) }", "x as x"),
    ("subscription { x @other }", "x as x"),
    (
        "subscription { x { a @skip(if: true) ... @include(if: true) { __typename } } }",
        "x as x",
    ),
];

/// Operations without a valid root, and the error with its positions.
const INVALID_ROOTS: &[(&str, &str)] = &[
    (
        "query { x }",
        "The operation is a query, not a subscription [1:1]",
    ),
    (
        "subscription { x y }",
        "A subscription must have exactly one root field [1:16 1:18]",
    ),
    (
        "subscription { x ... { y } }",
        "A subscription must have exactly one root field [1:16 1:24]",
    ),
    (
        "subscription { x y: x }",
        "A subscription must have exactly one root field [1:16 1:18]",
    ),
    (
        "subscription { x ...F } fragment F on Subscription { y }",
        "A subscription must have exactly one root field [1:16 1:54]",
    ),
    (
        "subscription { x x: y }",
        "The root field x is selected twice with different fields or arguments [1:16 1:18]",
    ),
    (
        "subscription { x(p: 1) x(p: 2) }",
        "The root field x is selected twice with different fields or arguments [1:16 1:24]",
    ),
    (
        "subscription { x(p: 1) x }",
        "The root field x is selected twice with different fields or arguments [1:16 1:24]",
    ),
    (
        "subscription { __typename }",
        "__typename cannot be the root field of a subscription [1:16]",
    ),
    (
        "subscription { x t: __typename }",
        "__typename cannot be the root field of a subscription [1:18]",
    ),
    (
        "subscription { ... { __schema { a } } }",
        "__schema cannot be the root field of a subscription [1:22]",
    ),
    (
        "subscription { x @skip(if: false) }",
        "@skip is not allowed at the root of a subscription [1:18]",
    ),
    (
        "subscription { x @other @include(if: true) }",
        "@include is not allowed at the root of a subscription [1:25]",
    ),
    (
        "subscription { ... @include(if: true) { x } }",
        "@include is not allowed at the root of a subscription [1:20]",
    ),
    (
        "subscription { ...F @skip(if: false) } fragment F on Subscription { x }",
        "@skip is not allowed at the root of a subscription [1:21]",
    ),
    (
        "subscription { ...F } fragment F on Subscription { x @skip(if: false) }",
        "@skip is not allowed at the root of a subscription [1:54]",
    ),
    (
        "subscription { ...F } fragment F on Subscription @other { x }",
        "@other is not allowed at the root of a subscription [1:50]",
    ),
    (
        "subscription { ... on Query { x } }",
        "A fragment on Query is not allowed at the root of a subscription [1:20]",
    ),
    (
        "subscription { ...F } fragment F on Deal { x }",
        "A fragment on Deal is not allowed at the root of a subscription [1:34]",
    ),
];

#[test]
fn subscription_root_is_exactly_one_field() {
    for (text, expected) in ROOTS.iter().chain(INVALID_ROOTS) {
        let parsed = parsed(text);
        let described = match parsed.operation(None).unwrap().subscription_root() {
            Ok(root) => format!("{} as {}", root.name(), root.response_key()),
            Err(error) => {
                assert_eq!(error.code, DocumentCode::ValidationFailed);
                describe::<()>(Err(error)).replace("GRAPHQL_VALIDATION_FAILED ", "")
            }
        };
        assert_eq!(described, *expected, "{text}");
    }
}

#[test]
fn subscription_root_returns_its_arguments() {
    let parsed = parsed("subscription S($a: Position) { ... { x(after: $a, n: [1 $b]) { id } } }");
    let root = parsed
        .operation(Some("S"))
        .unwrap()
        .subscription_root()
        .unwrap();
    let arguments: Vec<_> = root
        .arguments()
        .iter()
        .map(|(name, value)| (&*name.node, &value.node))
        .collect();
    let list = Value::List(vec![
        Value::Number(1.into()),
        Value::Variable(Name::new("b")),
    ]);
    assert_eq!(
        arguments,
        [("after", &Value::Variable(Name::new("a"))), ("n", &list)]
    );
    assert_eq!(root.pos().to_string(), "1:38");
}
