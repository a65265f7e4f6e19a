//! Variables in the places where they stand (specification, sections 5.8.5 and 6.4.1): arguments, fields of input
//! objects, entries of lists, with and without defaults.

use documents::ErrorKind;
use serde_json::json;

use crate::kit::{calls, run};

/// Values of the variable, in this order: not sent, null, 7.
fn outcomes(text: &str) -> Vec<String> {
    let sent = [json!({}), json!({ "v": null }), json!({ "v": 7 })];
    let outcome = |variables| match run(text, variables) {
        Ok(outcome) => outcome.calls.join("; "),
        Err(errors) => errors[0].to_string(),
    };

    sent.into_iter().map(outcome).collect()
}

#[test]
fn nullable_places() {
    assert_eq!(
        outcomes("query($v: Int) { shelf(first: $v) { id } }"),
        [
            "shelf {}",
            r#"shelf {"first":null}"#,
            r#"shelf {"first":7}"#
        ]
    );
    assert_eq!(
        outcomes("query($v: Int) { shelf(input: {grid: [[1, $v], [$v], null]}) { id } }"),
        [
            r#"shelf {"input":{"name":"none","grid":[[1,null],[null],null]}}"#,
            r#"shelf {"input":{"name":"none","grid":[[1,null],[null],null]}}"#,
            r#"shelf {"input":{"name":"none","grid":[[1,7],[7],null]}}"#,
        ]
    );
    assert_eq!(
        outcomes("query($v: Price) { shelf(input: {price: $v, child: {price: $v}}) { id } }"),
        [
            r#"shelf {"input":{"name":"none","child":{"name":"none"}}}"#,
            r#"shelf {"input":{"name":"none","price":null,"child":{"name":"none","price":null}}}"#,
            r#"shelf {"input":{"name":"none","price":7,"child":{"name":"none","price":7}}}"#,
        ]
    );
}

#[test]
fn places_with_a_default() {
    assert_eq!(
        outcomes("query($v: Int) { list(inner: {must: 1, held: $v}) { id } }"),
        [
            r#"list {"numbers":[1],"inner":{"must":1,"held":5}}"#,
            "list failed: Argument inner requires a value that is not null",
            r#"list {"numbers":[1],"inner":{"must":1,"held":7}}"#,
        ]
    );
    assert_eq!(
        outcomes("query($v: [Int!]) { list(numbers: $v) { id } }"),
        [
            r#"list {"numbers":[1],"inner":{"must":3,"held":5}}"#,
            "list failed: Argument numbers requires a value that is not null",
            r#"list {"numbers":[7],"inner":{"must":3,"held":5}}"#,
        ]
    );
    assert_eq!(
        calls(
            "query($v: Inner) { list(inner: $v) { id } }",
            json!({ "v": null })
        ),
        [r#"list {"numbers":[1],"inner":null}"#]
    );
}

#[test]
fn required_places_of_a_variable_with_a_default() {
    assert_eq!(
        outcomes("query($v: Int = 3) { list(numbers: [1, $v]) { id } }"),
        [
            r#"list {"numbers":[1,3],"inner":{"must":3,"held":5}}"#,
            "list failed: Argument numbers requires a value that is not null",
            r#"list {"numbers":[1,7],"inner":{"must":3,"held":5}}"#,
        ]
    );
    assert_eq!(
        outcomes("query($v: Int = 3) { list(inner: {must: $v}) { id } }"),
        [
            r#"list {"numbers":[1],"inner":{"must":3,"held":5}}"#,
            "list failed: Argument inner requires a value that is not null",
            r#"list {"numbers":[1],"inner":{"must":7,"held":5}}"#,
        ]
    );
    assert_eq!(
        outcomes("query($v: ID = 3) { a: item(id: $v) { id } b: item(id: 1) { id } }"),
        [
            r#"item {"id":"3","color":"RED"}; item {"id":"1","color":"RED"}"#,
            r#"item failed: Argument id requires a value that is not null; item {"id":"1","color":"RED"}"#,
            r#"item {"id":"7","color":"RED"}; item {"id":"1","color":"RED"}"#,
        ]
    );
}

#[test]
fn one_of_objects_take_variables_that_have_a_value() {
    assert_eq!(
        outcomes("query($v: Int = 3) { list(size: {small: $v}) { id } }"),
        [
            r#"list {"numbers":[1],"size":{"small":3},"inner":{"must":3,"held":5}}"#,
            "list failed: Argument size requires a value that is not null",
            r#"list {"numbers":[1],"size":{"small":7},"inner":{"must":3,"held":5}}"#,
        ]
    );
    assert_eq!(
        outcomes("query($v: Int!) { list(size: {small: $v}) { id } }"),
        [
            "v is required",
            "v must not be null",
            r#"list {"numbers":[1],"size":{"small":7},"inner":{"must":3,"held":5}}"#,
        ]
    );
    assert_eq!(
        calls(
            "query($v: Size!) { shelf(input: {sizes: [$v, {small: 1}]}) { id } }",
            json!({ "v": { "large": 1 } })
        ),
        [r#"shelf {"input":{"name":"none","sizes":[{"large":1.0},{"small":1}]}}"#]
    );
}

#[test]
fn variables_whose_type_does_not_fit_are_refused() {
    let rows = [
        "query($v: Int) { list(numbers: $v) { id } }",
        "query($v: Int) { list(numbers: [$v]) { id } }",
        "query($v: [Int]) { list(numbers: $v) { id } }",
        "query($v: [Int]!) { list(numbers: $v) { id } }",
        "query($v: String) { list(tags: $v) { id } }",
        "query($v: ID) { item(id: $v) { id } }",
        "query($v: Int) { item(id: $v) { id } }",
        "query($v: String!) { item(id: 1, color: $v) { id } }",
        "query($v: Int) { list(inner: {must: $v}) { id } }",
        "query($v: Float) { list(inner: {must: 1, held: $v}) { id } }",
        "query($v: Int) { list(size: {small: $v}) { id } }",
        "query($v: Int!) { list(size: {small: $v, large: 1}) { id } }",
        "query($v: Int!) { list(size: {large: $v}) { id } }",
        "query($v: Price) { shelf(input: {price: $v, grid: [[$v]]}) { id } }",
        "query($v: [Int]) { shelf(input: {grid: $v}) { id } }",
        "query($v: Boolean) { item(id: 1) { id @include(if: $v) } }",
        "query($v: String!) { item(id: 1) { id @include(if: $v) } }",
        "query($v: Int) { list(colors: [RED, $v]) { id } }",
        "query($v: Item) { list(tags: $v) { id } }",
        "query($v: Nothing) { list(tags: $v) { id } }",
        "query($v: [Int!]!) { item(id: 1) { ...F } } fragment F on Item { id @include(if: $v) }",
    ];

    for text in rows {
        let told = run(text, json!({ "v": 1 })).expect_err(text);
        assert_eq!(
            told[0].kind,
            ErrorKind::ValidationFailed,
            "{text}: {told:?}"
        );
    }
}

/// A null default is no value: the library took it for one, and null reached places that must not have it.
#[test]
fn a_null_default_does_not_stand_in_for_a_value() {
    let rows = [
        "query($v: ID = null) { item(id: $v) { id } }",
        "query($v: Int = null) { list(numbers: [$v]) { id } }",
        "query($v: Int = null) { list(inner: {must: $v}) { id } }",
        "query($v: Int = null) { list(size: {small: $v}) { id } }",
        "query($v: Boolean = null) { item(id: 1) { id @include(if: $v) } }",
        "query($v: Boolean = null) { ...F } fragment F on Query { item(id: 1) { id @skip(if: $v) } }",
        "query A { __typename } query B($v: ID = null) { item(id: $v) { id } }",
        "query($v: Int! = null) { shelf(first: $v) { id } }",
    ];

    for text in rows {
        let operation = text.contains("query A").then_some("A");
        let told = crate::kit::run_operation(text, operation, json!({ "v": 1 })).expect_err(text);
        assert_eq!(
            told[0].kind,
            ErrorKind::ValidationFailed,
            "{text}: {told:?}"
        );
    }

    let fine = "query($v: Int = null) { list(inner: {must: 1, held: $v}) { id } }";
    assert_eq!(
        outcomes(fine)[2],
        r#"list {"numbers":[1],"inner":{"must":1,"held":7}}"#
    );
    assert!(
        outcomes(fine)[0].contains("failed"),
        "null is the variable's default"
    );
}

#[test]
fn variables_are_declared_once_used_and_known() {
    let rows = [
        "query($v: Int) { shelf { id } }",
        "query($v: Int, $v: Int) { shelf(first: $v) { id } }",
        "{ shelf(first: $v) { id } }",
        "query($v: Int) { shelf(first: $v, last: $w) { id } }",
        "query($v: Int) { ...F } fragment F on Query { shelf(first: $w) { id } }",
        "query A($v: Int) { ...F } query B { ...F } fragment F on Query { shelf(first: $v) { id } }",
        "query($v: Int = \"x\") { shelf(first: $v) { id } }",
        "query($v: Int = 2147483648) { shelf(first: $v) { id } }",
        "query($v: Size = {small: 1, large: 2}) { list(size: $v) { id } }",
        "query($v: Inner = {}) { list(inner: $v) { id } }",
    ];

    for text in rows {
        let operation = text.contains("query A").then_some("A");
        assert!(
            crate::kit::run_operation(text, operation, json!({})).is_err(),
            "{text}"
        );
    }
}
