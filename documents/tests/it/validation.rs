//! Validation: the rules of the specification's section 5 that other files do not cover, and how faults are told.

use documents::ErrorKind;
use serde_json::json;

use crate::kit::{errors, run, run_operation};

#[test]
fn every_rule_is_checked() {
    let rows = [
        "{ nope }",
        "{ item(id: 1) { nope } }",
        "{ item(id: 1) { nope: } }",
        "{ thing(id: 1) { id } }",
        "{ node(id: 1) { name } }",
        "{ item { id } }",
        "{ item(id: 1) }",
        "{ item(id: 1) { id { x } } }",
        "{ item(id: 1) { parent } }",
        "{ item(id: 1, nope: 2) { id } }",
        "{ item(id: 1) { id(x: 1) } }",
        "{ __typename(x: 1) }",
        "{ __typename { x } }",
        "{ item(id: 1) { ... on Shelf { id } } }",
        "{ item(id: 1) { ...F } } fragment F on Shelf { id }",
        "{ item(id: 1) { ... on Nope { id } } }",
        "{ item(id: 1) { ... on Color { id } } }",
        "{ item(id: 1) { ... on ItemInput { id } } }",
        "{ ...F }",
        "{ __typename } fragment F on Query { __typename }",
        "{ __typename } fragment F on Nope { __typename }",
        "{ __typename } { __typename }",
        "query A { __typename } query A { __typename }",
        "query A { __typename } { __typename }",
        "fragment F on Query { __typename }",
        "{ item(id: 1) { id @nope } }",
        "{ item(id: 1) { id @include } }",
        "{ item(id: 1) { id @include(if: null) } }",
        "{ item(id: 1) { id @include(if: 1) } }",
        "{ item(id: 1) { id @include(if: \"true\") } }",
        "{ item(id: 1) { id @include(if: true, x: 1) } }",
        "{ item(id: 1) { id @skip(if: true) @skip(if: false) } }",
        "{ item(id: 1) { id @deprecated } }",
        "query @include(if: true) { __typename }",
        "query($v: Int @include(if: true)) { shelf(first: $v) { id } }",
        "{ ...F } fragment F on Query @include(if: true) { __typename }",
        "mutation { item(id: 1) { id } }",
        "mutation { write(input: null) { id } }",
        "mutation { write { id } }",
    ];

    for text in rows {
        let told = run(text, json!({})).expect_err(text);
        assert!(
            told.iter().all(|error| error.kind != ErrorKind::TooComplex),
            "{text}: {told:?}"
        );
    }
}

#[test]
fn several_faults_are_told_with_their_places() {
    assert_eq!(
        errors("{\n  nope\n  item(id: 1) { nope id @nope }\n}", json!({})),
        [
            "ValidationFailed type `Query` does not have a field `nope` [2:3]",
            "ValidationFailed type `Item` does not have a field `nope` [3:17]",
            "ValidationFailed cannot find directive `@nope` in this document [3:25]",
        ]
    );
}

#[test]
fn fifty_faults_are_told() {
    let wrong = |count: usize| {
        let fields: String = (0..count).map(|number| format!("x{number} ")).collect();
        run(&format!("{{ item(id: 1) {{ {fields} }} }}"), json!({})).expect_err("no field exists")
    };

    assert_eq!(wrong(49).len(), 49);
    assert_eq!(wrong(51).len(), 50);
    assert!(wrong(51).iter().all(|error| !error.locations.is_empty()));
}

#[test]
fn messages_are_no_longer_than_the_document() {
    let long = "x".repeat(30_000);
    let rows = [
        format!("{{ {long} }}"),
        format!("{{ ...{long} }}"),
        format!("{{ {long}"),
        format!("query {long} {{ ...F }} {long}"),
        format!("query {long}({}) {{ __typename }}", "$v: Int ".repeat(60)),
        format!("query {long} {{ {} }}", "a ".repeat(15)),
        format!(
            "{{ ...{long} }} fragment {long} on Query {{ {} }}",
            "a ".repeat(15)
        ),
        format!("mutation {{ write(input: {{{long}: 1}}) {{ id }} }}"),
        format!("query(${long}: Int!) {{ shelf(first: ${long}) {{ id }} }}"),
    ];

    for text in rows {
        let told = run(&text, json!({})).expect_err("the document is invalid");
        let told = told.iter().flat_map(|error| {
            let violations = error.violations.iter();
            let violations =
                violations.map(|violation| violation.path.len() + violation.message.len());
            violations.chain([error.message.len()])
        });
        let bytes: usize = told.sum();
        assert!(
            bytes < 2 * text.len() + 10_000,
            "{bytes} bytes for {:.40}",
            text
        );
    }
}

#[test]
fn operations_are_selected_by_name() {
    let two = "query A { __typename } query B { b: __typename }";
    let one = "query A { __typename }";
    let anonymous = "{ __typename }";
    let told = |text, name| {
        let errors = run_operation(text, name, json!({})).expect_err("there is no such operation");
        (errors[0].kind, errors[0].message.clone())
    };
    let invalid = |message: &str| (ErrorKind::ValidationFailed, message.to_owned());

    assert_eq!(
        run_operation(two, Some("B"), json!({})).unwrap().data,
        r#"{"b":"Query"}"#
    );
    assert!(run_operation(one, None, json!({})).is_ok());
    assert!(run_operation(one, Some("A"), json!({})).is_ok());
    assert!(run_operation(anonymous, None, json!({})).is_ok());
    assert_eq!(
        told(two, None),
        invalid("The document has several operations; operationName must name one")
    );
    assert_eq!(
        told(two, Some("C")),
        invalid("The document contains no operation named C")
    );
    assert_eq!(
        told(one, Some("")),
        invalid("The document contains no operation named ")
    );
    assert_eq!(
        told(anonymous, Some("A")),
        invalid("The document contains no operation named A")
    );
}
