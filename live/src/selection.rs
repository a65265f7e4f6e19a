//! Selections: what a subscriber wants to see of each change, and the function that renders it.
//!
//! The engine knows a selection by an opaque key and renders through the function it was handed. Subscribers with the
//! same key share one rendering of each change, so whoever builds selections must give equal keys only to functions
//! that give equal bytes, whoever the viewer is.

use std::sync::Arc;

use backbone::position::{Epoch, Position};
use backbone::telemetry::{Counter, Metrics};

use crate::conflation::Shown;
use crate::render_cache::{RenderCache, SelectionKey};
use crate::rendered::Rendered;

/// One change as one filter sees it: the input of a rendering.
#[derive(Clone, Debug)]
pub struct PushedChange {
    /// Identity of the log that the change is from.
    pub epoch: Epoch,
    /// Change to render, and how it is shown.
    pub shown: Shown,
}

impl PushedChange {
    /// Returns the position of the change in its log.
    pub fn position(&self) -> Position {
        self.shown.change.position(self.epoch)
    }
}

/// Counter of renderings, shared by all selections of a gateway.
#[derive(Clone)]
pub struct RenderMetrics {
    renders: Counter,
}

impl RenderMetrics {
    /// Registers the counter.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            renders: metrics.counter("push_executions", "GraphQL executions for pushes"),
        }
    }

    /// Returns how often a change was rendered.
    pub fn renders(&self) -> u64 {
        self.renders.get()
    }
}

/// A selection with the function that renders it.
pub struct Selection {
    key: SelectionKey,
    // Boxed, so that subscribers of all selections are of one type and no generic parameter reaches the transports.
    render: Box<dyn Fn(PushedChange) -> String + Send + Sync>,
    metrics: RenderMetrics,
}

impl Selection {
    /// Builds a selection. `render` returns the execution result as JSON; it must not block, since it runs on
    /// the shard that pushes the change.
    pub fn new(
        key: SelectionKey,
        metrics: RenderMetrics,
        render: impl Fn(PushedChange) -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            key,
            render: Box::new(render),
            metrics,
        }
    }

    /// Returns the key, equal for selections that render alike.
    pub fn key(&self) -> SelectionKey {
        self.key
    }

    /// Returns the rendered change, from the cache if another subscriber with the same selection has seen it.
    pub(crate) fn render(&self, cache: &RenderCache, epoch: Epoch, shown: &Shown) -> Arc<Rendered> {
        cache.get_or_render(self.key, shown, || {
            // Counted inside, since the cache calls this only when it holds no rendering.
            self.metrics.renders.inc();
            let json = (self.render)(PushedChange {
                epoch,
                shown: shown.clone(),
            });
            Arc::new(Rendered::new(json))
        })
    }
}

#[cfg(test)]
mod tests {
    use backbone::ids::{BuyerId, SellerId};
    use buyer_core::feed::{Change, ChangeBody};
    use uuid::Uuid;

    use super::*;
    use crate::visibility::ChangeKind;

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
                pushed.position().sequence.to_string()
            })
        };
        let one = selection();
        let other = selection();
        let cache = RenderCache::default();

        for selection in [&one, &other, &one] {
            let shown = Shown {
                kind: ChangeKind::Updated,
                change: Arc::clone(&change),
                conflated: None,
            };
            let rendered = selection.render(&cache, Epoch(1), &shown);
            assert_eq!(rendered.json(), "7");
        }

        assert_eq!(metrics.renders(), 1);
    }
}
