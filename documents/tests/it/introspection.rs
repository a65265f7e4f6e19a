//! Introspection (specification, section 4): the whole schema, single types, kept results, and its place beside other
//! fields.

use std::sync::Arc;

use documents::{ErrorKind, RootKind};
use serde_json::{Value as Json, json};

use crate::kit::{SDL, calls, data, documents, execute, request, run};

const QUERY: &str = include_str!("introspection.graphql");

/// Returns a type reference of a result as the schema definition language writes it.
fn reference(ty: &Json) -> String {
    match ty["kind"].as_str().expect("a type has a kind") {
        "NON_NULL" => reference(&ty["ofType"]) + "!",
        "LIST" => format!("[{}]", reference(&ty["ofType"])),
        _ => ty["name"].as_str().expect("a type has a name").to_owned(),
    }
}

/// Returns an argument or an input field of a result as the schema definition language writes it.
fn input(value: &Json) -> String {
    let name = value["name"].as_str().expect("an input value has a name");
    let default = value["defaultValue"].as_str();
    let default = default.map(|default| format!(" = {default}"));

    format!(
        "{name}: {}{}",
        reference(&value["type"]),
        default.unwrap_or_default()
    )
}

fn inputs(values: &Json) -> Vec<String> {
    values
        .as_array()
        .expect("a list")
        .iter()
        .map(input)
        .collect()
}

/// Returns a type of a result as the schema definition language writes it.
fn definition(ty: &Json) -> String {
    let name = ty["name"].as_str().expect("a type has a name");
    let names = |key: &str| -> Vec<&str> {
        let values = ty[key].as_array().expect("a list").iter();
        values
            .map(|value| value["name"].as_str().expect("a name"))
            .collect()
    };
    let fields = || -> Vec<String> {
        let fields = ty["fields"].as_array().expect("a list").iter();
        let field = |field: &Json| {
            let arguments = inputs(&field["args"]).join(", ");
            let arguments = if arguments.is_empty() {
                arguments
            } else {
                format!("({arguments})")
            };
            format!(
                "{}{arguments}: {}",
                field["name"].as_str().expect("a name"),
                reference(&field["type"])
            )
        };
        fields.map(field).collect()
    };

    match ty["kind"].as_str().expect("a type has a kind") {
        "SCALAR" => format!("scalar {name}"),
        "ENUM" => format!("enum {name} {{ {} }}", names("enumValues").join(" ")),
        "UNION" => format!("union {name} = {}", names("possibleTypes").join(" | ")),
        "INTERFACE" => format!("interface {name} {{ {} }}", fields().join(" ")),
        "INPUT_OBJECT" => {
            let one_of = if ty["isOneOf"] == json!(true) {
                " @oneOf"
            } else {
                ""
            };
            format!(
                "input {name}{one_of} {{ {} }}",
                inputs(&ty["inputFields"]).join(" ")
            )
        }
        _ => {
            let interfaces = names("interfaces").join(" & ");
            let interfaces = if interfaces.is_empty() {
                interfaces
            } else {
                format!(" implements {interfaces}")
            };
            format!("type {name}{interfaces} {{ {} }}", fields().join(" "))
        }
    }
}

/// Brings a text of the schema definition language into the form of [`definition`].
fn normal(sdl: &str) -> Vec<String> {
    let words: Vec<&str> = sdl.split_whitespace().collect();
    // Commas stay inside of arguments only, where the result has them too.
    let mut depth = 0_i32;
    let joined: String = words
        .join(" ")
        .chars()
        .filter(|character| {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            *character != ',' || depth > 0
        })
        .collect();

    let keywords = [
        "interface ",
        "scalar ",
        "type ",
        "union ",
        "enum ",
        "input ",
    ];
    let starts: Vec<usize> = joined
        .match_indices(' ')
        .map(|(at, _)| at + 1)
        .chain([0])
        .filter(|at| {
            keywords
                .iter()
                .any(|keyword| joined[*at..].starts_with(keyword))
        })
        // A field may be called like a keyword; a definition begins after a brace, a name or nothing.
        .filter(|at| !joined[*at..].starts_with("input: "))
        .collect();
    let mut starts = starts;
    starts.sort_unstable();

    let ends = starts.iter().skip(1).copied().chain([joined.len()]);
    let definitions = starts.iter().zip(ends);
    definitions
        .map(|(start, end)| joined[*start..end].trim().to_owned())
        .collect()
}

#[test]
fn the_query_of_graphql_js_gives_the_schema() {
    let result: Json = serde_json::from_str(&data(QUERY, json!({}))).expect("it is JSON");
    let schema = &result["__schema"];
    let types = schema["types"].as_array().expect("a list");
    let mut defined: Vec<String> = types
        .iter()
        .filter(|ty| !ty["name"].as_str().expect("a name").starts_with("__"))
        .map(definition)
        .collect();
    let built_in = ["Boolean", "Float", "ID", "Int", "String"];
    let mut expected = normal(SDL);
    expected.extend(built_in.map(|name| format!("scalar {name}")));

    defined.sort_unstable();
    expected.sort_unstable();
    assert_eq!(defined, expected);

    let directives = schema["directives"].as_array().expect("a list").iter();
    let mut directives: Vec<&str> = directives
        .map(|directive| directive["name"].as_str().unwrap())
        .collect();
    directives.sort_unstable();
    assert_eq!(
        directives,
        ["deprecated", "include", "oneOf", "skip", "specifiedBy"]
    );
    assert_eq!(
        schema["subscriptionType"],
        json!({ "name": "Subscription", "kind": "OBJECT" })
    );
}

#[test]
fn types_are_found_by_name() {
    let text =
        "query($n: String!) { a: __type(name: $n) { name kind } b: __type(name: \"Nope\") { name }
        __type(name: \"Size\") { isOneOf inputFields { name type { name } defaultValue } } }";

    assert_eq!(
        data(text, json!({ "n": "Item" })),
        r#"{"a":{"name":"Item","kind":"OBJECT"},"b":null,"__type":{"isOneOf":true,"inputFields":[{"name":"small","type":{"name":"Int"},"defaultValue":null},{"name":"large","type":{"name":"Float"},"defaultValue":null}]}}"#
    );
}

#[test]
fn variables_have_defaults_and_conditions_hold() {
    let text = "query($n: String = \"Color\", $with: Boolean = true) {
        __type(name: $n) { name enumValues @include(if: $with) { name } } __schema @skip(if: $with) { queryType { name } } }";

    assert_eq!(
        data(text, json!({})),
        r#"{"__type":{"name":"Color","enumValues":[{"name":"RED"},{"name":"GREEN"}]}}"#
    );
    assert_eq!(
        data(text, json!({ "n": "Node", "with": false })),
        r#"{"__type":{"name":"Node"},"__schema":{"queryType":{"name":"Query"}}}"#
    );
    assert_eq!(
        calls(text, json!({ "n": null, "with": true })),
        ["__type failed: Argument name requires a value that is not null"]
    );
}

#[test]
fn introspection_keeps_its_place_beside_other_fields() {
    let text = "{ t: __typename s: __schema { queryType { name } } item(id: 1) { id __typename }
        __type(name: \"Item\") { name } u: __typename s: __schema { mutationType { name } } }";

    assert_eq!(
        data(text, json!({})),
        r#"{"t":"Query","s":{"queryType":{"name":"Query"},"mutationType":{"name":"Mutation"}},"item":{"id":"1","__typename":"Item"},"__type":{"name":"Item"},"u":"Query"}"#
    );
    assert_eq!(
        data("mutation { __typename a: __typename }", json!({})),
        r#"{"__typename":"Mutation","a":"Mutation"}"#
    );
    let documents = documents();
    let request = request(&documents, text, json!({}));
    let kinds: Vec<RootKind> = request.roots().iter().map(|root| root.kind()).collect();
    assert_eq!(
        kinds,
        [
            RootKind::TypeName("Query"),
            RootKind::Introspection,
            RootKind::Field,
            RootKind::Introspection,
            RootKind::TypeName("Query"),
        ]
    );
}

#[test]
fn results_are_kept_by_the_values_of_variables() {
    let documents = documents();
    let text = "query($n: String = \"Item\", $id: ID) { __type(name: $n) { name } x: node(id: 1) { id } y: list(tags: []) { id } ...F }
        fragment F on Query { z: shelf(input: {id: $id}) { id } }";
    let result = |variables: Json| {
        let request = request(&documents, text, variables);
        request.introspect(documents.schema())
    };

    let first = result(json!({}));
    assert!(Arc::ptr_eq(&first, &result(json!({}))));
    assert!(
        Arc::ptr_eq(&first, &result(json!({ "n": "Item" }))),
        "the default is the same value"
    );

    let other = result(json!({ "n": "Node" }));
    assert!(Arc::ptr_eq(&other, &result(json!({ "n": "Node" }))));
    assert!(
        !Arc::ptr_eq(&first, &result(json!({ "id": null }))),
        "null is not absent"
    );
    assert_eq!(first.json("__type"), br#"{"name":"Item"}"#);
    assert_eq!(other.json("__type"), br#"{"name":"Node"}"#);
    assert_eq!(
        other.json("x"),
        b"null",
        "other fields are not its business"
    );

    // A variable as large as what a plan may keep: the result is right, and not kept.
    let large = json!({ "id": "x".repeat(200_000) });
    let unkept = result(large.clone());
    assert_eq!(unkept.json("__type"), br#"{"name":"Item"}"#);
    assert!(!Arc::ptr_eq(&unkept, &result(large)));
}

#[test]
fn nesting_is_limited() {
    let rows = [
        "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }",
        "{ __type(name: \"Item\") { fields { type { fields { type { fields { type { name } } } } } } } }",
        "{ __type(name: \"Item\") { possibleTypes { interfaces { possibleTypes { interfaces { name } } } } } }",
        "{ ...F } fragment F on Query { __schema { types { ...G } } } fragment G on __Type { fields { type { fields { type { fields { type { name } } } } } } }",
    ];

    for text in rows {
        let told = run(text, json!({})).expect_err(text);
        assert_eq!(told[0].kind, ErrorKind::TooComplex, "{text}: {told:?}");
    }
}

#[test]
fn introspection_is_validated_like_any_field() {
    let rows = [
        "{ __schema }",
        "{ __schema { nope } }",
        "{ __type { name } }",
        "{ __type(name: 1) { name } }",
        "query($n: String) { __type(name: $n) { name } }",
        "{ item(id: 1) { __schema { queryType { name } } } }",
        "mutation { __schema { queryType { name } } }",
        "{ __nope }",
    ];

    for text in rows {
        assert!(run(text, json!({ "n": "Item" })).is_err(), "{text}");
    }
}

#[test]
fn the_first_execution_of_a_plan_is_as_right_as_the_next() {
    let documents = documents();
    let request = request(&documents, QUERY, json!({}));

    let first = execute(&documents, &request).data;
    assert!(first.len() > 10_000, "{first}");
    assert_eq!(first, execute(&documents, &request).data);
}
