//! Parsers of REST for the fuzz targets, which feed them anything. Results are dropped; only a panic, a hang or a wrong
//! result of [`integer`] is a finding.

use axum::http::{HeaderMap, HeaderValue, header};
use backbone::ids::{DealId, SellerId};
use seller_core::Versions;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::body::{self, Target};
use super::{changes, number, query, read, versions};
use crate::http::conditional::Preconditions;
use crate::http::json_body::check_headers;

/// Reads a body as that of each write.
pub fn bodies(body: &[u8]) {
    let seller = SellerId(Uuid::nil());
    let target = |id| Target {
        id,
        versions: Versions::Any,
        has_if_match: false,
    };

    drop(body::new_deal(body, seller));
    drop(body::replacement(body, seller, target(None)));
    drop(body::replacement(
        body,
        seller,
        target(Some(DealId(Uuid::nil()))),
    ));
}

/// Reads a text as the query string of each path.
pub fn queries(text: &str) {
    drop(query::parameters(Some(text), &[]));
    drop(read::ListRequest::read(Some(text)));
    drop(changes::Request::read(Some(text)));
}

/// Reads a value as each header with a grammar of its own.
pub fn headers(value: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(value) else {
        return;
    };

    let mut headers = HeaderMap::new();
    for name in [
        header::ACCEPT,
        header::CONTENT_TYPE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
    ] {
        headers.insert(name, value.clone());
    }
    drop(super::check_accept(&headers));
    let _checked = check_headers(&headers);
    if let Ok(preconditions) = Preconditions::read(&headers) {
        versions::admitted(&preconditions);
    }
}

/// Reads a text as a whole number, and compares integers with the reading of the standard library.
///
/// # Panics
/// If the two readings differ.
pub fn integer(text: &str) {
    if serde_json::from_str::<&RawValue>(text).is_err() {
        return;
    }
    if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return;
    }

    let read = number::integer(text.trim_end());
    if let Ok(expected) = text.trim_end().parse::<i64>() {
        assert_eq!(read, Some(expected), "{text}");
    }
}
