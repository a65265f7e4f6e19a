//! Shared rendering: one execution for each (shape, change, kind), whoever asks first; everybody gets those bytes.
//!
//! A shape is a subscription's selection without its root field's arguments. Filters and positions route, they do
//! not multiply executions. Sharing is sound because no type reachable from a subscription depends on the viewer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use async_graphql::{Request, Variables};
use backbone::position::{Epoch, Position};
use backbone::telemetry::{Counter, Metrics};
use buyer_core::feed::Change;
use futures_util::{FutureExt, StreamExt};

use super::rendered::Rendered;
use super::sight::Kind;
use crate::document::{ShapeDocument, ShapeKey, shape_key};
use crate::graphql::Schema;

/// What a subscription's root field resolves: one change, as one filter sees it.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// Of the market's log.
    pub epoch: Epoch,
    /// How the change looks.
    pub kind: Kind,
    /// The change.
    pub change: Arc<Change>,
}

impl Pushed {
    /// The change's place.
    pub fn position(&self) -> Position {
        self.change.position(self.epoch)
    }
}

/// The shapes in use.
pub struct Shapes {
    schema: Schema,
    shapes: Mutex<HashMap<ShapeKey, Weak<Shape>>>,
    executions: Counter,
    deliveries: Counter,
}

/// One selection with the variables that it uses.
pub struct Shape {
    key: ShapeKey,
    schema: Schema,
    document: ShapeDocument,
    variables: Variables,
    executions: Counter,
    deliveries: Counter,
}

impl Shapes {
    /// None yet, over a schema.
    pub fn new(schema: Schema, metrics: &Metrics) -> Self {
        Self {
            schema,
            shapes: Mutex::default(),
            executions: metrics.counter("push_executions", "GraphQL executions for pushes"),
            deliveries: metrics.counter("push_deliveries", "Pushed results handed to subscribers"),
        }
    }

    /// The shape of this selection, shared with whoever holds it already.
    pub fn get(&self, document: &ShapeDocument, variables: Variables) -> Arc<Shape> {
        let key = shape_key(document, &variables, "");
        let mut shapes = self
            .shapes
            .lock()
            .expect("nothing panics while it holds this lock");
        if let Some(shape) = shapes.get(&key).and_then(Weak::upgrade) {
            return shape;
        }
        let used = document.used_variables();
        let mut variables = variables;
        variables.retain(|name, _| used.contains(name));
        let shape = Arc::new(Shape {
            key,
            schema: self.schema.clone(),
            document: document.clone(),
            variables,
            executions: self.executions.clone(),
            deliveries: self.deliveries.clone(),
        });
        shapes.retain(|_, shape| shape.strong_count() > 0);
        shapes.insert(key, Arc::downgrade(&shape));
        shape
    }
}

impl Shape {
    /// The execution result for a change, as JSON.
    pub(super) fn render(
        &self,
        rendered: &Rendered,
        epoch: Epoch,
        kind: Kind,
        change: &Arc<Change>,
    ) -> Arc<str> {
        self.deliveries.inc();
        rendered.get_or_make(self.key, change.order(), kind, || {
            self.execute(Pushed {
                epoch,
                kind,
                change: Arc::clone(change),
            })
        })
    }

    fn execute(&self, pushed: Pushed) -> Arc<str> {
        self.executions.inc();
        let mut request = Request::new("")
            .variables(self.variables.clone())
            .data(pushed);
        request.set_parsed_query(self.document.document().clone());
        let mut results = std::pin::pin!(self.schema.execute_stream(request));
        let response = results
            .next()
            .now_or_never()
            .flatten()
            .expect("a pushed change is resolved from memory, without waiting, to one result");
        serde_json::to_string(&response)
            .expect("a response is JSON")
            .into()
    }
}

#[cfg(test)]
mod tests {
    use backbone::ids::{BuyerId, SellerId};
    use buyer_core::feed::ChangeBody;
    use uuid::Uuid;

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
    fn a_shape_is_shared_outlives_its_first_holder_and_goes_with_its_last() {
        let shapes = Shapes::new(crate::graphql::schema().finish(), &Metrics::new());
        let held = || shapes.shapes.lock().expect("not poisoned").len();
        let first = shapes.get(
            &selection("subscription a { accessChanged { granted } }"),
            Variables::default(),
        );
        let with_arguments =
            "subscription b($p: Position) { accessChanged(after: $p) { granted } }";
        let second = shapes.get(&selection(with_arguments), Variables::default());
        assert!(
            Arc::ptr_eq(&first, &second),
            "positions and filters make no other shape"
        );
        drop(first);
        let body = ChangeBody::Access {
            buyer: BuyerId(Uuid::nil()),
            granted: true,
        };
        let change = Change {
            sequence: 7,
            index: 0,
            seller_id: SellerId(Uuid::nil()),
            body,
        };
        let change = Arc::new(change);
        let rendered = Rendered::default();
        for _ in 0..3 {
            let result = second.render(&rendered, Epoch(1), Kind::Updated, &change);
            assert_eq!(&*result, r#"{"data":{"accessChanged":{"granted":true}}}"#);
        }
        assert_eq!((second.executions.get(), second.deliveries.get()), (1, 3));
        assert_eq!(held(), 1);
        drop(second);
        let _other = shapes.get(
            &selection("subscription { accessChanged { buyerId } }"),
            Variables::default(),
        );
        assert_eq!(held(), 1, "what nobody holds is gone");
    }
}
