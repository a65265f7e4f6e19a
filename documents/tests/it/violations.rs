//! Bodies with many values: how many violations are told, and what they cost.

use serde_json::{Value as Json, json};

use crate::kit::{documents, errors, violations};

#[test]
fn fifty_violations_are_told_and_the_others_are_counted() {
    let text = "query($v: [Int!]!) { list(numbers: $v) { id } }";
    let wrong = |count: usize| json!({ "v": vec!["x"; count] });

    assert_eq!(violations(text, wrong(49)).len(), 49);
    assert_eq!(
        errors(text, wrong(49)),
        ["BadInput 49 input values are invalid [1:7]"]
    );
    assert_eq!(violations(text, wrong(51)).len(), 50);
    assert_eq!(violations(text, wrong(51))[49], "v.49 must be an Int");
    assert_eq!(
        errors(text, wrong(51)),
        ["BadInput 51 input values are invalid [1:7]"]
    );
    assert_eq!(
        errors(text, wrong(20_000)),
        ["BadInput 20000 input values are invalid [1:7]"]
    );
}

#[test]
fn names_of_unknown_fields_are_told_in_part() {
    let text = "mutation($v: ItemInput!) { write(input: $v) { id } }";
    let name = "ä".repeat(5_000);

    let told = violations(text, json!({ "v": { name: 1, "price": 1 } }));
    assert!(
        told.iter().all(|violation| violation.len() < 300),
        "{told:?}"
    );
}

/// Coerces bodies whose cost would be billions of steps if it grew with the square of their length.
#[test]
fn large_bodies_are_coerced_in_linear_time() {
    let documents = documents();
    let text = "mutation($v: ItemInput!) { write(input: $v) { id } }";
    let plan = documents.plan(text, None).unwrap().plan;
    let many = || (0..100_000).map(|number| (format!("k{number}"), json!(number)));
    let unknown: serde_json::Map<String, Json> = many().collect();

    let bodies = [
        (json!(unknown), 50),
        (json!({ "price": unknown }), 1),
        (json!({ "sizes": vec![json!(unknown)] }), 50),
        (json!({ "tags": vec![json!(1); 100_000] }), 50),
        (json!({ "tags": vec![json!("a"); 100_000] }), 0),
    ];
    for (body, count) in bodies {
        let variables = [("v".to_owned(), body)].into_iter().collect();
        let found = plan.bind(documents.schema(), &variables);
        let violations = found.err().map_or(0, |error| error.violations.len());
        assert_eq!(violations, count);
    }
}
