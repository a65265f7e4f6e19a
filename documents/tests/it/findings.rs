//! Every document of the review that was answered wrongly before, as far as this crate decides the answer.

use documents::ErrorKind;
use serde_json::json;

use crate::kit::{calls, data, documents, errors, request, run, violations};

#[test]
fn finding_1_a_variable_that_is_not_sent_leaves_its_field_out() {
    let text = "mutation U($id: ID!, $n: String!, $s: [Size!]) {
        write(input: {id: $id, name: $n, sizes: $s}) { id } }";

    assert_eq!(
        calls(text, json!({ "id": "1", "n": "x" })),
        [r#"write {"input":{"id":"1","name":"x"}}"#]
    );
}

#[test]
fn finding_2_a_mutation_in_two_fragments_is_one_call() {
    let text = "mutation { ...A ...B } fragment A on Mutation { write(input: {}) { id } }
        fragment B on Mutation { write(input: {}) { id name } }";

    assert_eq!(calls(text, json!({})).len(), 1);
}

#[test]
fn finding_3_a_mistyped_field_beside_a_variable_is_refused() {
    let text = "mutation($n: String!) { write(input: {name: $n, pryce: 5}) { id } }";

    assert_eq!(
        errors(text, json!({ "n": "x" })),
        ["ValidationFailed field `pryce` does not exist on `ItemInput` [1:56]"]
    );
}

#[test]
fn finding_4_conditions_follow_the_defaults_of_variables() {
    let text = "query($with: Boolean = true) { item(id: 1) { id } b: item(id: 2) @include(if: $with) { id } }";
    let pushed = "subscription($with: Boolean = true) { changed { id name @include(if: $with) } }";

    assert_eq!(
        data(text, json!({})),
        r#"{"item":{"id":"1"},"b":{"id":"2"}}"#
    );
    assert_eq!(
        data(pushed, json!({})),
        r#"{"changed":{"id":"new","name":"a \"name\""}}"#
    );
}

#[test]
fn finding_5_a_nullable_variable_may_stand_where_the_argument_has_a_default() {
    let text = "query($c: Color) { item(id: 1, color: $c) { id } }";

    assert_eq!(calls(text, json!({})), [r#"item {"id":"1","color":"RED"}"#]);
}

#[test]
fn findings_6_and_7_roots_say_whether_null_is_a_value() {
    let documents = documents();
    let nullable = |text: &str| -> Vec<bool> {
        let request = request(&documents, text, json!({}));
        request.roots().iter().map(|root| root.nullable()).collect()
    };

    assert_eq!(
        nullable("{ item(id: 1) { id } needed { id } __typename __schema { description } }"),
        [true, false, false, false]
    );
    assert_eq!(nullable("mutation { write(input: {}) { id } }"), [false]);
}

#[test]
fn findings_8_and_9_strings_are_those_of_the_specification() {
    let text = r#"{ list(tags: ["smile \uD83D\uDE00", """say \""" twice"""]) { id } }"#;

    let called = calls(text, json!({})).remove(0);
    assert!(
        called.contains(r#""tags":["smile 😀","say \"\"\" twice"]"#),
        "{called}"
    );
}

#[test]
fn finding_10_keys_come_in_the_order_asked_for() {
    let text = "{ shelf { id } item(id: 1) { price id } __typename b: __typename needed { id } }";

    assert_eq!(
        data(text, json!({})),
        r#"{"shelf":{"id":"shelf"},"item":{"price":7,"id":"1"},"__typename":"Query","b":"Query","needed":{"id":"new"}}"#
    );
}

#[test]
fn finding_11_places_count_from_one() {
    for text in [
        "}",
        "{ nope }",
        "{ item(id: 1) { id } } { item(id: 1) { id } }",
        "",
    ] {
        for error in run(text, json!({})).expect_err("the document is invalid") {
            let places = &error.locations;
            let is_place = |place: &documents::Location| place.line > 0 && place.column > 0;
            assert!(
                !places.is_empty() && places.iter().all(is_place),
                "{error:?}"
            );
        }
    }
}

#[test]
fn finding_12_a_json_number_without_a_fraction_is_an_integer() {
    let text = "query($n: Int) { shelf(first: $n) { id } }";

    assert_eq!(calls(text, json!({ "n": 2.0 })), [r#"shelf {"first":2}"#]);
    assert_eq!(violations(text, json!({ "n": 2.5 })), ["n must be an Int"]);
}

#[test]
fn finding_13_different_fields_under_one_key_are_refused_at_every_depth() {
    let rows = [
        "{ d: item(id: 1) { id } d: item(id: 2) { id } }",
        "{ d: item(id: 1) { x: name } d: item(id: 1) { x: price } }",
        "{ d: shelf { items { x: name } } d: shelf { items { x: id } } }",
        "{ d: shelf { best { ... on Item { x: name } } } d: shelf { best { ... on Item { x: id } } } }",
    ];

    for text in rows {
        let errors = run(text, json!({})).expect_err("the fields differ");
        assert_eq!(errors[0].kind, ErrorKind::ValidationFailed, "{text}");
    }
}
