//! What each buyer with an open subscription may see: loaded once, then kept by the access changes of the feed
//! itself, so that live and replay obey one rule.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use backbone::Error;
use backbone::ids::BuyerId;
use buyer_core::BuyerSide;
use buyer_core::access::Intervals;
use buyer_core::feed::{Change, ChangeBody};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::OnceCell;

/// The intervals of the buyers in use.
#[derive(Default)]
pub(crate) struct AccessCache {
    pages: Mutex<HashMap<BuyerId, Weak<Page>>>,
}

/// One buyer's intervals.
pub(crate) struct Page {
    /// Read for every change and subscriber, hardly ever written.
    intervals: RwLock<Intervals>,
    /// What the feed has brought while the intervals were being loaded; none once they are.
    brought: Mutex<Option<Vec<Arc<Change>>>>,
    loaded: OnceCell<()>,
    /// +1 with every change of the intervals.
    version: AtomicU64,
}

impl AccessCache {
    /// The intervals of a buyer, loaded if nobody holds them yet.
    pub(crate) async fn open(
        &self,
        buyers: &BuyerSide,
        buyer: BuyerId,
    ) -> Result<Arc<Page>, Error> {
        let page = self.page(buyer);
        page.loaded
            .get_or_try_init(|| async {
                let (intervals, _) = buyers.intervals(buyer).await?;
                let mut loaded = Intervals::new(&intervals);
                let mut brought = page.brought.lock();
                for change in brought.take().into_iter().flatten() {
                    take(&mut loaded, &change);
                }
                *page.write() = loaded;
                page.version.fetch_add(1, Ordering::SeqCst);
                Ok::<_, Error>(())
            })
            .await?;
        Ok(page)
    }

    fn page(&self, buyer: BuyerId) -> Arc<Page> {
        let mut pages = self.pages.lock();
        if let Some(page) = pages.get(&buyer).and_then(Weak::upgrade) {
            return page;
        }
        let page = Arc::new(Page {
            intervals: RwLock::default(),
            brought: Mutex::new(Some(Vec::new())),
            loaded: OnceCell::new(),
            version: AtomicU64::new(0),
        });
        pages.retain(|_, page| page.strong_count() > 0);
        pages.insert(buyer, Arc::downgrade(&page));
        page
    }

    /// Takes the access changes among these. Call it before the new tip can be read.
    pub(crate) fn take(&self, changes: &[Arc<Change>]) {
        let pages = self.pages.lock();
        for change in changes {
            let ChangeBody::Access { buyer, .. } = &change.body else {
                continue;
            };
            let Some(page) = pages.get(buyer).and_then(Weak::upgrade) else {
                continue;
            };
            let mut brought = page.brought.lock();
            match brought.as_mut() {
                Some(brought) => brought.push(Arc::clone(change)),
                None => {
                    take(&mut page.write(), change);
                    page.version.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    }
}

impl Page {
    /// Tells whether the intervals are still those that were looked at.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// The intervals as the feed's tip has them.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Intervals> {
        self.intervals.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Intervals> {
        self.intervals.write()
    }
}

fn take(intervals: &mut Intervals, change: &Change) {
    if let ChangeBody::Access { granted, .. } = &change.body {
        intervals.apply(change.seller_id, *granted, change.sequence);
    }
}
