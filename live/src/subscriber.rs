//! Subscribers: one for each open subscription.
//!
//! A subscriber is a position, a change filter and a selection. It has no queue: it reads on when its transport has taken
//! the last results, so a slow client costs the gateway a position and nothing else.

use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use backbone::position::{Epoch, Position};
use buyer_core::feed::Change;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use smallvec::SmallVec;
use tokio::time::sleep;

use crate::backlog::{BacklogError, Found};
use crate::error::SubscribeError;
use crate::feed::{Feed, Read};
use crate::ring::FeedOffset;
use crate::selection::Selection;
use crate::visibility::{ChangeFilter, Viewer, Visibility};
use crate::wakeups::Registration;

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
}

/// One result for a subscriber.
#[derive(Clone, Debug)]
pub struct Update {
    /// Position of the change. A subscription that resumes after it does not see the change again.
    pub position: Position,
    /// Execution result, as JSON.
    pub result: Arc<str>,
}

/// Results in the order of the feed, nearly always one.
pub type Updates = SmallVec<[Update; 1]>;

/// A reader of the feed for one open subscription.
pub struct Subscriber {
    feed: Arc<Feed>,
    visibility: Arc<Visibility>,
    selection: Arc<Selection>,
    epoch: Epoch,
    offset: FeedOffset,
    /// Read of the feed's table in progress, while the subscriber is behind the ring.
    // Boxed: its state is large, and a subscriber at the tip, as nearly all are, holds none of it.
    backlog_read: Option<BoxFuture<'static, Result<Found, BacklogError>>>,
    registration: Registration,
    /// Version of the visibility that the registered topics were computed from.
    topics_version: Option<u64>,
}

impl Subscriber {
    /// Opens a subscriber at the requested position.
    ///
    /// # Errors
    /// Those of [`Feed::start`], and [`SubscribeError::Store`] when the viewer's access cannot be loaded.
    pub async fn open(
        feed: Arc<Feed>,
        subscription: Subscription,
        selection: Arc<Selection>,
    ) -> Result<Self, SubscribeError> {
        let Subscription {
            viewer,
            filter,
            after,
        } = subscription;

        // The offset before the access: what the feed brings in between is applied to the access while it loads.
        let (epoch, offset) = feed.start(after).await?;
        let access = match viewer {
            Viewer::Buyer(buyer) => Some(feed.access.open(feed.buyers(), buyer).await?),
            Viewer::Seller(_) => None,
        };

        // No topics yet: they are registered when the subscriber parks for the first time.
        let registration = feed.register(HashSet::new());

        Ok(Self {
            feed,
            visibility: Arc::new(Visibility::new(viewer, filter, access)),
            selection,
            epoch,
            offset,
            backlog_read: None,
            registration,
            topics_version: None,
        })
    }

    /// Returns whether the subscriber has seen everything up to `tip`, a tip that was read before this call. A client
    /// that is told this position may resume from it.
    pub fn is_caught_up_with(&self, tip: Position) -> bool {
        self.registration.slot().is_caught_up_with(tip.sequence)
    }

    /// Waits for the next results. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`Subscriber::poll_next`].
    pub async fn next(&mut self) -> Result<Updates, SubscribeError> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// Polls for the next results: one or more, in the order of the feed.
    ///
    /// # Errors
    /// [`SubscribeError::Expired`] when the offset is older than what is kept. The subscription has then ended.
    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Updates, SubscribeError>> {
        loop {
            if self.registration.slot().is_parked() {
                // Nothing before the first change of concern is of interest, so it need not be read.
                let first = ready!(self.registration.slot().poll_woken(context));
                self.offset = self.offset.max((first - 1, Position::END));
            }

            let (changes, reached) = match &mut self.backlog_read {
                Some(read) => {
                    let found = ready!(read.poll_unpin(context));
                    self.backlog_read = None;
                    found?
                }
                None if !self.feed.goes_beyond(self.offset) => {
                    self.park();
                    continue;
                }
                None => match self.feed.read(self.offset) {
                    Read::Changes(changes, reached) => (changes, reached),
                    Read::Behind(floor) => {
                        self.backlog_read = Some(self.read_behind(floor));
                        continue;
                    }
                    Read::NotLoaded => {
                        self.park();
                        continue;
                    }
                },
            };

            let updates: Updates = changes
                .iter()
                .filter_map(|change| self.update(change))
                .collect();
            self.offset = reached;

            if !updates.is_empty() {
                return Poll::Ready(Ok(updates));
            }
            if !changes.is_empty() {
                // A subscriber that skips much, as one that catches up does, must not keep its thread from others:
                // after each slice it goes to the end of the task queue.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    fn read_behind(&self, floor: u64) -> BoxFuture<'static, Result<Found, BacklogError>> {
        let feed = Arc::clone(&self.feed);
        let visibility = Arc::clone(&self.visibility);
        let offset = self.offset;

        async move {
            loop {
                match feed
                    .read_behind(offset, floor, || visibility.sellers())
                    .await
                {
                    Err(BacklogError::Unavailable(error)) => {
                        // Retried without limit: the offset stays valid, and ending the subscription would only send
                        // the client to another gateway with the same database.
                        tracing::debug!(%error, "a subscriber waits for the feed's table");
                        sleep(RETRY_PAUSE).await;
                    }
                    result => return result,
                }
            }
        }
        .boxed()
    }

    /// Parks until there may be something to see: steps S1 to S3 of the protocol in `wakeups.rs`.
    fn park(&mut self) {
        // The version before the topics: if the access changes while the topics are computed, the versions differ the
        // next time, and they are computed again.
        let version = self.visibility.version();
        if self.topics_version != Some(version) {
            let topics = self.visibility.topics(self.offset.0);
            self.registration.follow(topics);
            self.topics_version = Some(version);
        }

        let slot = self.registration.slot();
        slot.park(self.offset.0);

        // After parking, not before: a change that was appended before the slot was quiet has notified nobody.
        if self.feed.goes_beyond(self.offset) {
            slot.unpark();
        }
    }

    /// Returns the rendered change, if the viewer may see it and the filter wants it.
    fn update(&self, change: &Arc<Change>) -> Option<Update> {
        let kind = self.visibility.kind(change)?;
        let result = self
            .selection
            .render(&self.feed.render_cache, self.epoch, kind, change);

        Some(Update {
            position: change.position(self.epoch),
            result,
        })
    }
}
