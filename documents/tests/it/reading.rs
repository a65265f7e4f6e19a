//! Reading of arguments into types: absent, null and values apart, enums, and objects with exactly one field.

use serde::{Deserialize, Deserializer};
use serde_json::{Value as Json, json};

use crate::kit::{documents, request};

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Color {
    Red,
    Green,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Size {
    Small(i32),
    Large(f64),
}

/// Reads a value that is there, so that `None` is left for one that is absent.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input<'a> {
    #[serde(default, deserialize_with = "present")]
    id: Option<Option<String>>,
    name: &'a str,
    #[serde(default, deserialize_with = "present")]
    price: Option<Option<u32>>,
    #[serde(default, deserialize_with = "present")]
    color: Option<Option<Color>>,
    sizes: Option<Vec<Size>>,
    #[serde(default)]
    flag: Option<bool>,
    ratio: Option<f64>,
    grid: Option<Vec<Option<Vec<Option<i64>>>>>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Write<'a> {
    #[serde(borrow)]
    input: Input<'a>,
    note: Option<&'a str>,
}

fn check(variables: Json, expected: &Write<'_>) {
    let documents = documents();
    let text = "mutation($i: ItemInput!, $n: String) { write(input: $i, note: $n) { id } }";
    let request = request(&documents, text, variables);
    let arguments = request
        .arguments(&request.roots()[0])
        .expect("all have values");

    assert_eq!(
        arguments.read::<Write<'_>>().expect("the type fits"),
        *expected
    );
}

#[test]
fn absent_null_and_values_are_told_apart() {
    let with = |input| Write { input, note: None };
    let named = |name| Input {
        name,
        ..Input::default()
    };

    check(json!({ "i": {} }), &with(named("none")));
    check(
        json!({ "i": { "id": null, "price": null, "color": null, "sizes": null, "flag": null } }),
        &with(Input {
            id: Some(None),
            price: Some(None),
            color: Some(None),
            ..named("none")
        }),
    );
    check(
        json!({ "i": { "id": 5, "name": "é", "price": 7.0, "color": "GREEN", "flag": false, "ratio": 2 }, "n": "x" }),
        &Write {
            input: Input {
                id: Some(Some("5".to_owned())),
                price: Some(Some(7)),
                color: Some(Some(Color::Green)),
                flag: Some(false),
                ratio: Some(2.0),
                ..named("é")
            },
            note: Some("x"),
        },
    );
    check(json!({ "i": {}, "n": null }), &with(named("none")));
}

#[test]
fn lists_and_objects_with_one_field_are_read() {
    check(
        json!({ "i": { "sizes": [{ "small": 1 }, { "large": 2 }], "grid": [[1, null], null, 3] } }),
        &Write {
            input: Input {
                name: "none",
                sizes: Some(vec![Size::Small(1), Size::Large(2.0)]),
                grid: Some(vec![Some(vec![Some(1), None]), None, Some(vec![Some(3)])]),
                ..Input::default()
            },
            note: None,
        },
    );
}

#[test]
fn literals_and_defaults_are_read_like_variables() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Item {
        id: String,
        color: Color,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct List {
        numbers: Vec<u8>,
        size: Option<Size>,
    }

    let documents = documents();
    let text = "{ item(id: 4) { id } list(size: {large: 1}, numbers: 9) { id } }";
    let request = request(&documents, text, json!({}));
    let read = |at: usize| {
        request
            .arguments(&request.roots()[at])
            .expect("all have values")
    };

    let expected = Item {
        id: "4".to_owned(),
        color: Color::Red,
    };
    assert_eq!(read(0).read::<Item>().expect("the type fits"), expected);
    let expected = List {
        numbers: vec![9],
        size: Some(Size::Large(1.0)),
    };
    assert_eq!(read(1).read::<List>().expect("the type fits"), expected);
}

#[test]
fn a_type_that_does_not_fit_the_schema_is_an_error() {
    #[derive(Debug, Deserialize)]
    struct Wrong {
        #[expect(dead_code)]
        id: u64,
    }
    #[derive(Debug, Deserialize)]
    enum Colour {
        Blue,
    }
    #[derive(Debug, Deserialize)]
    struct Colored {
        #[expect(dead_code)]
        color: Colour,
    }

    let documents = documents();
    let request = request(&documents, "{ item(id: 4) { id } }", json!({}));
    let arguments = request
        .arguments(&request.roots()[0])
        .expect("all have values");

    let told = |error: Option<documents::ReadError>| error.expect("the type is wrong").to_string();
    assert!(told(arguments.read::<Wrong>().err()).contains("invalid type"));
    assert!(told(arguments.read::<Colored>().err()).contains("unknown variant `RED`"));
    assert_eq!(format!("{:?}", Colour::Blue), "Blue");
}
