//! Grammar of documents (specification, section 2): what is a document, and what is told about a text that is none.

use documents::ErrorKind;
use serde_json::json;

use crate::kit::{calls, data, errors, run};

/// Texts that are no documents, each with what is expected and found.
const FAULTS: &[(&str, &str)] = &[
    (
        "",
        "an operation or a fragment, found the end of the document [1:1]",
    ),
    (
        " # a comment\n",
        "an operation or a fragment, found the end of the document [2:1]",
    ),
    ("{", "a name, found the end of the document [1:2]"),
    ("}", r#"an operation or a fragment, found "}" [1:1]"#),
    ("{ }", r#"a name, found "}" [1:3]"#),
    ("{ item(id: 1) { } }", r#"a name, found "}" [1:17]"#),
    (
        "{\n  item(id: 1) {\n    id\n",
        "a name, found the end of the document [4:1]",
    ),
    ("{ item() { id } }", r#"a name, found ")" [1:8]"#),
    ("query() { id }", r#"expected "$", found ")" [1:7]"#),
    (
        "query($a Int) { id }",
        r#"expected ":", found "Int" [1:10]"#,
    ),
    (
        "query($a: Int!!) { id }",
        r#"expected "$", found "!" [1:15]"#,
    ),
    (
        "query($a: [Int) { id }",
        r#"expected "]", found ")" [1:15]"#,
    ),
    (
        "query($a: Int = $b) { id }",
        r#"a value without variables, found "$" [1:17]"#,
    ),
    (
        "query($a: Int @a(b: $c)) { id }",
        r#"a value without variables, found "$" [1:21]"#,
    ),
    ("{ a(b: ) }", r#"a value, found ")" [1:8]"#),
    ("{ a(b: [1, {c: }]) }", r#"a value, found "}" [1:16]"#),
    ("{ a: }", r#"a name, found "}" [1:6]"#),
    ("{ a:b:c }", r#"a name, found ":" [1:6]"#),
    ("{ ... on { id } }", r#"a name, found "{" [1:10]"#),
    ("{ ... }", r#"expected "{", found "}" [1:7]"#),
    ("{ .. on A { id } }", r#"a name, found "." [1:3]"#),
    ("{ @include(if: true) }", r#"a name, found "@" [1:3]"#),
    (
        "fragment on on Query { id }",
        r#"the name of a fragment, found "on" [1:10]"#,
    ),
    (
        "fragment F Query { id }",
        r#"expected "on", found "Query" [1:12]"#,
    ),
    (
        "fragment F on Query",
        r#"expected "{", found the end of the document [1:20]"#,
    ),
    (
        "\"text\" { id }",
        r#"an operation or a fragment, found "{" [1:8]"#,
    ),
    (
        "type A { b: Int }",
        r#"an operation or a fragment, found "type" [1:1]"#,
    ),
    (
        "{ id } extend",
        r#"an operation or a fragment, found "extend" [1:8]"#,
    ),
    ("{ a\r\n\té }", "a name, found \"é\" [2:2]"),
    (
        "{ \"text that is rather long\" }",
        "a name, found \"text that is rather [1:3]",
    ),
];

#[test]
fn a_syntax_error_names_the_first_token_that_does_not_fit() {
    for (text, expected) in FAULTS {
        let told = errors(text, json!({}));
        assert_eq!(told.len(), 1, "{text}: {told:?}");

        let expected = expected.strip_prefix("expected ").unwrap_or(expected);
        assert_eq!(
            told[0],
            format!("ParseFailed Syntax error: expected {expected}"),
            "{text}"
        );
    }
}

/// Texts that the library's parser repairs: it leaves out what has no colon, and goes on.
#[test]
fn what_has_no_colon_is_refused_and_never_left_out() {
    let rows = [
        "mutation { write(input: {name: \"a\", price 5}) { id } }",
        "mutation { write(input: {name: \"a\", price}) { id } }",
        "mutation { write(input: {name: \"a\", price = 5}) { id } }",
        "mutation { write(input: {name: \"a\", child: {price null}}) { id } }",
        "mutation { write(input: {}, note \"x\") { id } }",
        "mutation { write(input: {}, note) { id } }",
        "mutation { write(note input: {}) { id } }",
        "mutation { write(input: {sizes: [{small 1}]}) { id } }",
        "{ item(id: 1) { id @include(if true) } }",
        "{ item(id: 1) { id @include(not if: true) } }",
    ];

    for text in rows {
        let told = run(text, json!({})).expect_err(text);
        assert_eq!(told[0].kind, ErrorKind::ParseFailed, "{text}");
    }
}

#[test]
fn faults_inside_of_tokens_are_refused() {
    let numbers = [
        "01", "-", "-01", "1.", ".5", "1.e3", "1e", "1e+", "0xF", "1a", "1_0", "+1", "1..2", "--1",
    ];
    let strings = [
        r#""open"#,
        "\"line\nbreak\"",
        "\"line\rbreak\"",
        r#""\x""#,
        r#""\u12""#,
        r#""\u{}""#,
        r#""\u{110000}""#,
        r#""\uD83D""#,
        r#""\uDE00""#,
        r#""\uDE00\uD83D""#,
        r#""\uD83Dx""#,
        r#""\uD83D\u0041""#,
        r#""\uD83D\u{DE00}""#,
        r#""\u{D83D}""#,
        r#""""open"#,
        r#""""open \""""#,
    ];

    for value in numbers.into_iter().chain(strings) {
        let text = format!("{{ list(tags: [{value}]) {{ id }} }}");
        let told = run(&text, json!({})).expect_err(value);
        assert_eq!(told[0].kind, ErrorKind::ParseFailed, "{value}: {told:?}");
        assert_eq!(
            (told.len(), told[0].locations.len()),
            (1, 1),
            "{value}: {told:?}"
        );
    }
}

#[test]
fn commas_comments_line_ends_and_byte_order_marks_separate_tokens() {
    let rows = [
        "{,item,(,id,:,1,),{,id,},}",
        "{ a , : item(id: 1) { id } }",
        "{ ... , on Query { a: item(id: 1) { id } } }",
        "{ ... , F } fragment , F , on , Query , { item(id: 1) { id } }",
        "\u{feff}{ item(id: 1) { id } }",
        "{\u{feff}item(id: 1) { id } }",
        "{ item # a comment, with { } \" and \u{2028}\r (id: 1) { id } # \u{1f600}\n}",
        "query\tQ\r\n{ item(id: 1)\r{ id } }",
        "{item(id:1){...{id}}}",
    ];

    for text in rows {
        assert_eq!(calls(text, json!({})).len(), 1, "{text:?}");
    }
    assert_eq!(
        calls(
            "{ list(tags: [\"a, b\", \"\"\"c, d\"\"\"] # e,\n,) { id } }",
            json!({})
        )[0],
        r#"list {"numbers":[1],"tags":["a, b","c, d"],"inner":{"must":3,"held":5}}"#
    );
}

#[test]
fn executable_definitions_may_have_descriptions() {
    let text = "\"\"\"\nReads an item.\n\"\"\" query Q(\"Id of the item.\" $id: ID!) { ...F }
        \"Fields\" fragment F on Query { item(id: $id) { id } }";

    assert_eq!(data(text, json!({ "id": 1 })), r#"{"item":{"id":"1"}}"#);
}

#[test]
fn keywords_are_names() {
    let text = "query query($fragment: ID!, $true: ID = 2) {
        on: item(id: $fragment) { query: id type: id null: id } fragment: item(id: $true) { ...type }
        } fragment type on Item { on: id ...input } fragment input on Item { extend: id }";

    assert_eq!(
        data(text, json!({ "fragment": 1 })),
        r#"{"on":{"query":"1","type":"1","null":"1"},"fragment":{"on":"2","extend":"2"}}"#
    );
}

#[test]
fn places_are_those_of_the_text_after_any_end_of_line() {
    let rows = [
        ("{ nope }", "[1:3]"),
        ("{\n\n nope }", "[3:2]"),
        ("{\r\n\r\n nope }", "[3:2]"),
        ("{\r\r nope }", "[3:2]"),
        ("# \u{1f600}\u{2028}\n{ nope }", "[2:3]"),
        ("{ item(id: \"\u{1f600}é\") { nope } }", "[1:20]"),
        ("{ a, b: item(id: 1) { nope } }", "[1:3]"),
    ];

    for (text, place) in rows {
        let told = errors(text, json!({}));
        assert!(told[0].ends_with(place), "{text:?}: {told:?}");
    }
}
