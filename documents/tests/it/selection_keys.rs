//! Identity of selections: equal if, and only if, the same object is rendered to the same bytes.

use documents::{Documents, SelectionKey};
use serde_json::{Value as Json, json};

use crate::kit::{data, documents, request};

fn key(documents: &Documents, text: &str, variables: Json) -> SelectionKey {
    let request = request(documents, text, variables);
    request.roots()[0].selection().key()
}

fn result_key(documents: &Documents, text: &str) -> SelectionKey {
    let request = request(documents, text, json!({}));
    request.roots()[0].result_key()
}

/// Documents in groups. Within a group all render the same bytes of a value.
const GROUPS: &[&[&str]] = &[
    &[
        "{ item(id: 1) { id name } }",
        "query Q{item(id:1){id,name}} # a comment",
        "{ item(id: 1) { id id: id ...F name } } fragment F on Item { id }",
        "{ item(id: 1) { ...Other } } fragment Other on Node { id ... on Item { name } }",
        "{ item(id: 1) { ... { id } ... on Item { name id } } }",
        "{ item(id: 1) { id } item(id: 1) { name } }",
        "{ item(id: 1) { id name price @skip(if: true) } }",
        "{ item(id: 1) { id @include(if: true) name ... on Node @include(if: false) { x: id } } }",
    ],
    &["{ item(id: 1) { name id } }"],
    &[
        "{ item(id: 1) { id name: name x: name } }",
        "{ item(id: 1) { id name x: name } }",
    ],
    &["{ item(id: 1) { x: id name } }"],
    &["{ item(id: 1) { id: name name: id } }"],
    &["{ item(id: 1) { id name price } }"],
    &["{ item(id: 1) { id } }"],
    &["{ item(id: 1) { id name __typename } }"],
    &["{ item(id: 1) { id name typename: __typename } }"],
    &["{ shelf { items { id name } } }"],
    &["{ shelf { items { id } id } }"],
    &["{ shelf { items { id } } }"],
    &[
        "{ item(id: 1) { id @skip(if: true) } }",
        "{ item(id: 1) { ... @include(if: false) { id } } }",
    ],
];

#[test]
fn keys_are_equal_for_equal_bytes_only() {
    let documents = documents();
    let keys: Vec<Vec<SelectionKey>> = GROUPS
        .iter()
        .map(|group| {
            group
                .iter()
                .map(|text| key(&documents, text, json!({})))
                .collect()
        })
        .collect();
    let bytes: Vec<Vec<String>> = GROUPS
        .iter()
        .map(|group| group.iter().map(|text| data(text, json!({}))).collect())
        .collect();

    for (number, group) in keys.iter().enumerate() {
        for (other_number, other) in keys.iter().enumerate() {
            let is_same = number == other_number;
            for (at, key) in group.iter().enumerate() {
                for (other_at, other_key) in other.iter().enumerate() {
                    let texts = (GROUPS[number][at], GROUPS[other_number][other_at]);
                    assert_eq!(key == other_key, is_same, "{texts:?}");
                    assert_eq!(
                        bytes[number][at] == bytes[other_number][other_at],
                        is_same,
                        "{texts:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn keys_depend_on_conditions_only_by_what_is_left() {
    let documents = documents();
    let text = "query($a: Boolean!, $b: Boolean!) { item(id: 1) { id name @include(if: $a) name @skip(if: $b) } }";
    let of = |a: bool, b: bool| key(&documents, text, json!({ "a": a, "b": b }));

    assert_eq!(of(true, true), of(false, false));
    assert_eq!(of(true, true), of(true, false));
    assert_ne!(of(true, true), of(false, true));
    assert_eq!(
        of(false, true),
        key(&documents, "{ item(id: 1) { id } }", json!({}))
    );
}

#[test]
fn keys_of_several_types_cover_each_type() {
    let documents = documents();
    let keys: Vec<SelectionKey> = [
        "{ thing(id: 1) { ... on Item { id } } }",
        "{ thing(id: 1) { ... on Shelf { id } } }",
        "{ thing(id: 1) { ... on Node { id } } }",
        "{ thing(id: 1) { ... on Item { id } ... on Shelf { x: id } } }",
        "{ thing(id: 1) { ... on Item { x: id } ... on Shelf { id } } }",
        "{ thing(id: 1) { __typename } }",
    ]
    .into_iter()
    .map(|text| key(&documents, text, json!({})))
    .collect();

    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key), "{at}");
    }

    // In whichever order the types come.
    assert_eq!(
        key(
            &documents,
            "{ thing(id: 1) { ... on Item { id } ... on Shelf { x: id } } }",
            json!({})
        ),
        key(
            &documents,
            "{ thing(id: 1) { ... on Shelf { x: id } ... on Item { id } } }",
            json!({})
        )
    );
    assert_eq!(
        keys[2],
        key(
            &documents,
            "{ thing(id: 1) { ... on Shelf { id } ... on Item { id } } }",
            json!({})
        )
    );
}

#[test]
fn keys_do_not_depend_on_the_cache_or_on_arguments() {
    let text = "{ item(id: 1) { id name } }";

    assert_eq!(
        key(&documents(), text, json!({})),
        key(
            &documents(),
            "query($i: ID!) { x: item(id: $i) { id name } }",
            json!({ "i": 2 })
        )
    );
}

#[test]
fn results_have_the_key_of_their_response_key_and_field() {
    let documents = documents();
    let keys: Vec<SelectionKey> = [
        "{ item(id: 1) { id name } }",
        "{ x: item(id: 1) { id name } }",
        "{ item: needed { id name } }",
        "{ item(id: 1) { id } }",
    ]
    .into_iter()
    .map(|text| result_key(&documents, text))
    .collect();

    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key), "{at}");
    }
    assert_eq!(
        keys[0],
        result_key(
            &documents,
            "{ item(id: 2) { ...F } } fragment F on Node { id ... on Item { name } }"
        )
    );
    assert_eq!(
        keys[2],
        result_key(&documents, "{ item: needed(fail: true) { id name } }")
    );
}
