//! Comparison of Dealwire's answer with its limit's. The limit holds other deals, so that only the
//! fields and the size can be compared.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::BoxError;

/// Smallest size of the limit's answer, in per cent of Dealwire's. Names and opaque texts differ by
/// some bytes.
const SMALLEST: usize = 90;

/// Checks that the limit answers with the fields that Dealwire answers with.
///
/// # Errors
/// A field is in one of the answers only, or the limit's answer is smaller: the limit would then be
/// a floor for another query.
pub(super) fn check(dealwire: &[u8], limit: &[u8]) -> Result<(), BoxError> {
    let ours = fields(dealwire)?;
    let theirs = fields(limit)?;

    if ours != theirs {
        let missing: Vec<_> = ours.difference(&theirs).collect();
        let more: Vec<_> = theirs.difference(&ours).collect();
        return Err(format!(
            "Dealwire's answer and the limit's have different fields: only Dealwire has \
             {missing:?}, only the limit has {more:?}; pass --admin-key to query deals that \
             nothing else changes"
        )
        .into());
    }

    if limit.len() * 100 < dealwire.len() * SMALLEST {
        return Err(format!(
            "the limit answers {} bytes, and Dealwire {}",
            limit.len(),
            dealwire.len()
        )
        .into());
    }

    Ok(())
}

/// Returns the paths of all fields with a value other than null; elements of an array share a path.
fn fields(answer: &[u8]) -> Result<BTreeSet<String>, BoxError> {
    let mut found = BTreeSet::new();

    collect(&serde_json::from_slice(answer)?, "", &mut found);
    Ok(found)
}

fn collect(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                collect(value, &format!("{path}.{name}"), found);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                collect(element, path, found);
            }
        }
        // A discount has either an amount or a percentage, and a page has discounts of both kinds.
        Value::Null => {}
        _ => {
            found.insert(path.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    const PAGE: &[u8] = br#"{"data":{"nodes":[{"id":1,"amount":null},{"id":2,"amount":3}]}}"#;

    #[test]
    fn answers_with_the_same_fields_are_the_same() {
        let other = br#"{"data":{"nodes":[{"id":9,"amount":8},{"id":7,"amount":6789}]}}"#;

        assert!(check(PAGE, other).is_ok());
    }

    #[test]
    fn answer_with_fewer_fields_is_refused() {
        let leaner = br#"{"data":{"nodes":[{"id":1},{"id":2},{"id":3},{"id":4},{"id":5}]}}"#;
        let error = check(PAGE, leaner).unwrap_err().to_string();

        assert!(
            error.contains("only Dealwire has [\".data.nodes.amount\"]"),
            "{error}"
        );
    }

    #[test]
    fn answer_with_fewer_rows_is_refused() {
        let shorter = br#"{"data":{"nodes":[{"id":2,"amount":3}]}}"#;
        let error = check(PAGE, shorter).unwrap_err().to_string();

        assert_eq!(error, "the limit answers 40 bytes, and Dealwire 63");
    }
}
