//! Tests of documents, one module for each area.

mod limits;
mod shapes;
mod subscriptions;

use super::*;
use async_graphql::Name;
use async_graphql::parser::types::{DocumentOperations, OperationType};

fn parsed(text: &str) -> Parsed {
    parse(text, &DocumentLimits::default()).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// Returns an error as its code, message and positions.
fn describe<T>(result: Result<T, DocumentError>) -> String {
    match result {
        Ok(_) => "fine".to_owned(),
        Err(error) => {
            let positions: Vec<String> = error.locations.iter().map(ToString::to_string).collect();
            format!(
                "{} {} [{}]",
                error.code.as_str(),
                error.message,
                positions.join(" ")
            )
        }
    }
}
