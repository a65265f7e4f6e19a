//! Building a schema: its parts must fit one another, and defaults are known whatever the order of types.

use documents::{
    Documents, Limits, ListSize, OutputType, PageRule, ScalarRule, Schema, SchemaError, Value,
    object,
};
use serde_json::{Value as Json, json};

use crate::kit::{PAGE, whole_number};

struct Box2(Vec<Box2>);

object!(Box2 as "Box", |value| {
    "id" => *"1",
    "inner" => value.0,
});

struct Swapped;

object!(Swapped as "Box", |_value| {
    "inner" => Vec::<Swapped>::new(),
    "id" => *"1",
});

struct Lacking;

object!(Lacking as "Box", |_value| { "id" => *"1" });

struct Abundant;

object!(Abundant as "Box", |_value| {
    "id" => *"1",
    "inner" => Vec::<Abundant>::new(),
    "more" => *"x",
});

struct Unknown;

object!(Unknown as "Nothing", |_value| { "id" => *"1" });

const SDL: &str =
    "scalar Price type Box { id: ID! inner: [Box!]! } type Query { box(price: Price): Box }";
const LISTS: &[(&str, &str, ListSize)] = &[("Box", "inner", ListSize::Page)];
const SCALARS: &[(&str, ScalarRule)] = &[("Price", whole_number)];

fn build(sdl: &str, outputs: &[OutputType]) -> Result<Schema, SchemaError> {
    Schema::new(sdl, SCALARS, outputs.iter().cloned(), LISTS, PAGE)
}

/// Returns why a schema cannot be built.
fn fault(sdl: &str, outputs: &[OutputType]) -> String {
    build(sdl, outputs)
        .err()
        .expect("the parts do not fit")
        .to_string()
}

#[test]
fn parts_that_fit_are_a_schema() {
    assert!(build(SDL, &[OutputType::of::<Box2>()]).is_ok());
}

#[test]
fn renderers_write_exactly_the_fields_of_every_type_in_order() {
    let misfit = |written: &str| {
        format!(
            "The renderers do not fit the schema: Box has the fields [\"id\", \"inner\"], written are {written}"
        )
    };

    assert_eq!(fault(SDL, &[]), misfit("[]"));
    assert_eq!(
        fault(SDL, &[OutputType::of::<Swapped>()]),
        misfit(r#"["inner", "id"]"#)
    );
    assert_eq!(
        fault(SDL, &[OutputType::of::<Lacking>()]),
        misfit(r#"["id"]"#)
    );
    assert_eq!(
        fault(SDL, &[OutputType::of::<Abundant>()]),
        misfit(r#"["id", "inner", "more"]"#)
    );
    assert_eq!(
        fault(
            SDL,
            &[OutputType::of::<Box2>(), OutputType::of::<Unknown>()]
        ),
        "The renderers do not fit the schema: there is no type Nothing"
    );
}

#[test]
fn fields_below_the_roots_take_no_arguments() {
    let sdl = SDL.replace("id: ID!", "id(short: Boolean): ID!");

    assert_eq!(
        fault(&sdl, &[OutputType::of::<Box2>()]),
        "The renderers do not fit the schema: Box.id takes arguments"
    );
}

#[test]
fn scalars_have_rules_and_lists_have_sizes() {
    let outputs = || [OutputType::of::<Box2>()];
    let without_rule = Schema::new(SDL, &[], outputs(), LISTS, PAGE);
    let without_size = Schema::new(SDL, SCALARS, outputs(), &[], PAGE);

    assert_eq!(
        without_rule.err().expect("a rule is missing").to_string(),
        "The rules do not fit the schema: the scalar Price has no rule"
    );
    assert_eq!(
        without_size.err().expect("a size is missing").to_string(),
        "The rules do not fit the schema: the list Box.inner has no size"
    );
}

#[test]
fn defaults_follow_the_rules_of_their_types() {
    let rows = [
        (
            "input A { price: Price = 0.5 }",
            "the default of price is invalid",
        ),
        (
            "input A { inner: B = {price: 0.5} } input B { price: Price }",
            "the default of inner is invalid",
        ),
    ];
    for (types, expected) in rows {
        let sdl = format!("{SDL} {types}").replace("box(", "box(a: A, ");
        let told = fault(&sdl, &[OutputType::of::<Box2>()]);
        assert!(told.ends_with(expected), "{told}");
    }

    let sdl = SDL.replace("price: Price", "price: Price = 0.5");
    let told = fault(&sdl, &[OutputType::of::<Box2>()]);
    assert!(told.ends_with("the default of price is invalid"), "{told}");
}

#[test]
fn a_text_that_is_no_schema_is_refused() {
    for sdl in [
        "",
        "type Query {",
        "type Query { a: Nothing }",
        "type Box { id: ID! }",
    ] {
        assert!(
            matches!(build(sdl, &[]), Err(SchemaError::Invalid(_))),
            "{sdl}"
        );
    }
}

#[test]
fn root_types_have_their_usual_names() {
    let sdl = format!(
        "schema {{ query: Root }} {}",
        SDL.replace("type Query", "type Root")
    );

    assert_eq!(
        fault(&sdl, &[OutputType::of::<Box2>()]),
        "The rules do not fit the schema: the root type Root is not called Query"
    );
}

/// Returns the arguments of the only root field for an input.
fn arguments(sdl: &str, input: &str) -> Json {
    let page = PageRule {
        arguments: &[],
        ..PAGE
    };
    let schema = Schema::new(sdl, SCALARS, [], &[], page).expect("the schema is sound");
    let documents = Documents::new(std::sync::Arc::new(schema), Limits::default());
    let text = format!("{{ x{input} }}");

    let plan = documents
        .plan(&text, None)
        .expect("the document is valid")
        .plan;
    let request = plan
        .bind(documents.schema(), &serde_json::Map::new())
        .expect("no variables");
    let root = &request.roots()[0];
    serde_json::to_value(request.arguments(root).expect("all have values")).expect("JSON")
}

#[test]
fn defaults_contain_the_defaults_of_their_types_in_any_order() {
    let types = [
        "input A { b: B! = {} }",
        "input B { c: [C!] = [{}, {d: {}}], n: Int! = 1 }",
        "input C { d: D! = {x: 2}, e: E = RED }",
        "input D { x: Int! = 3, y: Int }",
        "enum E { RED }",
        "type Query { x(a: A = {}): Int }",
    ];
    let d = |x: i64| json!({ "d": { "x": x }, "e": "RED" });
    let b = json!({ "c": [d(2), d(3)], "n": 1 });

    for turn in 0..types.len() {
        let mut types = types;
        types.rotate_left(turn);
        let backwards: Vec<&str> = types.iter().rev().copied().collect();

        for sdl in [types.join(" "), backwards.join(" ")] {
            assert_eq!(arguments(&sdl, ""), json!({ "a": { "b": b } }), "{sdl}");
            assert_eq!(arguments(&sdl, "(a: {b: {n: 4}})")["a"]["b"]["n"], json!(4));
            assert_eq!(arguments(&sdl, "(a: {b: {n: 4}})")["a"]["b"]["c"], b["c"]);
        }
    }
}

#[test]
fn a_default_may_name_its_own_type_but_not_contain_itself() {
    let sdl = "input A { n: Int! = 1, next: A = {next: null} } type Query { x(a: A): Int }";
    assert_eq!(
        arguments(sdl, "(a: {})"),
        json!({ "a": { "n": 1, "next": { "n": 1, "next": null } } })
    );

    let cycles = [
        "input A { next: A = {} } type Query { x(a: A): Int }",
        "input A { b: B = {} } input B { a: A = {} } type Query { x(a: A): Int }",
        "input A { list: [A] = [{}] } type Query { x(a: A): Int }",
    ];
    for sdl in cycles {
        let built = Schema::new(sdl, &[], [], &[], PAGE);
        assert!(built.is_err(), "{sdl}");
    }
}

#[test]
fn rules_may_change_values() {
    let doubled: ScalarRule = |value| match value {
        Value::Int(number) => Ok(Value::Int(number * 2)),
        _ => Err(""),
    };
    let sdl = "scalar Price type Query { x(p: Price = 2, q: Price): Int }";
    let schema = Schema::new(sdl, &[("Price", doubled)], [], &[], PAGE).expect("it is sound");
    let documents = Documents::new(std::sync::Arc::new(schema), Limits::default());
    let bind = |text: &str, variables: Json| {
        let plan = documents
            .plan(text, None)
            .expect("the document is valid")
            .plan;
        let variables = variables.as_object().cloned().unwrap_or_default();
        plan.bind(documents.schema(), &variables)
    };

    // A default is coerced once, like a literal and a variable.
    let request = bind("query($q: Price) { x(q: $q) }", json!({ "q": 5 })).unwrap();
    let arguments = request
        .arguments(&request.roots()[0])
        .expect("all have values");
    assert_eq!(
        serde_json::to_value(arguments).unwrap(),
        json!({ "p": 4, "q": 10 })
    );

    // A rule without a message of its own leaves it to the type's name.
    let error = bind("query($q: Price) { x(q: $q) }", json!({ "q": "5" })).err();
    assert_eq!(
        error.expect("a text is no price").to_string(),
        "q must be a Price"
    );
}
