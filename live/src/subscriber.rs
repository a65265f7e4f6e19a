//! A subscriber: a position, a filter, and a selection to render what it may see. No queue: it reads on when its
//! transport has taken what it was given, so a slow one costs a position.

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

use crate::Feed;
use crate::backlog::{Found, Stopped};
use crate::error::SubscribeError;
use crate::feed::Read;
use crate::ring::FeedOffset;
use crate::selection::Selection;
use crate::visibility::{ChangeFilter, Viewer, Visibility};
use crate::wakeups::Registration;

/// A table that is away is asked again after this.
const RETRY: Duration = Duration::from_millis(250);

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// For whom.
    pub viewer: Viewer,
    /// What.
    pub subject: ChangeFilter,
    /// From where; none: from now on.
    pub after: Option<Position>,
}

/// A result for a subscriber.
#[derive(Clone, Debug)]
pub struct Update {
    /// The change's offset: whoever resumes after it has seen it.
    pub position: Position,
    /// The execution result, as JSON.
    pub result: Arc<str>,
}

/// Results, in order; mostly there is one.
pub type Updates = SmallVec<[Update; 1]>;

/// A reader of the feed.
pub struct Subscriber {
    feed: Arc<Feed>,
    visibility: Arc<Visibility>,
    selection: Arc<Selection>,
    epoch: Epoch,
    offset: FeedOffset,
    /// What follows its offset is being read from the table, for the ring no longer holds it.
    reading: Option<BoxFuture<'static, Result<Found, Stopped>>>,
    registration: Registration,
    /// The version of the visibility that the registered topics come from.
    followed: Option<u64>,
}

impl Subscriber {
    /// Begins where it was asked to. From now on means from when this is first polled.
    pub async fn open(
        feed: Arc<Feed>,
        asked: Subscription,
        selection: Arc<Selection>,
    ) -> Result<Self, SubscribeError> {
        let Subscription {
            viewer,
            subject,
            after,
        } = asked;
        let (epoch, offset) = feed.start(after).await?;
        let access = match viewer {
            Viewer::Buyer(buyer) => Some(feed.access.open(feed.buyers(), buyer).await?),
            Viewer::Seller(_) => None,
        };
        let visibility = Arc::new(Visibility::new(viewer, subject, access));
        let registration = feed.register(HashSet::new());
        Ok(Self {
            feed,
            visibility,
            selection,
            epoch,
            offset,
            reading: None,
            registration,
            followed: None,
        })
    }

    /// Whether a tip that was read before this was asked is its position: it has seen everything up to it, and has not
    /// come from a gateway that was ahead of this one.
    pub fn is_caught_up_with(&self, tip: Position) -> bool {
        self.registration.slot().is_caught_up_with(tip.sequence)
    }

    /// Waits for what it may see next. To stop waiting loses nothing.
    ///
    /// # Errors
    /// As [`Subscriber::poll_next`].
    pub async fn next(&mut self) -> Result<Updates, SubscribeError> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// What it may see next: one or more results, in order.
    ///
    /// # Errors
    /// POSITION_EXPIRED when its offset is older than what is kept; then it is at its end.
    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Updates, SubscribeError>> {
        loop {
            if self.registration.slot().is_parked() {
                let first = ready!(self.registration.slot().poll_woken(context));
                self.offset = self.offset.max((first - 1, Position::END));
            }
            let (changes, reached) = match &mut self.reading {
                Some(reading) => {
                    let found = ready!(reading.poll_unpin(context));
                    self.reading = None;
                    found?
                }
                None if !self.feed.goes_beyond(self.offset) => {
                    self.park();
                    continue;
                }
                None => match self.feed.read(self.offset) {
                    Read::Changes(changes, reached) => (changes, reached),
                    Read::Behind(floor) => {
                        self.reading = Some(self.read_behind(floor));
                        continue;
                    }
                    Read::NotYet => {
                        self.park();
                        continue;
                    }
                },
            };
            let results: Updates = changes
                .iter()
                .filter_map(|change| self.see(change))
                .collect();
            self.offset = reached;
            if !results.is_empty() {
                return Poll::Ready(Ok(results));
            }
            if !changes.is_empty() {
                // Others get a turn before it looks on.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    fn read_behind(&self, floor: u64) -> BoxFuture<'static, Result<Found, Stopped>> {
        let (feed, visibility, offset) = (
            Arc::clone(&self.feed),
            Arc::clone(&self.visibility),
            self.offset,
        );
        async move {
            loop {
                match feed
                    .read_behind(offset, floor, || visibility.sellers())
                    .await
                {
                    Err(Stopped::Away(error)) => {
                        // Nothing is lost by waiting: the position stands.
                        tracing::debug!(%error, "a subscriber waits for the feed's table");
                        sleep(RETRY).await;
                    }
                    read => return read,
                }
            }
        }
        .boxed()
    }

    /// Sleeps from here on until there may be something to see.
    fn park(&mut self) {
        // The version first: what changes while the topics are gathered is gathered again the next time.
        let version = self.visibility.version();
        if self.followed != Some(version) {
            self.registration
                .follow(self.visibility.topics(self.offset.0));
            self.followed = Some(version);
        }
        let slot = self.registration.slot();
        slot.park(self.offset.0);
        // Whatever was appended before did not wake us.
        if self.feed.goes_beyond(self.offset) {
            slot.unpark();
        }
    }

    /// The result for a change, if it is for this subscriber.
    fn see(&self, change: &Arc<Change>) -> Option<Update> {
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
