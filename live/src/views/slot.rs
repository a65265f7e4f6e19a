//! The place of one View: reading it, and loading it one request at a time.

use backbone::Error;
use backbone::deal_table::{Page, Window};
use backbone::position::Sequence;
use buyer_core::BuyerSide;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use super::view::{Beyond, View, ViewKey};
use crate::feed::{Feed, Since};

/// Most changes that a View applies. With more, one statement is cheaper.
const MAX_CHANGES: usize = 1_000;

/// A place for one View, which is empty until the View is loaded.
pub(crate) struct Slot {
    pub(super) key: ViewKey,
    // Held while the View catches up and is read, which waits for nothing but the feed's lock.
    view: Mutex<Option<View>>,
    /// Held by the request that loads the View: others that want the same one wait for it instead of loading it too.
    loading: AsyncMutex<()>,
}

/// Result of reading a View.
pub(crate) enum Found {
    /// The page at the View's position.
    Page(Page),
    /// There is no View, or it cannot be kept exact any longer.
    Missing,
    /// The View is not as new as it must be.
    Old,
    /// The page may hold deals that the View does not.
    Beyond,
}

impl Slot {
    pub(super) fn new(key: ViewKey) -> Self {
        Self {
            key,
            view: Mutex::new(None),
            loading: AsyncMutex::new(()),
        }
    }

    /// Catches the View up with the feed's tip and reads a window that must show event `required` or a later one. Returns
    /// what was found, and the weight of the View if it may have changed.
    pub(crate) fn read(
        &self,
        feed: &Feed,
        window: &Window,
        required: Sequence,
    ) -> (Found, Option<u64>) {
        let mut slot = self.view.lock();
        let Some(view) = slot.as_mut() else {
            return (Found::Missing, None);
        };

        let is_moved = match catch_up(view, &self.key, feed) {
            Some(is_moved) => is_moved,
            None => {
                *slot = None;
                return (Found::Missing, Some(0));
            }
        };

        let weight = is_moved.then(|| view.weight());
        if view.position().sequence < required {
            return (Found::Old, weight);
        }

        match view.page(self.key.order, window) {
            Ok(page) => (Found::Page(page), weight),
            Err(Beyond) => (Found::Beyond, weight),
        }
    }

    /// Waits for the turn to load the View.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.loading.lock().await
    }

    /// Reads a View from the tables, with room for pages of this size.
    ///
    /// # Errors
    /// Those of the buyer database.
    pub(crate) async fn fetch(
        &self,
        buyers: &BuyerSide,
        feed: &Feed,
        limit: u32,
    ) -> Result<View, Error> {
        let ViewKey {
            buyer,
            filter,
            order,
        } = &self.key;

        // Twice what a page needs: as many deals may leave before the View must be loaded again.
        let wanted = 2 * (limit as usize + 1);
        let held = self.view.lock().as_ref().map_or(0, View::capacity);
        let capacity = wanted.max(held);

        let top = buyers.top_deals(*buyer, filter.clone(), *order, capacity as u32);
        let mut top = top.await?;

        feed.share(&mut top.deals);
        Ok(View::new(*order, top, capacity))
    }

    /// Puts a View that was fetched into the slot. Returns the page of a window at its position, and its weight.
    pub(crate) fn put(&self, view: View, window: &Window) -> (Result<Page, Beyond>, u64) {
        let page = view.page(self.key.order, window);
        let weight = view.weight();

        // Whatever was there before: the ring may have moved on since this View was read, and it catches up as any other.
        *self.view.lock() = Some(view);
        (page, weight)
    }
}

/// Catches a View up with the feed's tip. Returns whether anything in it has changed; `None` if it must be loaded again.
fn catch_up(view: &mut View, key: &ViewKey, feed: &Feed) -> Option<bool> {
    match feed.since(view.position().sequence, MAX_CHANGES) {
        Since::Changes { changes, synced } if view.is_of(synced) => {
            view.catch_up(key, &changes, synced.tip).ok()?;
            Some(!changes.is_empty())
        }
        Since::Changes { .. } | Since::TooFar | Since::NotLoaded => None,
    }
}
