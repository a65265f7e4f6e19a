//! Collection of fields (specification, section 6.3.2): fragments, type conditions, conditions, order and merging.

use documents::ErrorKind;
use serde_json::json;

use crate::kit::{calls, data, documents, execute, run};

#[test]
fn fragments_apply_to_the_types_that_they_fit() {
    let text = "query($id: ID!) { node(id: $id) { ...N ... on Item { name } ... on Shelf { items { id } } ... { k: id } } }
        fragment N on Node { __typename ...T } fragment T on Thing { ... on Shelf { s: id } ... on Item { i: id } }";

    assert_eq!(
        data(text, json!({ "id": "shelf" })),
        r#"{"node":{"__typename":"Shelf","s":"shelf","items":[{"id":"1"}],"k":"shelf"}}"#
    );
    assert_eq!(
        data(text, json!({ "id": "3" })),
        r#"{"node":{"__typename":"Item","i":"3","name":"a \"name\"","k":"3"}}"#
    );
}

#[test]
fn unions_and_interfaces_select_by_the_type_of_the_value() {
    let text = "query($id: ID!) { thing(id: $id) { ... on Item { id } ... on Node { n: id } }
        other: thing(id: $id) { ... on Shelf { best { __typename ... on Node { id } } near { id __typename } } } }";

    assert_eq!(
        data(text, json!({ "id": "shelf" })),
        r#"{"thing":{"n":"shelf"},"other":{"best":{"__typename":"Item","id":"1"},"near":{"id":"shelf","__typename":"Shelf"}}}"#
    );
    assert_eq!(
        data(text, json!({ "id": "3" })),
        r#"{"thing":{"id":"3","n":"3"},"other":{}}"#
    );
}

#[test]
fn the_first_selection_of_a_key_gives_its_place() {
    let rows = [
        (
            "{ item(id: 1) { ...F name id } } fragment F on Item { price }",
            "price name id",
        ),
        (
            "{ item(id: 1) { id ...F name } } fragment F on Item { name price id }",
            "id name price",
        ),
        (
            "{ item(id: 1) { ...F ...F id } } fragment F on Item { ...G name } fragment G on Item { id }",
            "id name",
        ),
        (
            "{ item(id: 1) { tags } item(id: 1) { id tags } item(id: 1) { name } }",
            "tags id name",
        ),
        (
            "{ ...F item(id: 1) { id } } fragment F on Query { item(id: 1) { name } }",
            "name id",
        ),
        (
            "{ item(id: 1) { ... on Item { name ... on Node { id } } price id } }",
            "name id price",
        ),
        (
            "{ item(id: 1) { __typename id __typename: __typename } }",
            "__typename id",
        ),
    ];

    for (text, order) in rows {
        let result: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&data(text, json!({}))).unwrap();
        let item = result["item"].to_string();

        // Places in the text, because a JSON object here has no order of its own.
        let bytes = data(text, json!({}));
        let places: Vec<_> = order
            .split(' ')
            .map(|key| {
                bytes
                    .find(&format!("\"{key}\":"))
                    .expect("the key is there")
            })
            .collect();
        assert!(places.is_sorted(), "{text}: {bytes}");
        assert_eq!(
            result["item"].as_object().unwrap().len(),
            places.len(),
            "{item}"
        );
    }
}

/// Runs all 64 combinations of six conditions, far more than a plan keeps, twice and in two orders.
#[test]
fn every_combination_of_conditions_selects_what_it_says() {
    let text = "query($a: Boolean!, $b: Boolean!, $c: Boolean!, $d: Boolean!, $e: Boolean!, $f: Boolean!) {
        item(id: 1) @include(if: $f) {
          id @include(if: $a)
          ...F @skip(if: $b)
          ... on Node @include(if: $c) { n: id @skip(if: $a) }
          tags @include(if: $d) @skip(if: $e)
          ...F @include(if: $e)
          t: __typename
        } }
        fragment F on Item { price @include(if: $d) x: id }";
    let expected = |on: &dyn Fn(usize) -> bool| {
        let [a, b, c, d, e, f] = std::array::from_fn(on);
        let fragment = [(d, r#""price":7"#), (true, r#""x":"1""#)];
        let early = fragment.map(|(included, field)| (included && !b, field));
        let late = fragment.map(|(included, field)| (included && b && e, field));

        let mut fields = vec![(a, r#""id":"1""#)];
        fields.extend(early);
        fields.push((c && !a, r#""n":"1""#));
        fields.push((d && !e, r#""tags":["x","y"]"#));
        fields.extend(late);
        fields.push((true, r#""t":"Item""#));

        let included: Vec<_> = fields.iter().filter(|(included, _)| *included).collect();
        let fields: Vec<_> = included.iter().map(|(_, field)| *field).collect();
        if f {
            format!("{{\"item\":{{{}}}}}", fields.join(","))
        } else {
            "{}".to_owned()
        }
    };
    let documents = documents();
    let plan = documents.plan(text, None).unwrap().plan;

    for mask in (0..64).chain((0..64).rev()) {
        let on = |bit: usize| mask >> bit & 1 == 1;
        let values = ["a", "b", "c", "d", "e", "f"].into_iter().enumerate();
        let variables = values
            .map(|(bit, name)| (name.to_owned(), json!(on(bit))))
            .collect();

        let request = plan.bind(documents.schema(), &variables).unwrap();
        let outcome = execute(&documents, &request);
        assert_eq!(outcome.data, expected(&on), "{mask:06b}");
        assert_eq!(outcome.calls.len(), usize::from(on(5)), "{mask:06b}");
    }
}

#[test]
fn conditions_hold_on_fields_spreads_and_inline_fragments() {
    let kinds = [
        "{ item(id: 1) { id name CONDITION } }",
        "{ item(id: 1) { id ... CONDITION { name } } }",
        "{ item(id: 1) { id ... on Node CONDITION { ... on Item { name } } } }",
        "{ item(id: 1) { id ...F CONDITION } } fragment F on Item { name }",
    ];
    let conditions = [
        ("@include(if: true)", true),
        ("@include(if: false)", false),
        ("@skip(if: true)", false),
        ("@skip(if: false)", true),
        ("@skip(if: false) @include(if: true)", true),
        ("@include(if: true) @skip(if: true)", false),
        ("@include(if: false) @skip(if: false)", false),
        ("@skip(if: true) @include(if: false)", false),
    ];

    for kind in kinds {
        for (condition, included) in conditions {
            let text = kind.replace("CONDITION", condition);
            let outcome = data(&text, json!({}));
            assert_eq!(outcome.contains("name"), included, "{text}");
        }
    }
}

#[test]
fn a_spread_that_is_left_out_does_not_use_up_its_fragment() {
    let text = "query($yes: Boolean!) { item(id: 1) { ...F @include(if: $yes) id ...F } } fragment F on Item { name }";

    assert_eq!(
        data(text, json!({ "yes": false })),
        r#"{"item":{"id":"1","name":"a \"name\""}}"#
    );
    assert_eq!(
        data(text, json!({ "yes": true })),
        r#"{"item":{"name":"a \"name\"","id":"1"}}"#
    );
}

#[test]
fn a_field_is_there_if_any_of_its_selections_is() {
    let text = "query($a: Boolean!, $b: Boolean!) { item(id: 1) @include(if: $a) { id } item(id: 1) @include(if: $b) { name } }";
    let both = |a: bool, b: bool| data(text, json!({ "a": a, "b": b }));

    assert_eq!(
        both(true, true),
        r#"{"item":{"id":"1","name":"a \"name\""}}"#
    );
    assert_eq!(both(true, false), r#"{"item":{"id":"1"}}"#);
    assert_eq!(both(false, true), r#"{"item":{"name":"a \"name\""}}"#);
    assert_eq!(both(false, false), "{}");
    assert!(calls(text, json!({ "a": false, "b": false })).is_empty());
}

#[test]
fn an_object_without_included_fields_is_empty_and_still_executed() {
    let text = "{ item(id: 1) { id @skip(if: true) } }";

    assert_eq!(data(text, json!({})), r#"{"item":{}}"#);
    assert_eq!(calls(text, json!({})).len(), 1);
}

#[test]
fn conditions_of_other_operations_do_not_concern_the_executed_one() {
    let text = "query A($v: Boolean, $w: Boolean!) { needed(fail: $v) { id } item(id: 1) @include(if: $w) { id } }
        query B($v: Boolean!) { ...F } fragment F on Query { item(id: 1) @include(if: $v) { id } }";

    let outcome = crate::kit::run_operation(text, Some("A"), json!({ "v": null, "w": false }));
    assert_eq!(
        outcome.expect("null is a value of $v").calls,
        [r#"needed {"fail":null}"#]
    );
}

/// A mask has 64 bits; conditions of other operations, which are limited by themselves, must not overflow it.
#[test]
fn names_shared_with_many_conditions_of_other_operations_do_no_harm() {
    let numbers = || (0..90).map(|number| number.to_string());
    let join = |part: &dyn Fn(String) -> String| numbers().map(part).collect::<String>();
    let declared = join(&|n| format!("$v{n}: Boolean! "));
    let used = |range: std::ops::Range<usize>| -> String {
        let range = range.map(|n| format!("id @include(if: $v{n}) "));
        range.collect()
    };
    let narrow = |range: std::ops::Range<usize>| -> String {
        range.map(|n| format!("$v{n}: Boolean! ")).collect()
    };
    let arguments = join(&|n| format!("$v{n} "));
    let text = format!(
        "query A({declared}) {{ list(flags: [{arguments}]) {{ id }} item(id: 1) {{ id name @include(if: $v89) }} }}
        query B({}) {{ item(id: 1) {{ ...F }} }} fragment F on Item {{ {} }}
        query C({}) {{ item(id: 1) {{ ...G }} }} fragment G on Item {{ {} }}",
        narrow(0..45),
        used(0..45),
        narrow(45..89),
        used(45..89),
    );
    let variables = numbers()
        .map(|n| (format!("v{n}"), json!(n != "89")))
        .collect();

    let outcome = crate::kit::run_operation(&text, Some("A"), serde_json::Value::Object(variables));
    let outcome = outcome.expect("the document is valid");
    assert!(
        outcome.data.ends_with(r#""item":{"id":"1"}}"#),
        "{}",
        outcome.data
    );
}

#[test]
fn fields_that_cannot_be_merged_are_refused() {
    let rows = [
        "{ item(id: 1) { id } item(id: 2) { id } }",
        "{ item(id: 1) { id } item(id: \"1\") { id } }",
        "{ item(id: 1) { id } item(id: 1, color: RED) { id } }",
        "{ item(id: 1) { id: name id } }",
        "{ shelf { id } shelf(first: 1) { id } }",
        "{ a: shelf { id } a: item(id: 1) { id } }",
        "{ shelf { ...F x: id } } fragment F on Shelf { ...G } fragment G on Shelf { x: __typename }",
        "{ list(numbers: [1, 2]) { id } list(numbers: [2, 1]) { id } }",
        "query($a: ID!, $b: ID!) { item(id: $a) { id } item(id: $b) { id } }",
        "{ thing(id: 1) { ... on Item { x: name } ... on Shelf { x: id } } }",
        "{ thing(id: 1) { ... on Item { x: parent { id } } ... on Shelf { x: near { id } } } }",
        "{ thing(id: 1) { ... on Item { x: tags } ... on Shelf { x: id } } }",
        "{ shelf { items { x: name } } ...F } fragment F on Query { shelf { items { x: price } } }",
        "{ item(id: 1) { x: id @include(if: true) x: name @include(if: false) } }",
        "mutation { write(input: {}) { id } write(input: {name: \"b\"}) { id } }",
        "subscription { changed { x: id x: name } }",
    ];

    for text in rows {
        let errors = run(text, json!({ "a": 1, "b": 1 })).expect_err(text);
        assert!(
            errors
                .iter()
                .all(|error| error.kind == ErrorKind::ValidationFailed),
            "{text}: {errors:?}"
        );
    }
}

#[test]
fn fields_that_can_be_merged_are_one() {
    let rows = [
        "{ item(id: 1, color: RED) { id } item(color: RED, id: 1) { id } }",
        "{ x: item(id: 1) { id } x: item(id: 1) { id } }",
        "{ list(numbers: [1, 2]) { id } list(numbers: [1, 2]) { id } }",
        "query($a: ID!) { item(id: $a) { id } item(id: $a) { id } }",
        "{ thing(id: 1) { ... on Item { x: id } ... on Shelf { x: id } } }",
        "{ thing(id: 1) { ... on Item { x: __typename } ... on Shelf { x: __typename } } }",
    ];

    for text in rows {
        assert_eq!(calls(text, json!({ "a": 1 })).len(), 1, "{text}");
    }
}
