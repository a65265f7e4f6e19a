//! Selections in use by subscriptions: each is compiled into a render function once, and shared by all subscribers whose
//! documents select the same.
//!
//! A shape is a subscription's selection without its root field's arguments. Filters and positions decide who gets a
//! change, so they do not multiply renderings. Sharing is sound because no type reachable from a subscription depends
//! on the viewer.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use async_graphql::{Request, Variables};
use backbone::telemetry::Metrics;
use futures_util::{FutureExt, StreamExt};
use live::{PushedChange, RenderMetrics, Selection, SelectionKey};
use parking_lot::Mutex;

use super::schema::Schema;
use crate::document::{ShapeDocument, ShapeKey, shape_key};

/// Selections that subscribers hold.
pub(super) struct Shapes {
    schema: Schema,
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

    /// Returns the selection of this document, shared with whoever holds it already.
    pub(super) fn get(&self, document: &ShapeDocument, variables: Variables) -> Arc<Selection> {
        let key = shape_key(document, &variables, "");
        let mut selections = self.selections.lock();
        if let Some(selection) = selections.get(&key).and_then(Weak::upgrade) {
            return selection;
        }

        let used = document.used_variables();
        let mut variables = variables;
        variables.retain(|name, _| used.contains(name));

        let schema = self.schema.clone();
        let document = document.clone();
        let selection = Arc::new(Selection::new(
            SelectionKey(key.0),
            self.metrics.clone(),
            move |pushed| execute(&schema, &document, &variables, pushed),
        ));

        selections.retain(|_, selection| selection.strong_count() > 0);
        selections.insert(key, Arc::downgrade(&selection));
        selection
    }
}

fn execute(
    schema: &Schema,
    document: &ShapeDocument,
    variables: &Variables,
    pushed: PushedChange,
) -> Arc<str> {
    let mut request = Request::new("").variables(variables.clone()).data(pushed);
    request.set_parsed_query(document.document().clone());

    let mut results = std::pin::pin!(schema.execute_stream(request));
    let response = results
        .next()
        .now_or_never()
        .flatten()
        .expect("a pushed change is resolved from memory, without waiting, to one result");
    serde_json::to_string(&response)
        .expect("a response is JSON")
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
    fn a_selection_is_shared_outlives_its_first_holder_and_goes_with_its_last() {
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
            "positions and filters make no other selection"
        );

        drop(first);
        assert_eq!(held(), 1);
        drop(second);
        let _other = shapes.get(
            &selection("subscription { accessChanged { buyerId } }"),
            Variables::default(),
        );
        assert_eq!(held(), 1, "a selection that nobody holds is gone");
    }

    #[test]
    fn a_pushed_change_is_rendered_from_memory() {
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

        let result = execute(&schema, &document, &Variables::default(), pushed);

        assert_eq!(&*result, r#"{"data":{"accessChanged":{"granted":true}}}"#);
    }
}
