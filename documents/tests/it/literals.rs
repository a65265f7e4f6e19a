//! Literals of documents: strings, numbers, enums, lists and input objects, with and without variables inside.

use documents::ErrorKind;
use serde_json::{Value as Json, json};

use crate::kit::{calls, errors, run, violations};

/// Returns what a literal becomes as a field of the input.
fn written(field: &str, literal: &str) -> Json {
    let text = format!("mutation {{ write(input: {{{field}: {literal}}}) {{ id }} }}");
    let called = calls(&text, json!({})).remove(0);
    let arguments = called.strip_prefix("write ").expect("it is called");
    let arguments: Json = serde_json::from_str(arguments).expect("arguments are JSON");

    arguments["input"][field].clone()
}

#[test]
fn strings_and_their_escapes() {
    let rows = [
        (r#""""#, ""),
        (r#""a # b { } ,""#, "a # b { } ,"),
        (
            r#""\" \\ \/ \b \f \n \r \t""#,
            "\" \\ / \u{8} \u{c} \n \r \t",
        ),
        (r#""\u0041\u00e9\u00E9""#, "Aéé"),
        (r#""\uD83D\uDE00""#, "😀"),
        (r#""a\ud83d\ude00b\uD83D\uDE01""#, "a😀b😁"),
        (r#""\u{1F600}\u{1f600}\u{41}\u{000041}""#, "😀😀AA"),
        (r#""\u0000\uFFFF""#, "\u{0}\u{ffff}"),
        ("\"tab\tand 😀\"", "tab\tand 😀"),
        ("\"\u{2028}\u{7f}\"", "\u{2028}\u{7f}"),
    ];

    for (literal, expected) in rows {
        assert_eq!(written("name", literal), json!(expected), "{literal}");
    }
}

#[test]
fn block_strings_lose_their_indentation() {
    let rows = [
        (r#""""""""#, ""),
        (r#""""a""""#, "a"),
        ("\"\"\"  a  \"\"\"", "  a  "),
        ("\"\"\"\n    a\n      b\n\n    c\n  \"\"\"", "a\n  b\n\nc"),
        ("\"\"\"a\n    b\n   c\"\"\"", "a\n b\nc"),
        ("\"\"\"\n\n\n a\n\n\n\"\"\"", "a"),
        ("\"\"\"\t\ta\n\t\t b\n\t\tc\"\"\"", "\t\ta\n b\nc"),
        ("\"\"\"\r\n  a\r\n  b\r\"\"\"", "a\nb"),
        ("\"\"\"   \n   \"\"\"", ""),
        ("\"\"\"\n  a\n \n  b\"\"\"", "a\n\nb"),
        (r#""""say \""" twice""""#, "say \"\"\" twice"),
        (r#""""\"""""""#, "\"\"\""),
        (
            r#""""no \n \u0041 \\ escapes""""#,
            "no \\n \\u0041 \\\\ escapes",
        ),
        (r#"""" " "" """"#, " \" \"\" "),
        ("\"\"\"\u{2028}  a\n  b\"\"\"", "\u{2028}  a\nb"),
    ];

    for (literal, expected) in rows {
        assert_eq!(written("name", literal), json!(expected), "{literal}");
    }
}

#[test]
fn numbers_and_names() {
    let rows = [
        ("id", "7", json!("7")),
        ("id", "-7", json!("-7")),
        (
            "id",
            "123456789012345678901234567890",
            json!("123456789012345678901234567890"),
        ),
        ("ratio", "1", json!(1.0)),
        ("ratio", "-1.5e3", json!(-1500.0)),
        ("ratio", "1E-400", json!(0.0)),
        (
            "ratio",
            "123456789012345678901234567890",
            json!(123456789012345678901234567890.0),
        ),
        (
            "grid",
            "[[2147483647, -2147483648, 0, -0]]",
            json!([[i32::MAX, i32::MIN, 0, 0]]),
        ),
        ("flag", "true", json!(true)),
        ("color", "GREEN", json!("GREEN")),
        ("price", "5.0", json!(5)),
        ("price", "null", json!(null)),
    ];

    for (field, literal, expected) in rows {
        assert_eq!(written(field, literal), expected, "{field}: {literal}");
    }
}

#[test]
fn lists_and_objects() {
    let rows = [
        ("tags", "[]", json!([])),
        ("tags", "\"a\"", json!(["a"])),
        ("tags", "[\"a\", null]", json!(["a", null])),
        ("grid", "1", json!([[1]])),
        ("grid", "[1, 2]", json!([[1], [2]])),
        (
            "grid",
            "[[1, 2], [3, null], null]",
            json!([[1, 2], [3, null], null]),
        ),
        ("sizes", "{small: 1}", json!([{ "small": 1 }])),
        (
            "sizes",
            "[{large: 1}, {small: 2}]",
            json!([{ "large": 1.0 }, { "small": 2 }]),
        ),
        ("child", "{}", json!({ "name": "none" })),
        (
            "child",
            "{price: null, name: \"a\"}",
            json!({ "name": "a", "price": null }),
        ),
        (
            "inner",
            "{held: 1, must: 2}",
            json!({ "must": 2, "held": 1 }),
        ),
    ];

    for (field, literal, expected) in rows {
        assert_eq!(written(field, literal), expected, "{field}: {literal}");
    }
}

#[test]
fn literals_of_the_wrong_kind_are_refused() {
    let rows: [(&str, &[&str]); 11] = [
        ("id", &["true", "RED", "1.0", "{}", "[1]"]),
        ("name", &["1", "true", "RED", "null", "[\"a\"]", "{a: 1}"]),
        (
            "price",
            &["\"5\"", "5.5", "true", "RED", "{a: 5}", "[5]", "[[]]"],
        ),
        ("color", &["\"RED\"", "red", "BLUE", "true", "1", "[RED]"]),
        (
            "sizes",
            &[
                "{}",
                "{small: null}",
                "{small: 1, large: 2}",
                "{tiny: 1}",
                "[null]",
                "[[{small: 1}]]",
                "1",
            ],
        ),
        ("flag", &["1", "\"true\"", "TRUE", "[true]"]),
        ("ratio", &["\"1\"", "true", "1e400", "-1e400", "[1]"]),
        (
            "grid",
            &[
                "[[[1]]]",
                "2147483648",
                "[[-2147483649]]",
                "1.0",
                "1e3",
                "[\"a\"]",
            ],
        ),
        ("tags", &["[1]", "1", "[[\"a\"]]", "{a: \"b\"}"]),
        (
            "child",
            &[
                "\"a\"",
                "[]",
                "[{}]",
                "{nope: 1}",
                "{name: null}",
                "{child: {nope: 1}}",
            ],
        ),
        (
            "inner",
            &["{}", "{held: 1}", "{must: null}", "{must: 1, held: null}"],
        ),
    ];

    for (field, literals) in rows {
        for literal in literals {
            let text = format!("mutation {{ write(input: {{{field}: {literal}}}) {{ id }} }}");
            let told = run(&text, json!({})).expect_err(&text);
            assert!(
                matches!(
                    told[0].kind,
                    ErrorKind::ValidationFailed | ErrorKind::BadInput
                ),
                "{text}: {told:?}"
            );
            assert!(!told[0].locations.is_empty(), "{text}: {told:?}");
        }
    }
}

#[test]
fn input_fields_and_arguments_are_given_once() {
    let rows = [
        "mutation { write(input: {name: \"a\", name: \"a\"}) { id } }",
        "mutation { write(input: {child: {flag: true, flag: false}}) { id } }",
        "mutation { write(input: {sizes: {small: 1, small: 1}}) { id } }",
        "mutation($n: String!) { write(input: {name: $n, name: \"a\"}) { id } }",
        "mutation { write(input: {}, input: {}) { id } }",
        "{ item(id: 1) { id @include(if: true, if: true) } }",
    ];

    for text in rows {
        assert!(run(text, json!({ "n": "x" })).is_err(), "{text}");
    }
    assert_eq!(
        violations(rows[1], json!({})),
        ["input.child.flag is given more than once"]
    );
}

#[test]
fn literals_are_checked_beside_variables_and_where_nothing_is_executed() {
    let rows = [
        "mutation($n: String!) { write(input: {name: $n, price: 0.5}) { id } }",
        "mutation($n: String!) { write(input: {name: $n, child: {price: 0.5}}) { id } }",
        "query($n: String!) { shelf(input: {price: 0.5}) @include(if: false) { id } list(tags: [$n]) { id } }",
        "query($n: String!) { list(tags: [$n]) { id } ...F @skip(if: true) } fragment F on Query { shelf(input: {price: 0.5}) { id } }",
        "query($n: String!, $p: Price = 0.5) { list(tags: [$n]) { id } shelf(input: {price: $p}) { id } }",
    ];

    for text in rows {
        let told = violations(text, json!({ "n": "x" }));
        assert_eq!(told.len(), 1, "{text}");
        assert!(
            told[0].ends_with("must be a whole number"),
            "{text}: {told:?}"
        );
    }
}

#[test]
fn literals_of_operations_that_are_not_executed_are_checked() {
    let rows = [
        "query A { shelf { id } } query B { shelf(input: {price: 0.5}) { id } }",
        "query A { shelf { id } } query B($p: Price = 0.5) { shelf(input: {price: $p}) { id } }",
    ];

    for text in rows {
        let told = crate::kit::run_operation(text, Some("A"), json!({})).expect_err(text);
        assert_eq!(told[0].kind, ErrorKind::BadInput, "{text}");
    }
}

#[test]
fn variables_inside_of_custom_scalars_are_refused() {
    for literal in [
        "[$v]",
        "{a: $v}",
        "{a: [{b: $v}]}",
        "{a: $undeclared}",
        "[RED]",
    ] {
        let text = format!(
            "query($v: Price) {{ a: shelf(input: {{price: $v}}) {{ id }} b: shelf(input: {{price: {literal}}}) {{ id }} }}"
        );
        assert!(run(&text, json!({ "v": 5 })).is_err(), "{literal}");
    }
}

#[test]
fn violations_of_literals_are_told_together_with_their_places() {
    let text = "mutation {\n a: write(input: {price: 0.5, child: {price: 1.5}}) { id }\n b: write(input: {}) { id }
 c: write(input: {price: 2.5}) { id } }";

    assert_eq!(
        violations(text, json!({})),
        [
            "input.price must be a whole number",
            "input.child.price must be a whole number",
            "input.price must be a whole number",
        ]
    );
    assert_eq!(
        errors(text, json!({})),
        ["BadInput 3 input values are invalid [2:2 4:2]"]
    );
}
