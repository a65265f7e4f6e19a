//! Meaning of documents as the specification has it: collection of fields, conditions, absent and null, coercion.

use serde_json::json;

use crate::kit::{calls, data, run_operation, violations};

#[test]
fn keys_come_in_the_order_asked_for_and_fields_are_merged_at_every_depth() {
    let text = "{ z: item(id: 1) { name ...F id } __typename node(id: \"shelf\") { id ... on Shelf { items { id } } }
        z: item(id: 1) { tags name } ...R }
        fragment F on Item { price name } fragment R on Query { z: item(id: 1) { __typename } }";

    assert_eq!(
        data(text, json!({})),
        r#"{"z":{"name":"a \"name\"","price":7,"id":"1","tags":["x","y"],"__typename":"Item"},"__typename":"Query","node":{"id":"shelf","items":[{"id":"1"}]}}"#
    );
}

#[test]
fn a_mutation_selected_by_two_fragments_is_executed_once() {
    let text = "mutation { ...A ...B } fragment A on Mutation { write(input: {}) { id } }
        fragment B on Mutation { write(input: {}) { price } }";

    assert_eq!(
        calls(text, json!({})),
        [r#"write {"input":{"name":"none"}}"#]
    );
}

#[test]
fn an_absent_variable_is_an_absent_field_and_null_is_null() {
    let text = "mutation($p: Price, $n: String! = \"n\", $note: String) {
        write(input: {price: $p, name: $n, sizes: null}, note: $note) { id } }";

    assert_eq!(
        calls(text, json!({})),
        [r#"write {"input":{"name":"n","sizes":null}}"#]
    );
    assert_eq!(
        calls(text, json!({ "p": null, "note": null })),
        [r#"write {"input":{"name":"n","price":null,"sizes":null},"note":null}"#]
    );
}

#[test]
fn defaults_of_variables_arguments_and_fields_hold() {
    let text = "query($c: Color, $with: Boolean = true) { item(id: 3, color: $c) { id @include(if: $with) price } }";

    assert_eq!(calls(text, json!({})), [r#"item {"id":"3","color":"RED"}"#]);
    assert_eq!(data(text, json!({})), r#"{"item":{"id":"3","price":7}}"#);
    assert_eq!(
        data(text, json!({ "with": false })),
        r#"{"item":{"price":7}}"#
    );
    assert_eq!(
        calls(text, json!({ "c": null })),
        ["item failed: Argument color requires a value that is not null"]
    );
}

#[test]
fn rules_of_custom_scalars_hold_for_literals_beside_variables() {
    let text = "mutation($n: String!) { write(input: {name: $n, price: 0.5}) { id } }";

    assert_eq!(
        violations(text, json!({ "n": "x" })),
        ["input.price must be a whole number"]
    );
}

#[test]
fn an_operation_is_selected_by_its_name() {
    let text = "query A { a: __typename } query B { b: __typename }";

    let outcome = run_operation(text, Some("B"), json!({})).expect("there is one");
    assert_eq!(outcome.data, r#"{"b":"Query"}"#);
    assert!(run_operation(text, None, json!({})).is_err());
    assert!(run_operation(text, Some("C"), json!({})).is_err());
}
