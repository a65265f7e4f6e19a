//! Renderings of the changes that a shard is writing, found without a lock: thousands of its subscriptions want the same.

use std::collections::HashMap;
use std::sync::Arc;

use live::{Change, ChangeKind, Feed, FeedOffset, Rendered, SelectionKey, Shown, Subscriber};

/// Number of renderings for which memory stays allocated.
const KEPT: usize = 256;

/// A change as a subscription sees it.
#[derive(Clone)]
pub(super) struct Rendering {
    /// The result.
    pub(super) result: Arc<Rendered>,
    /// Position of the change, encoded.
    pub(super) position: Arc<str>,
}

/// Selection, with a change and how it is seen.
type Key = (SelectionKey, FeedOffset, ChangeKind);

/// Renderings by selection and change.
#[derive(Default)]
pub(super) struct Renderings {
    all: HashMap<Key, Rendering>,
    /// The one that was wanted last, which is nearly always wanted next.
    last: Option<(Key, Rendering)>,
}

impl Renderings {
    /// Returns the rendering of a change, from the feed's cache if it is not held here.
    pub(super) fn get(
        &mut self,
        feed: &Feed,
        subscriber: &Subscriber,
        kind: ChangeKind,
        change: &Arc<Change>,
    ) -> &Rendering {
        let key = (subscriber.selection().key(), change.order(), kind);

        // A map is asked only when another is wanted than the last time.
        if self.last.as_ref().is_none_or(|(last, _)| *last != key) {
            let rendering = self
                .all
                .entry(key)
                .or_insert_with(|| {
                    let shown = Shown {
                        kind,
                        change: Arc::clone(change),
                        conflated: None,
                    };
                    Self::render(feed, subscriber, &shown)
                })
                .clone();
            self.last = Some((key, rendering));
        }

        &self.last.as_ref().expect("it was just set").1
    }

    /// Gives back what is held, which is of no use for the next event of the shard.
    pub(super) fn clear(&mut self) {
        if self.last.take().is_some() {
            self.all.clear();
            self.all.shrink_to(KEPT);
        }
    }

    /// Returns the rendering of a change that is not held here, such as one of a window.
    pub(super) fn render(feed: &Feed, subscriber: &Subscriber, shown: &Shown) -> Rendering {
        Rendering {
            result: subscriber.render(feed, shown),
            position: shown.change.position(subscriber.epoch()).encode().into(),
        }
    }
}
