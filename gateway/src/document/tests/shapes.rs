//! Tests of shapes: which documents share one and which do not.

use std::collections::BTreeSet;

use async_graphql::{
    EmptyMutation, Object, Request, Schema, SimpleObject, Subscription, Variables,
    futures_util::{FutureExt, Stream, StreamExt, stream},
    parser::types::Selection,
};

use super::*;

const PLAIN: &str = "subscription { x { id deal { name } } }";

fn shape_of(text: &str) -> ShapeDocument {
    parsed(text)
        .operation(None)
        .unwrap()
        .shape()
        .unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn key(text: &str, variables: &str) -> ShapeKey {
    shape_key(
        &shape_of(text),
        &serde_json::from_str(variables).unwrap(),
        "buyer",
    )
}

#[test]
fn shape_ignores_what_does_not_show_in_results() {
    let rows = [
        "subscription{x{id,deal{name}}}# comment",
        "subscription Named { x { id deal { name } } }",
        "subscription { x(after: \"p1\", filter: {status: [SOLD], n: 3}) { id deal { name } } }",
        "subscription ($a: Position, $f: Filter = {n: 1}) { x(after: $a, filter: $f) { id deal { name } } }",
        "subscription { ... { ... on Subscription { x { id deal { name } } } } }",
        "fragment R on Subscription { x(after: \"p2\") { id deal { name } } } subscription { ...R ...R }",
        "subscription { x(n: 1) { id } x(n: 1) { deal { name } } }",
        "subscription { x: x { id: id deal { name } } }",
        "subscription { x { id deal { name } } } fragment Unused on Deal { price @include(if: true) }",
    ];
    for text in rows {
        assert_eq!(
            key(text, r#"{"a":"p3","f":{"n":2}}"#),
            key(PLAIN, "{}"),
            "{text}"
        );
    }
}

#[test]
fn shape_counts_fragments_by_content_and_objects_by_fields() {
    let named = |name: &str| {
        format!(
            "subscription {{ x {{ ...{name} }} }} fragment {name} on X {{ id deal {{ name }} }}"
        )
    };
    assert_eq!(key(&named("A"), "{}"), key(&named("B"), "{}"));
    let fields = "subscription { x { a(p: 1, q: {r: [A], s: null}) } }";
    assert_eq!(
        key(fields, "{}"),
        key("subscription { x { a(q: {s: null, r: [A]}, p: 1) } }", "{}")
    );
    let definitions = "subscription ($u: I, $v: O) { x { a(u: $u, v: $v) } }";
    let turned = "subscription ($v: O, $u: I) { x { a(v: $v, u: $u) } }";
    assert_eq!(
        key(definitions, r#"{"u":1,"v":{"a":1,"b":[{"c":2,"d":3}]}}"#),
        key(turned, r#"{"v":{"b":[{"d":3,"c":2}],"a":1},"u":1,"w":9}"#)
    );
}

/// Documents with values of their variables, of which no two have the same shape.
const DISTINCT: &[(&str, &str)] = &[
    (PLAIN, "{}"),
    ("subscription { y: x { id deal { name } } }", "{}"),
    ("subscription { y { id deal { name } } }", "{}"),
    ("subscription { x: y { id deal { name } } }", "{}"),
    ("subscription { x @other { id deal { name } } }", "{}"),
    ("subscription @other { x { id deal { name } } }", "{}"),
    ("subscription { x { deal { name } id } }", "{}"),
    ("subscription { x { id deal { name id } } }", "{}"),
    ("subscription { x { id deal { name } id } }", "{}"),
    ("subscription { x { id deal { n: name } } }", "{}"),
    ("subscription { x { id deal(n: 1) { name } } }", "{}"),
    ("subscription { x { id deal(n: \"1\") { name } } }", "{}"),
    ("subscription { x { id deal(n: [1]) { name } } }", "{}"),
    ("subscription { x { id deal(n: A) { name } } }", "{}"),
    ("subscription { x { id deal(n: \"A\") { name } } }", "{}"),
    ("subscription { x { id deal(n: null) { name } } }", "{}"),
    ("subscription { x { id deal(n: {}) { name } } }", "{}"),
    ("subscription { x { id deal(n: true) { name } } }", "{}"),
    ("subscription { x { id deal(n: false) { name } } }", "{}"),
    (
        "subscription { x { id deal { name @skip(if: true) } } }",
        "{}",
    ),
    (
        "subscription { x { id ... @skip(if: true) { deal { name } } } }",
        "{}",
    ),
    ("subscription { x { id ... { deal { name } } } }", "{}"),
    ("subscription { x { id ... on X { deal { name } } } }", "{}"),
    ("subscription { x { id ... on Y { deal { name } } } }", "{}"),
    ("subscription { x { ...F } } fragment F on X { id }", "{}"),
    ("subscription { x { ...F } } fragment F on Y { id }", "{}"),
    (
        "subscription { x { ...F } } fragment F on X @other { id }",
        "{}",
    ),
    (
        "subscription { x { ...F @other } } fragment F on X { id }",
        "{}",
    ),
    (
        "subscription { x { ...F } } fragment F on X { ...G } fragment G on X { id }",
        "{}",
    ),
    (
        "subscription { x { ...F } } fragment F on X { ...G } fragment G on X { di }",
        "{}",
    ),
    ("subscription ($v: Int) { x { id(n: $v) } }", "{}"),
    (
        "subscription ($v: Int) { x { id(n: $v) } }",
        r#"{"v":null}"#,
    ),
    ("subscription ($v: Int) { x { id(n: $v) } }", r#"{"v":1}"#),
    ("subscription ($v: Int) { x { id(n: $v) } }", r#"{"v":2}"#),
    ("subscription ($v: Int) { x { id(n: $v) } }", r#"{"v":"1"}"#),
    ("subscription ($v: Int) { x { id(n: $v) } }", r#"{"v":[1]}"#),
    (
        "subscription ($v: Int) { x { id(n: $v) } }",
        r#"{"v":{"1":1}}"#,
    ),
    ("subscription ($v: Int!) { x { id(n: $v) } }", r#"{"v":1}"#),
    ("subscription ($v: Int = 1) { x { id(n: $v) } }", "{}"),
    ("subscription ($v: Int = 2) { x { id(n: $v) } }", "{}"),
    ("subscription ($v: Int @other) { x { id(n: $v) } }", "{}"),
    (
        "subscription ($v: Int, $w: Int) { x { id(n: $v, m: $w) } }",
        r#"{"v":1,"w":2}"#,
    ),
    (
        "subscription ($v: Int, $w: Int) { x { id(n: $v, m: $w) } }",
        r#"{"v":2,"w":1}"#,
    ),
];

#[test]
fn shape_counts_what_shows_in_results() {
    let mut keys = BTreeSet::new();
    for (text, variables) in DISTINCT {
        assert!(
            keys.insert(key(text, variables)),
            "{text} {variables} equals an earlier one"
        );
    }
    let other_viewer = shape_key(&shape_of(PLAIN), &Variables::default(), "seller");
    assert!(keys.insert(other_viewer), "the scope does not count");
}

#[test]
fn shape_key_is_stable_across_releases() {
    let ShapeKey(bytes) = key(
        "subscription ($v: Int) { x { id(n: $v) ...F } } fragment F on X { a }",
        r#"{"v":[1.5]}"#,
    );
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "21bb656aedf1fe5b4e6bef8d4b2e969f");
}

#[test]
fn shape_keeps_the_variables_that_it_uses() {
    let rows: [(&str, &[&str]); 8] = [
        ("subscription ($a: P, $b: Int) { x(after: $a, n: $b) { id } }", &[]),
        ("subscription ($b: Int, $a: P) { x(after: $a) { id(n: $b, m: $a) } }", &["a", "b"]),
        ("subscription ($a: Int) { x { id(n: {m: [[$a]]}) } }", &["a"]),
        ("subscription ($a: Boolean) { x { id @include(if: $a) } }", &["a"]),
        ("subscription ($a: Boolean) { x { ... @skip(if: $a) { id } } }", &["a"]),
        ("subscription ($a: B, $b: B) @o(v: $a) { x @o(v: $b) }", &["a", "b"]),
        (
            "subscription ($a: B, $b: B, $c: B, $d: B) { x { ...F @skip(if: $a) } }
             fragment F on X @o(v: $b) { ...G } fragment G on X { id(n: $c) } fragment H on X { id(n: $d) }",
            &["a", "b", "c"],
        ),
        ("subscription ($a: P) { ...F } fragment F on Subscription { x(after: $a) { id(n: $a) } }", &["a"]),
    ];
    for (text, expected) in rows {
        let shape = shape_of(text);
        let names: Vec<&str> = shape.used_variables().iter().map(Name::as_str).collect();
        assert_eq!(names, expected, "{text}");
        let DocumentOperations::Single(operation) = &shape.document().operations else {
            panic!("{text}")
        };
        let defined = operation
            .node
            .variable_definitions
            .iter()
            .map(|variable| variable.node.name.node.as_str());
        assert_eq!(
            defined.collect::<BTreeSet<_>>(),
            expected.iter().copied().collect(),
            "{text}"
        );
    }
    let undefined = parsed("subscription { x(after: $a) { id(n: $b) } }");
    let described = describe(undefined.operation(None).unwrap().shape());
    assert_eq!(
        described,
        "GRAPHQL_VALIDATION_FAILED Variable $b is not defined [1:37]"
    );
}

#[test]
fn shape_document_holds_the_root_field_and_what_it_needs() {
    let text = "query Other { y } subscription S { ...R } fragment R on Subscription { k: x(n: 1) { ...F } }
        fragment F on X { ...G } fragment G on X { id } fragment H on X { id }";
    let parsed = parsed(text);
    let shape = parsed.operation(Some("S")).unwrap().shape().unwrap();
    let fragments: BTreeSet<&str> = shape
        .document()
        .fragments
        .keys()
        .map(Name::as_str)
        .collect();
    assert_eq!(fragments, ["F", "G"].into());
    let DocumentOperations::Single(operation) = &shape.document().operations else {
        panic!("not one operation")
    };
    let [root] = &*operation.node.selection_set.node.items else {
        panic!("not one selection")
    };
    let Selection::Field(root) = &root.node else {
        panic!("not a field")
    };
    assert_eq!(
        (
            root.node.name.node.as_str(),
            root.node.response_key().node.as_str()
        ),
        ("x", "k")
    );
    assert!(root.node.arguments.is_empty());
}

struct Query;

#[Object]
impl Query {
    async fn nothing(&self) -> bool {
        true
    }
}

#[derive(SimpleObject)]
struct Change {
    id: i32,
    name: &'static str,
}

struct Root;

#[Subscription(name = "Subscription")]
impl Root {
    async fn changed(&self, after: Option<i32>) -> impl Stream<Item = Change> {
        stream::iter([Change {
            id: after.unwrap_or(7),
            name: "deal",
        }])
    }
}

#[test]
fn shape_document_executes_as_it_is() {
    let schema = Schema::new(Query, EmptyMutation, Root);
    let text = "subscription S($a: Int, $long: Boolean!) { ...R } fragment R on Subscription { c: changed(after: $a) {
        i: id ...F } } fragment F on Change { name @include(if: $long) }";
    for (long, expected) in [
        ("true", r#"{"c":{"i":7,"name":"deal"}}"#),
        ("false", r#"{"c":{"i":7}}"#),
    ] {
        let shape = shape_of(text);
        let variables = serde_json::from_str(&format!(r#"{{"a":3,"long":{long}}}"#)).unwrap();
        let mut request = Request::new("").variables(variables);
        request.set_parsed_query(shape.document().clone());
        let response = schema
            .execute_stream(request)
            .next()
            .now_or_never()
            .flatten()
            .unwrap();
        assert_eq!(
            serde_json::to_string(&response).unwrap(),
            format!(r#"{{"data":{expected}}}"#)
        );
    }
}
