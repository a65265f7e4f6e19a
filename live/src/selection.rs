//! Selections: what a subscriber wants to see of each change, and the function that renders it.
//!
//! The engine knows a selection by an opaque key and renders through the function it was handed. Subscribers with the
//! same key share one rendering of each change, so whoever builds selections must give equal keys only to functions
//! that give equal bytes, whoever the viewer is.

use std::sync::Arc;

use backbone::position::{Epoch, Position};
use backbone::telemetry::{Counter, Metrics};
use buyer_core::feed::Change;

use crate::render_cache::{RenderCache, SelectionKey};
use crate::visibility::ChangeKind;

/// One change as one filter sees it: the input of a rendering.
#[derive(Clone, Debug)]
pub struct PushedChange {
    /// Identity of the log that the change is from.
    pub epoch: Epoch,
    /// Effect of the change on the filtered set.
    pub kind: ChangeKind,
    /// Change to render.
    pub change: Arc<Change>,
}

impl PushedChange {
    /// Returns the position of the change in its log.
    pub fn position(&self) -> Position {
        self.change.position(self.epoch)
    }
}

/// Counters of renderings, shared by all selections of a gateway.
#[derive(Clone)]
pub struct RenderMetrics {
    renders: Counter,
    deliveries: Counter,
}

impl RenderMetrics {
    /// Registers the counters.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            renders: metrics.counter("push_executions", "GraphQL executions for pushes"),
            deliveries: metrics.counter("push_deliveries", "Pushed results handed to subscribers"),
        }
    }

    /// Returns how often a change was rendered, and how often a rendering was handed to a subscriber.
    pub fn counts(&self) -> (u64, u64) {
        (self.renders.get(), self.deliveries.get())
    }
}

/// A selection with the function that renders it.
pub struct Selection {
    key: SelectionKey,
    // Boxed, so that subscribers of all selections are of one type and no generic parameter reaches the transports.
    render: Box<dyn Fn(PushedChange) -> Arc<str> + Send + Sync>,
    metrics: RenderMetrics,
}

impl Selection {
    /// Builds a selection. `render` returns the execution result as JSON; it must not block, since it runs on the
    /// subscriber's task.
    pub fn new(
        key: SelectionKey,
        metrics: RenderMetrics,
        render: impl Fn(PushedChange) -> Arc<str> + Send + Sync + 'static,
    ) -> Self {
        Self {
            key,
            render: Box::new(render),
            metrics,
        }
    }

    /// Returns the rendered change, from the cache if another subscriber with the same selection has seen it.
    pub(crate) fn render(
        &self,
        cache: &RenderCache,
        epoch: Epoch,
        kind: ChangeKind,
        change: &Arc<Change>,
    ) -> Arc<str> {
        self.metrics.deliveries.inc();

        cache.get_or_render(self.key, change.order(), kind, || {
            // Counted inside, since the cache calls this only when it holds no rendering.
            self.metrics.renders.inc();
            (self.render)(PushedChange {
                epoch,
                kind,
                change: Arc::clone(change),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use backbone::ids::{BuyerId, SellerId};
    use buyer_core::feed::ChangeBody;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn selection_renders_a_change_once_for_all_its_subscribers() {
        let body = ChangeBody::Access {
            buyer: BuyerId(Uuid::nil()),
            granted: true,
        };
        let change = Arc::new(Change {
            sequence: 7,
            index: 0,
            seller_id: SellerId(Uuid::nil()),
            body,
        });

        let metrics = RenderMetrics::new(&Metrics::new());
        let selection = || {
            Selection::new(SelectionKey([1; 16]), metrics.clone(), |pushed| {
                pushed.position().sequence.to_string().into()
            })
        };
        let one = selection();
        let other = selection();
        let cache = RenderCache::default();

        for selection in [&one, &other, &one] {
            let rendered = selection.render(&cache, Epoch(1), ChangeKind::Updated, &change);
            assert_eq!(&*rendered, "7");
        }

        assert_eq!(metrics.counts(), (1, 3));
    }
}
