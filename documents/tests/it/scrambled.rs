//! Documents that are put together at random.

use documents::Limits;

use crate::kit::documents_with;

/// Pieces of text that are legal somewhere in a document.
const PIECES: &[&str] = &[
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ":",
    "$",
    "@",
    "!",
    "=",
    "...",
    " ",
    "on ",
    "on\n",
    "query ",
    "fragment ",
    "a",
    "F ",
    "1",
    "-",
    ".5",
    "e9",
    "\"",
    "\"\"\"",
    "\\",
    "\\u12",
    "#",
    "\n",
    "\r",
    "é",
    "\u{feff}",
    "true",
    "null",
    ",",
    "subscription{changed{id}}",
    "fragment F on\nQuery{__typename}",
    "...F",
    "{list(tags:[\"\" $z]){id}}",
    "{item(id:1){id",
    "@include(if:true)",
    "{__typename",
    "}}",
];

/// Joins pieces at random: most results are refused, none may panic or hang.
#[test]
fn scrambled_documents_never_panic() {
    let documents = documents_with(Limits::default());
    let mut state = 0x2545_f491_u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut fine = 0;

    for _ in 0..20_000 {
        let count = 1 + next(14);
        let text: String = (0..count).map(|_| PIECES[next(PIECES.len())]).collect();

        match documents.plan(&text, None) {
            Ok(planned) => {
                fine += 1;
                let request = planned
                    .plan
                    .bind(documents.schema(), &serde_json::Map::new());
                assert!(
                    request.is_ok_and(|request| !request.roots().is_empty()),
                    "{text}"
                );
            }
            Err(errors) => assert!(!errors.is_empty() && errors.len() <= 50, "{text}"),
        }
    }

    assert!(fine > 50, "hardly any document was valid: {fine}");
}
