//! Rendering: bytes of every kind of value, the limit, and objects whose bytes are kept.

use documents::{Documents, Kept, ObjectState, Out, Render, Selection, TooLarge, object};
use serde_json::{Value as Json, json};

use crate::kit::{documents, request};

/// Item whose bytes are kept. Its name tells a copy from a new rendering.
struct Fixed {
    state: ObjectState,
    name: String,
}

object!(Fixed as "Item", kept by |fixed: &Fixed| fixed.state, |fixed| {
    "id" => *"1",
    "name" => fixed.name,
    "price" => 7_i64,
    "tags" => vec!["x".to_owned()],
    "parent" => None::<Fixed>,
});

const LARGE: &str = "{ item(id: 1) { id name price __typename parent { id } } }";
const STATE: ObjectState = ObjectState {
    id: [7; 16],
    version: 1,
};

fn fixed(version: u64, name: &str) -> Fixed {
    let name = name.to_owned();
    let state = ObjectState { version, ..STATE };
    Fixed { state, name }
}

fn selection(documents: &Documents, text: &str) -> Selection {
    let request = request(documents, text, json!({}));
    request.roots()[0].selection().clone()
}

fn bytes(value: &(impl Render + ?Sized), selection: &Selection, kept: Option<&Kept>) -> String {
    let mut out = Out::new(1 << 20, kept);
    value.render(selection, &mut out);
    String::from_utf8(out.finish().expect("the value is small")).expect("it is UTF-8")
}

fn leaf(value: &(impl Render + ?Sized)) -> String {
    bytes(value, &Selection::default(), None)
}

#[test]
fn texts_are_json_whatever_they_contain() {
    let controls = (0..0x20).chain([
        0x22, 0x2f, 0x5c, 0x7f, 0x80, 0xe9, 0x2028, 0xfeff, 0xffff, 0x1f600,
    ]);
    for code in controls {
        let character = char::from_u32(code).expect("it is a character");
        for text in [
            character.to_string(),
            format!("a{character}b"),
            format!("{character}{character}"),
        ] {
            let rendered = leaf(text.as_str());
            let read: Json = serde_json::from_str(&rendered).expect("it is JSON");
            assert_eq!(read, json!(text), "{code:#x}: {rendered}");
            assert_eq!(rendered, json!(text).to_string(), "{code:#x}");
        }
    }
    assert_eq!(leaf(""), "\"\"");
}

#[test]
fn other_leaves_are_json() {
    assert_eq!(leaf(&true), "true");
    assert_eq!(leaf(&false), "false");
    assert_eq!(leaf(&None::<i32>), "null");
    assert_eq!(leaf(&Some(-1_i32)), "-1");
    assert_eq!(leaf(&i64::MIN), "-9223372036854775808");
    assert_eq!(leaf(&u64::MAX), "18446744073709551615");
    assert_eq!(leaf(&1.5_f64), "1.5");
    assert_eq!(leaf(&-0.0_f64), "-0.0");
    assert_eq!(leaf(&f64::NAN), "null");
    assert_eq!(leaf(&Vec::<i32>::new()), "[]");
    assert_eq!(leaf(&vec![Some(1), None]), "[1,null]");
    assert_eq!(leaf(&vec![vec![1], vec![]]), "[[1],[]]");
    assert_eq!(leaf(&Box::new("a".to_owned())), "\"a\"");
}

#[test]
fn the_limit_is_exact_in_bytes() {
    let documents = documents();
    let selection = selection(&documents, "{ item(id: 1) { name tags } }");
    let item = fixed(1, "é\n");
    let whole = bytes(&item, &selection, None);
    assert_eq!(whole, r#"{"name":"é\n","tags":["x"]}"#);

    for limit in 0..whole.len() + 3 {
        let mut out = Out::new(limit, None);
        item.render(&selection, &mut out);
        let is_full = out.is_full();
        let finished = out.finish();

        if limit < whole.len() {
            assert_eq!(finished, Err(TooLarge { limit }));
        } else {
            assert_eq!(finished.as_deref(), Ok(whole.as_bytes()));
        }
        assert_eq!(is_full, limit < whole.len(), "{limit}");
    }
}

#[test]
fn nothing_is_written_or_walked_after_the_limit() {
    let mut walked = 0;
    let endless = std::iter::repeat_with(|| {
        walked += 1;
        "0123456789"
    });

    let mut out = Out::new(100, None);
    out.list(endless, &Selection::default());
    out.string("more");
    out.integer(1);
    out.serialize("more");
    out.json(b"more");

    assert_eq!(out.finish(), Err(TooLarge { limit: 100 }));
    assert!(walked < 12, "{walked}");
}

#[test]
fn kept_bytes_are_the_same_bytes() {
    let documents = documents();
    let selection = selection(&documents, LARGE);
    let kept = Kept::new(1 << 20);
    let item = fixed(1, "one");
    let without = bytes(&item, &selection, None);

    assert_eq!(bytes(&item, &selection, Some(&kept)), without);
    assert_eq!((kept.renders(), kept.copies()), (1, 0));
    assert!(kept.bytes() >= without.len() as u64);

    // The same state under another name shows that the bytes are copied.
    assert_eq!(bytes(&fixed(1, "other"), &selection, Some(&kept)), without);
    assert_eq!((kept.renders(), kept.copies()), (1, 1));
    assert_eq!(
        bytes(&vec![fixed(1, "a"), fixed(1, "b")], &selection, Some(&kept)),
        format!("[{without},{without}]")
    );
    assert_eq!((kept.renders(), kept.copies()), (1, 3));
}

#[test]
fn another_state_object_or_selection_is_rendered_anew() {
    let documents = documents();
    let wide = selection(&documents, LARGE);
    let other = selection(
        &documents,
        "{ item(id: 1) { name id price __typename parent { id } } }",
    );
    let kept = Kept::new(1 << 20);
    let elsewhere = Fixed {
        state: ObjectState {
            id: [8; 16],
            ..STATE
        },
        name: "elsewhere".to_owned(),
    };

    assert!(bytes(&fixed(1, "one"), &wide, Some(&kept)).contains("one"));
    assert!(bytes(&fixed(2, "two"), &wide, Some(&kept)).contains("two"));
    assert!(bytes(&elsewhere, &wide, Some(&kept)).contains("elsewhere"));
    assert!(bytes(&fixed(1, "turned"), &other, Some(&kept)).contains("turned"));
    assert_eq!((kept.renders(), kept.copies()), (4, 0));

    kept.clear();
    assert!(bytes(&fixed(1, "again"), &wide, Some(&kept)).contains("again"));
    assert_eq!((kept.renders(), kept.copies()), (5, 0));
}

#[test]
fn two_documents_share_kept_bytes_if_they_select_the_same() {
    let documents = documents();
    let kept = Kept::new(1 << 20);
    let one = selection(&documents, LARGE);
    let two = selection(
        &documents,
        "query Q { other: item(id: 2) { ...F ... on Node { id } price __typename parent { id } } } fragment F on Item { id name }",
    );

    let first = bytes(&fixed(1, "one"), &one, Some(&kept));
    assert_eq!(bytes(&fixed(1, "other"), &two, Some(&kept)), first);
    assert_eq!((kept.renders(), kept.copies()), (1, 1));
}

#[test]
fn a_result_that_was_cut_is_not_kept() {
    let documents = documents();
    let selection = selection(&documents, LARGE);
    let kept = Kept::new(1 << 20);
    let item = fixed(1, "one");
    let whole = bytes(&item, &selection, None);

    for limit in 0..whole.len() {
        let mut out = Out::new(limit, Some(&kept));
        item.render(&selection, &mut out);
        assert!(out.finish().is_err());
    }
    assert_eq!((kept.renders(), kept.copies(), kept.bytes()), (0, 0, 0));

    let mut out = Out::new(whole.len(), Some(&kept));
    item.render(&selection, &mut out);
    assert_eq!(out.finish().as_deref(), Ok(whole.as_bytes()));
    assert_eq!(kept.renders(), 1);

    // A copy counts towards the limit like what is rendered.
    let mut out = Out::new(whole.len() - 1, Some(&kept));
    item.render(&selection, &mut out);
    assert!(out.finish().is_err());
}

#[test]
fn a_response_that_is_full_already_keeps_nothing() {
    let documents = documents();
    let selection = selection(&documents, LARGE);
    let kept = Kept::new(1 << 20);

    let mut out = Out::new(3, Some(&kept));
    out.json(b"four");
    fixed(1, "one").render(&selection, &mut out);

    assert!(out.finish().is_err());
    assert_eq!((kept.renders(), kept.bytes()), (0, 0));
}

#[test]
fn small_selections_are_not_kept() {
    let documents = documents();
    let kept = Kept::new(1 << 20);
    let rows = [
        ("{ item(id: 1) { id } }", false),
        ("{ item(id: 1) { id name price __typename } }", false),
        ("{ item(id: 1) { id name price __typename x: id } }", true),
        ("{ item(id: 1) { id parent { id name price } } }", true),
    ];

    for (text, is_kept) in rows {
        let before = kept.renders();
        bytes(&fixed(1, "one"), &selection(&documents, text), Some(&kept));
        assert_eq!(kept.renders() > before, is_kept, "{text}");
    }
}

#[test]
fn kept_bytes_are_bounded() {
    let documents = documents();
    let selection = selection(&documents, LARGE);
    let kept = Kept::new(64 << 10);
    let name = "x".repeat(200);

    for version in 0..5_000 {
        bytes(&fixed(version, &name), &selection, Some(&kept));
    }
    assert_eq!(kept.renders(), 5_000);
    assert!(
        (20 << 10..=64 << 10).contains(&kept.bytes()),
        "{}",
        kept.bytes()
    );
}
