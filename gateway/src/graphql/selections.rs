//! Selections of subscriptions. Subscribers whose results have the same bytes share one selection, however their
//! documents are written, and with it one rendering of each change.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use backbone::telemetry::Metrics;
use documents::{Kept, Out, Render, Request, Root};
use live::{PushedChange, RenderMetrics, Selection, SelectionKey};
use parking_lot::Mutex;

use super::results::text;
use super::subscription::{AccessChange, DealChange};

/// Selections in use.
pub(super) struct Selections {
    kept: Arc<Kept>,
    // Weak: the subscribers own their selections, and one goes with its last subscriber.
    selections: Mutex<HashMap<SelectionKey, Weak<Selection>>>,
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

        // Held until the new selection is in the map: of two subscribers with a new selection, both must get the one
        // that later ones will share.
        let mut selections = self.selections.lock();
        if let Some(selection) = selections.get(&key).and_then(Weak::upgrade) {
            return selection;
        }

        let kept = Arc::clone(&self.kept);
        let request = Arc::clone(request);
        let render = move |pushed| render(&request, &kept, &pushed);
        let selection = Arc::new(Selection::new(key, self.metrics.clone(), render));

        // Swept where the map would otherwise grow.
        selections.retain(|_, selection| selection.strong_count() > 0);
        selections.insert(key, Arc::downgrade(&selection));
        selection
    }
}

/// Renders the result that a subscription pushes for a change.
pub(super) fn render(request: &Request, kept: &Kept, pushed: &PushedChange) -> Arc<str> {
    // A subscription has one root field, whatever its variables are.
    let root = &request.roots()[0];
    let mut out = Out::new(usize::MAX, Some(kept));

    out.json(b"{\"data\":{");
    out.json(root.json_key().as_bytes());
    match root.field() {
        "accessChanged" => AccessChange::of(pushed).render(root.selection(), &mut out),
        _ => DealChange::of(pushed).render(root.selection(), &mut out),
    }
    out.json(b"}}");

    text(out).expect("a push has no limit of size").into()
}
