//! Description of REST in OpenAPI 3.1, at `/openapi.json`.
//!
//! The text is `openapi.json` beside this file; what the code has lists of is filled in from them. Tests compare its paths
//! with the routes, its methods with `Allow`, and its deals with real ones.

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use backbone::contract::{DealField, DealStatus};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::changes::property;
use super::check_accept;
use super::conditional;
use super::refused::Refused;
use crate::error::Code;
use crate::http::conditional::{EntityTag, Preconditions};

/// Builds the document.
///
/// # Panics
/// If the text is not JSON, or has not the places that are filled in. Both are part of the program, and a test builds the
/// document.
pub(super) fn document() -> Value {
    let mut document: Value =
        serde_json::from_str(include_str!("openapi.json")).expect("the text is JSON");

    let statuses = DealStatus::ALL.map(|status| status.as_str().to_ascii_lowercase());
    let lists = [
        ("/info/version", json!(env!("CARGO_PKG_VERSION"))),
        ("/components/schemas/Status/enum", json!(statuses)),
        (
            "/components/schemas/Change/properties/changedFields/items/enum",
            json!(DealField::ALL.map(property)),
        ),
        (
            "/components/schemas/Problem/properties/code/enum",
            json!(Code::ALL.map(Code::as_str)),
        ),
    ];
    for (pointer, value) in lists {
        let place = document.pointer_mut(pointer);
        *place.unwrap_or_else(|| panic!("the text has {pointer}")) = value;
    }

    document
}

/// Returns the entity tag of the document's bytes.
pub(super) fn tag(document: &[u8]) -> EntityTag {
    // 64 bits of the hash: enough to tell the releases of one file apart.
    EntityTag::strong(hex::encode(&Sha256::digest(document)[..8]))
}

/// `GET /openapi.json`: 200 with the document, which is the same for everybody.
pub(super) async fn show(
    headers: HeaderMap,
    document: Bytes,
    tag: EntityTag,
) -> Result<Response, Refused> {
    check_accept(&headers)?;
    let preconditions = Preconditions::read(&headers)?;

    let full = || ([(header::CONTENT_TYPE, "application/json")], document).into_response();
    let shown = conditional(
        &preconditions,
        Some(&tag),
        full,
        Refused::precondition_failed,
    )?;
    Ok(([(header::CACHE_CONTROL, "no-cache")], shown).into_response())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::rest::table;

    #[test]
    fn openapi_paths_are_those_of_the_routes() {
        let document = document();
        let described = document["paths"].as_object().expect("paths are an object");
        let described: BTreeSet<&str> = described.keys().map(String::as_str).collect();

        let routes = table().map(|(path, _)| path);
        let routes: BTreeSet<&str> = routes.into_iter().chain(["/openapi.json"]).collect();
        assert_eq!(described, routes);
    }

    #[test]
    fn openapi_references_lead_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            if let Some(reference) = value["$ref"].as_str() {
                found.push(reference.to_owned());
            }
            match value {
                Value::Object(members) => members.values().for_each(|it| references(it, found)),
                Value::Array(elements) => elements.iter().for_each(|it| references(it, found)),
                _ => {}
            }
        }

        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100, "{}", found.len());
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
