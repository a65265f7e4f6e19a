//! Tests of document checks, an area each.

mod limits;
mod shapes;
mod subscriptions;

use super::*;

fn parsed(text: &str) -> Parsed {
    parse(text, &DocumentLimits::default()).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// Code, message and places of a refusal.
fn told<T>(result: Result<T, DocumentError>) -> String {
    match result {
        Ok(_) => "fine".to_owned(),
        Err(error) => {
            let places: Vec<String> = error.locations.iter().map(ToString::to_string).collect();
            format!(
                "{} {} [{}]",
                error.code.as_str(),
                error.message,
                places.join(" ")
            )
        }
    }
}
