//! Coercion of variables (specification, sections 3.5 to 3.12 and 6.1.2): every kind of JSON for every kind of type.

use serde_json::{Value as Json, json};

use crate::kit::{calls, errors, run, violations};

/// Returns what arrives in a field of the input for a value, or the violations. `ty` is the variable's type.
fn written(field: &str, ty: &str, value: &Json) -> Result<Json, String> {
    let text = format!("mutation($v: {ty}) {{ write(input: {{{field}: $v}}) {{ id }} }}");
    let variables = json!({ "v": value });
    let Ok(outcome) = run(&text, variables.clone()) else {
        return Err(violations(&text, variables).join("; "));
    };

    let arguments = outcome.calls[0]
        .strip_prefix("write ")
        .expect("it is called");
    let arguments: Json = serde_json::from_str(arguments).expect("arguments are JSON");
    Ok(arguments["input"][field].clone())
}

/// Checks what becomes of values: JSON, or the violations.
fn check(field: &str, ty: &str, rows: &[(Json, &str)]) {
    for (value, expected) in rows {
        let expected = serde_json::from_str(expected).map_err(|_| (*expected).to_owned());
        assert_eq!(
            written(field, ty, value),
            expected,
            "{field}: {ty} = {value}"
        );
    }
}

#[test]
fn integers() {
    let text = "query($v: Int) { shelf(first: $v) { id } }";
    let fine = [
        ("0", "0"),
        ("-0", "0"),
        ("7", "7"),
        ("2.0", "2"),
        ("-0.0", "0"),
        ("1e3", "1000"),
        ("2147483647", "2147483647"),
        ("2147483647.0", "2147483647"),
        ("-2147483648", "-2147483648"),
        ("null", "null"),
    ];
    for (value, expected) in fine {
        let value: Json = serde_json::from_str(value).unwrap();
        let expected = format!(r#"shelf {{"first":{expected}}}"#);
        assert_eq!(calls(text, json!({ "v": value })), [expected]);
    }

    let wrong = [
        "2147483648",
        "-2147483649",
        "2147483648.0",
        "2.5",
        "1e10",
        "1e300",
        "9223372036854775808",
        "18446744073709551615",
        "\"1\"",
        "true",
        "{}",
        "[1]",
        "[]",
    ];
    for value in wrong {
        let json: Json = serde_json::from_str(value).unwrap();
        assert_eq!(
            violations(text, json!({ "v": json })),
            ["v must be an Int"],
            "{value}"
        );
    }
}

#[test]
fn numbers_texts_and_truth_values() {
    check(
        "ratio",
        "Float",
        &[
            (json!(1), "1.0"),
            (json!(-1.5), "-1.5"),
            (json!(2147483648_i64), "2147483648.0"),
            (json!(u64::MAX), "1.8446744073709552e19"),
            (json!(1e300), "1e300"),
            (json!(null), "null"),
            (json!("1.5"), "v must be a Float"),
            (json!(true), "v must be a Float"),
            (json!([1]), "v must be a Float"),
        ],
    );
    check(
        "name",
        "String!",
        &[
            (json!(""), "\"\""),
            (json!("a\u{0}\n\"😀"), "\"a\\u0000\\n\\\"😀\""),
            (json!(null), "v must not be null"),
            (json!(1), "v must be a String"),
            (json!(true), "v must be a String"),
            (json!(["a"]), "v must be a String"),
            (json!({ "a": "b" }), "v must be a String"),
        ],
    );
    check(
        "flag",
        "Boolean",
        &[
            (json!(true), "true"),
            (json!(false), "false"),
            (json!(null), "null"),
            (json!(0), "v must be a Boolean"),
            (json!(1), "v must be a Boolean"),
            (json!("true"), "v must be a Boolean"),
            (json!([true]), "v must be a Boolean"),
        ],
    );
}

#[test]
fn ids_are_texts_or_whole_numbers() {
    check(
        "id",
        "ID",
        &[
            (json!("a"), "\"a\""),
            (json!(""), "\"\""),
            (json!(4), "\"4\""),
            (json!(-4), "\"-4\""),
            (json!(4.0), "\"4\""),
            (json!(u64::MAX), "\"18446744073709551615\""),
            (json!(i64::MIN), "\"-9223372036854775808\""),
            (json!(null), "null"),
            (json!(4.5), "v must be an ID"),
            (json!(1e300), "v must be an ID"),
            (json!(true), "v must be an ID"),
            (json!(["a"]), "v must be an ID"),
        ],
    );
}

#[test]
fn values_of_enums_are_texts_that_match_exactly() {
    check(
        "color",
        "Color",
        &[
            (json!("RED"), "\"RED\""),
            (json!(null), "null"),
            (json!("red"), "v must be a Color"),
            (json!(" RED"), "v must be a Color"),
            (json!(""), "v must be a Color"),
            (json!(0), "v must be a Color"),
            (json!(true), "v must be a Color"),
            (json!(["RED"]), "v must be a Color"),
        ],
    );
}

#[test]
fn custom_scalars_follow_their_rule() {
    check(
        "price",
        "Price",
        &[
            (json!(5), "5"),
            (json!(5.0), "5"),
            (json!(null), "null"),
            (json!(5.5), "v must be a whole number"),
            (json!("5"), "v must be a whole number"),
            (
                json!({ "a": [null, { "b": 1 }] }),
                "v must be a whole number",
            ),
            (json!([5]), "v must be a whole number"),
        ],
    );
}

#[test]
fn lists_take_a_single_value_as_a_list_of_one() {
    check(
        "tags",
        "[String]",
        &[
            (json!([]), "[]"),
            (json!(["a", null, "b"]), r#"["a",null,"b"]"#),
            (json!("a"), r#"["a"]"#),
            (json!(null), "null"),
            (json!([["a"]]), "v.0 must be a String"),
            (
                json!([1, "a", true]),
                "v.0 must be a String; v.2 must be a String",
            ),
            (json!(1), "v must be a String"),
            (json!({}), "v must be a String"),
        ],
    );
    check(
        "grid",
        "[[Int]]",
        &[
            (json!([[1, 2], [3]]), "[[1,2],[3]]"),
            (json!(1), "[[1]]"),
            (json!([1, 2, null]), "[[1],[2],null]"),
            (json!([[null], []]), "[[null],[]]"),
            (
                json!([[1], ["b"], "c"]),
                "v.1.0 must be an Int; v.2 must be an Int",
            ),
            (json!([[[1]]]), "v.0.0 must be an Int"),
        ],
    );
    check(
        "sizes",
        "[Size!]",
        &[
            (json!({ "small": 1 }), r#"[{"small":1}]"#),
            (json!([null, { "small": 1 }]), "v.0 must not be null"),
        ],
    );
}

#[test]
fn input_objects_tell_absent_from_null_and_name_every_violation() {
    check(
        "child",
        "ItemInput",
        &[
            (json!({}), r#"{"name":"none"}"#),
            (
                json!({ "name": "a", "price": null }),
                r#"{"name":"a","price":null}"#,
            ),
            (
                json!({ "child": { "child": {} } }),
                r#"{"name":"none","child":{"name":"none","child":{"name":"none"}}}"#,
            ),
            (json!({ "name": null }), "v.name must not be null"),
            (json!("a"), "v must be an ItemInput"),
            (json!([]), "v must be an ItemInput"),
            (json!([{}]), "v must be an ItemInput"),
            (json!({ "nope": 1 }), "v.nope is not a field of ItemInput"),
            (json!({ "Name": "a" }), "v.Name is not a field of ItemInput"),
            (json!({ "": 1 }), "v. is not a field of ItemInput"),
            (
                json!({ "inner": { "must": 1 } }),
                r#"{"name":"none","inner":{"must":1,"held":5}}"#,
            ),
            (json!({ "inner": {} }), "v.inner.must is required"),
            (
                json!({ "inner": { "must": null, "held": null } }),
                "v.inner.must must not be null; v.inner.held must not be null",
            ),
            (
                json!({ "grid": [[1, "x"]], "child": { "sizes": [{ "small": 1 }, { "tiny": 1 }], "flag": 0 } }),
                "v.grid.0.1 must be an Int; v.child.sizes.1.tiny is not a field of Size; v.child.flag must be a Boolean",
            ),
        ],
    );
}

#[test]
fn one_of_objects_have_exactly_one_field_which_is_not_null() {
    let one = "v.0 must have exactly one field, which is not null";
    check(
        "sizes",
        "[Size!]",
        &[
            (
                json!([{ "small": 1 }, { "large": 2 }]),
                r#"[{"small":1},{"large":2.0}]"#,
            ),
            (json!([{}]), one),
            (json!([{ "small": null }]), one),
            (json!([{ "small": 1, "large": 2 }]), one),
            (json!([{ "small": 1, "large": null }]), one),
            (json!([{ "small": "x" }]), "v.0.small must be an Int"),
        ],
    );
}

#[test]
fn absent_null_and_defaults_of_variables_differ() {
    let text = "query($v: Int = 3) { shelf(first: $v) { id } }";
    assert_eq!(calls(text, json!({})), [r#"shelf {"first":3}"#]);
    assert_eq!(
        calls(text, json!({ "v": null })),
        [r#"shelf {"first":null}"#]
    );
    assert_eq!(calls(text, json!({ "v": 4 })), [r#"shelf {"first":4}"#]);

    let text = "query($v: Int) { shelf(first: $v) { id } }";
    assert_eq!(calls(text, json!({})), ["shelf {}"]);
    let text = "query($v: Int = null) { shelf(first: $v) { id } }";
    assert_eq!(calls(text, json!({})), [r#"shelf {"first":null}"#]);

    let text = "query($v: Inner = {must: 2}) { list(inner: $v) { id } }";
    assert_eq!(
        calls(text, json!({})),
        [r#"list {"numbers":[1],"inner":{"must":2,"held":5}}"#]
    );

    let text = "query($v: Int! = 3) { shelf(first: $v) { id } }";
    assert_eq!(calls(text, json!({})), [r#"shelf {"first":3}"#]);
    assert_eq!(
        violations(text, json!({ "v": null })),
        ["v must not be null"]
    );
    let text = "query($v: Int!) { shelf(first: $v) { id } }";
    assert_eq!(violations(text, json!({})), ["v is required"]);
}

#[test]
fn variables_that_are_not_declared_are_ignored() {
    let text = "query($v: Int) { shelf(first: $v) { id } }";

    assert_eq!(
        calls(
            text,
            json!({ "v": 1, "w": { "a": [1] }, "V": "x", "": null })
        ),
        [r#"shelf {"first":1}"#]
    );
}

#[test]
fn every_variable_is_checked_and_located() {
    let text = "query($a: Int,\n  $b: [ID!]!,\n  $c: Boolean!) { shelf(first: $a) { id } x: __typename @include(if: $c)
        y: list(tags: $d) { id } node(id: 1) { id } ...F } fragment F on Query { z: shelf(input: {tags: $e}) { id } }"
        .replace("$d", "[]")
        .replace("$e", "[]")
        .replace("$b: [ID!]!", "$b: ID!")
        .replace("node(id: 1)", "node(id: $b)");

    assert_eq!(
        violations(&text, json!({ "a": "x", "c": "true" })),
        ["a must be an Int", "b is required", "c must be a Boolean"]
    );
    assert_eq!(
        errors(&text, json!({ "a": "x", "c": "true" })),
        ["BadInput 3 input values are invalid [1:7 2:3 3:3]"]
    );
    assert_eq!(
        errors(&text, json!({ "b": 1, "c": null })),
        ["BadInput c must not be null [3:3]"]
    );
}

#[test]
fn a_condition_takes_no_null_and_says_so_once() {
    let nullable = "query($c: Boolean = true) { item(id: 1) { id name @skip(if: $c) } }";
    let required = "query($c: Boolean!) { item(id: 1) { id name @skip(if: $c) } }";

    for text in [nullable, required] {
        assert_eq!(
            violations(text, json!({ "c": null })),
            ["c must not be null"]
        );
        assert_eq!(violations(text, json!({ "c": 1 })), ["c must be a Boolean"]);
    }
}
