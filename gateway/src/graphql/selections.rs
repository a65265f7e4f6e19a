//! Selections of subscriptions. Subscribers whose results have the same bytes share one selection, however their
//! documents are written, and with it one rendering of each change.

use std::sync::Arc;

use backbone::telemetry::Metrics;
use backbone::weak_map::WeakMap;
use documents::{Kept, Render, Request, Root};
use live::{PushedChange, RenderMetrics, Selection, SelectionKey};
use parking_lot::Mutex;

use super::change::{AccessChange, DealChange};
use super::results::text;

/// Selections in use.
pub(super) struct Selections {
    kept: Arc<Kept>,
    // The subscribers own their selections, and one goes with its last subscriber.
    selections: Mutex<WeakMap<SelectionKey, Selection>>,
    metrics: RenderMetrics,
}

impl Selections {
    /// Creates an empty set. Objects that several selections render alike are copied from `kept`.
    pub(super) fn new(kept: Arc<Kept>, metrics: &Metrics) -> Self {
        Self {
            kept,
            selections: Mutex::default(),
            metrics: RenderMetrics::new(metrics),
        }
    }

    /// Returns the selection of a subscription's root field, shared with the subscribers that have it already.
    pub(super) fn get(&self, request: &Arc<Request>, root: &Root) -> Arc<Selection> {
        let key = SelectionKey(root.result_key().0);

        // One lock over look-up and insert: of two subscribers with a new selection, both must get the one that later
        // ones will share.
        self.selections.lock().get_or_insert_with(key, || {
            let kept = Arc::clone(&self.kept);
            let request = Arc::clone(request);
            let render = move |pushed| render(&request, &kept, &pushed);

            Selection::new(key, self.metrics.clone(), render)
        })
    }
}

/// Renders the result that a subscription pushes for a change.
pub(super) fn render(request: &Request, kept: &Kept, pushed: &PushedChange) -> String {
    // A subscription has one root field, whatever its variables are.
    let root = &request.roots()[0];
    let mut out = request.begin_result(usize::MAX, Some(kept));

    out.json(b"{\"data\":{");
    out.json(root.json_key().as_bytes());
    match root.field() {
        "accessChanged" => AccessChange::of(pushed).render(root.selection(), &mut out),
        _ => DealChange::of(pushed).render(root.selection(), &mut out),
    }
    out.json(b"}}");

    let bytes = request
        .finish_result(out)
        .expect("a push has no limit of size");
    text(bytes)
}
