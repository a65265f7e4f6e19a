//! Selections of open subscriptions. Each is compiled into a render function once, and shared by all subscribers whose
//! documents have the same shape.
//!
//! A shape leaves out the arguments of the root field: filters and positions decide who is shown a change, not how, so
//! they do not multiply renderings. Sharing is sound because no type that a subscription can reach depends on the viewer;
//! a resolver that asks for the caller of a pushed change fails (`context::principal`).

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use async_graphql::{Request, Variables};
use backbone::telemetry::Metrics;
use futures_util::{FutureExt, StreamExt};
use live::{PushedChange, RenderMetrics, Selection, SelectionKey};
use parking_lot::Mutex;

use super::schema::Schema;
use crate::document::{ShapeDocument, ShapeKey, shape_key};

/// Selections of open subscriptions, by shape.
pub(super) struct Shapes {
    schema: Schema,
    // Weak: subscribers own the selections, and one goes with its last subscriber.
    selections: Mutex<HashMap<ShapeKey, Weak<Selection>>>,
    metrics: RenderMetrics,
}

impl Shapes {
    /// Builds an empty set over a schema.
    pub(super) fn new(schema: Schema, metrics: &Metrics) -> Self {
        Self {
            schema,
            selections: Mutex::default(),
            metrics: RenderMetrics::new(metrics),
        }
    }

    /// Returns the selection of a document with these variables, shared with the subscribers that have it already.
    pub(super) fn get(&self, document: &ShapeDocument, variables: Variables) -> Arc<Selection> {
        let key = shape_key(document, &variables, "");

        // Held until the new selection is in the map: two subscribers of a new shape must not compile it twice, since
        // only the selection in the map would be shared with later ones.
        let mut selections = self.selections.lock();
        if let Some(selection) = selections.get(&key).and_then(Weak::upgrade) {
            return selection;
        }

        // Other variables, such as the position to resume from, would live as long as the selection.
        let used = document.used_variables();
        let mut variables = variables;

        variables.retain(|name, _| used.contains(name));

        let schema = self.schema.clone();
        let document = document.clone();
        let selection = Arc::new(Selection::new(
            SelectionKey(key.0),
            self.metrics.clone(),
            move |pushed| render(&schema, &document, &variables, pushed),
        ));

        // Swept where the map would otherwise grow.
        selections.retain(|_, selection| selection.strong_count() > 0);
        selections.insert(key, Arc::downgrade(&selection));
        selection
    }
}

fn render(
    schema: &Schema,
    document: &ShapeDocument,
    variables: &Variables,
    pushed: PushedChange,
) -> Arc<str> {
    let mut request = Request::new("").variables(variables.clone()).data(pushed);
    request.set_parsed_query(document.document().clone());

    // Resolvers of a pushed change read memory only, so the first poll is ready. A render function may not wait: it runs
    // within the poll of a subscriber.
    let mut results = std::pin::pin!(schema.execute_stream(request));
    let response = results
        .next()
        .now_or_never()
        .flatten()
        .expect("a pushed change is resolved from memory, without waiting, to one result");

    serde_json::to_string(&response)
        .expect("a GraphQL response is always valid JSON")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{DocumentLimits, parse};

    fn selection(text: &str) -> ShapeDocument {
        let parsed = parse(text, &DocumentLimits::default()).expect("it is a document");
        parsed
            .operation(None)
            .expect("it has one")
            .shape()
            .expect("it is a subscription")
    }

    #[test]
    fn selection_is_shared_and_goes_with_its_last_subscriber() {
        let schema = super::super::schema::builder().finish();
        let shapes = Shapes::new(schema, &Metrics::new());
        let held = || shapes.selections.lock().len();

        let first = shapes.get(
            &selection("subscription a { accessChanged { granted } }"),
            Variables::default(),
        );
        let with_arguments =
            "subscription b($p: Position) { accessChanged(after: $p) { granted } }";
        let second = shapes.get(&selection(with_arguments), Variables::default());

        assert!(
            Arc::ptr_eq(&first, &second),
            "positions and filters do not make another selection"
        );

        drop(first);
        assert_eq!(held(), 1);
        drop(second);
        let _other = shapes.get(
            &selection("subscription { accessChanged { buyerId } }"),
            Variables::default(),
        );

        assert_eq!(held(), 1, "a selection without subscribers is dropped");
    }

    #[test]
    fn selection_renders_a_pushed_change_from_memory() {
        let schema = super::super::schema::builder().finish();
        let change = buyer_core::feed::Change {
            sequence: 7,
            index: 0,
            seller_id: backbone::ids::SellerId(uuid::Uuid::nil()),
            body: buyer_core::feed::ChangeBody::Access {
                buyer: backbone::ids::BuyerId(uuid::Uuid::nil()),
                granted: true,
            },
        };
        let pushed = PushedChange {
            epoch: backbone::position::Epoch(1),
            kind: live::ChangeKind::Updated,
            change: Arc::new(change),
        };
        let document = selection("subscription { accessChanged { granted } }");

        let result = render(&schema, &document, &Variables::default(), pushed);
        assert_eq!(&*result, r#"{"data":{"accessChanged":{"granted":true}}}"#);
    }
}
