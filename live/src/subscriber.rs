//! Subscribers: one for each open subscription.
//!
//! A subscriber is what an open subscription may see, wants, and gets to see of it. Where it stands in the feed is kept by
//! whoever reads for it. It has no queue: a slow client costs the gateway a position and nothing else.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use backbone::position::{Epoch, Position, Sequence};
use buyer_core::feed::Change;
use tokio::time::sleep;

use crate::backlog::{BacklogError, Found};
use crate::conflation::Shown;
use crate::error::SubscribeError;
use crate::feed::Feed;
use crate::interest::Topic;
use crate::rendered::Rendered;
use crate::ring::FeedOffset;
use crate::selection::Selection;
use crate::visibility::{ChangeFilter, ChangeKind, Viewer, Visibility};

/// Pause before the feed's table is read again after a failed read.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Request to open a subscriber.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Account that the changes are shown to.
    pub viewer: Viewer,
    /// Changes to read.
    pub filter: ChangeFilter,
    /// Position after which to begin; `None` begins with what is published from now on.
    pub after: Option<Position>,
    /// Length of the windows whose changes of one deal are shown as one; `None` shows every change.
    pub conflate: Option<Duration>,
}

/// View of one open subscription on the feed.
pub struct Subscriber {
    visibility: Arc<Visibility>,
    selection: Arc<Selection>,
    epoch: Epoch,
    begin: FeedOffset,
    conflate: Option<Duration>,
}

impl Subscriber {
    /// Opens a subscriber at the requested position.
    ///
    /// # Errors
    /// Those of [`Feed::start`], and [`SubscribeError::Store`] when the viewer's access cannot be loaded.
    pub async fn open(
        feed: &Feed,
        subscription: Subscription,
        selection: Arc<Selection>,
    ) -> Result<Self, SubscribeError> {
        let conflate = subscription.conflate;
        let (visibility, epoch, begin) = open(feed, subscription).await?;

        Ok(Self {
            visibility: Arc::new(visibility),
            selection,
            epoch,
            begin,
            conflate,
        })
    }

    /// Returns the length of the windows whose changes of one deal are shown as one, if the subscriber wants that.
    pub fn conflate(&self) -> Option<Duration> {
        self.conflate
    }

    /// Returns the offset after which the subscriber begins.
    pub fn begin(&self) -> FeedOffset {
        self.begin
    }

    /// Returns the epoch of the log that the subscriber's positions belong to.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Returns the selection, which subscribers with the same results share.
    pub fn selection(&self) -> &Arc<Selection> {
        &self.selection
    }

    /// Returns the topics of every change after a sequence that may concern the subscriber. They change only with access
    /// changes that are of a topic among them.
    pub fn topics(&self, after: Sequence) -> HashSet<Topic> {
        self.visibility.topics(after)
    }

    /// Returns the kind as which the subscriber is shown a change; `None` if it may not see or does not want it. The
    /// change must not lie beyond the tip, since access is only as new as that.
    pub fn kind(&self, change: &Change) -> Option<ChangeKind> {
        self.visibility.kind(change)
    }

    /// Returns the result that is pushed for a change, rendered once for all subscribers with the same selection.
    pub fn render(&self, feed: &Feed, shown: &Shown) -> Arc<Rendered> {
        self.selection.render(&feed.render_cache, self.epoch, shown)
    }

    /// Reads from the feed's table what the ring, which begins after event `floor`, no longer holds after `offset`. Waits
    /// for a database that is away as long as it takes. Dropping the future cancels the read.
    ///
    /// # Errors
    /// [`SubscribeError::Expired`] when the offset is older than what is kept.
    pub fn read_behind(
        &self,
        feed: &Arc<Feed>,
        offset: FeedOffset,
        floor: Sequence,
    ) -> impl Future<Output = Result<Found, SubscribeError>> + Send + use<> {
        let feed = Arc::clone(feed);
        let visibility = Arc::clone(&self.visibility);

        async move {
            loop {
                let sellers = || visibility.sellers();

                match feed.read_behind(offset, floor, sellers).await {
                    Ok(found) => return Ok(found),
                    Err(BacklogError::Expired) => return Err(SubscribeError::Expired),
                    Err(BacklogError::Unavailable(error)) => {
                        // Retried without limit: the offset stays valid, and ending the subscription would only send
                        // the client to another gateway with the same database.
                        tracing::debug!(%error, "a subscriber waits for the feed's table");
                        sleep(RETRY_PAUSE).await;
                    }
                }
            }
        }
    }
}

/// Finds out where a reader begins and what it may see.
///
/// # Errors
/// Those of [`Subscriber::open`].
pub(crate) async fn open(
    feed: &Feed,
    subscription: Subscription,
) -> Result<(Visibility, Epoch, FeedOffset), SubscribeError> {
    let Subscription {
        viewer,
        filter,
        after,
        conflate: _,
    } = subscription;

    // The offset before the access: what the feed brings in between is applied to the access while it loads.
    let (epoch, begin) = feed.start(after).await?;
    let access = match viewer {
        Viewer::Buyer(buyer) => Some(feed.access.open(feed.buyers(), buyer).await?),
        Viewer::Seller(_) => None,
    };

    Ok((Visibility::new(viewer, filter, access), epoch, begin))
}
