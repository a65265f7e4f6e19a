//! The feed by pull: what a subscription would have pushed after a position, one page for each request.
//!
//! For jobs and for backends that nobody can connect to. A page says where to go on, so a caller that stores that
//! position with what it did loses nothing and repeats nothing, as a subscriber does.

use std::sync::Arc;
use std::time::Duration;

use backbone::position::{Epoch, Position};
use buyer_core::feed::Change;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::backlog::BacklogError;
use crate::conflation::Shown;
use crate::error::SubscribeError;
use crate::feed::{Feed, Read};
use crate::ring::{Changes, FeedOffset};
use crate::selection::PushedChange;
use crate::subscriber::{Subscription, open};
use crate::visibility::Visibility;

/// Time between two looks at a tip that moves. A waiting request costs a look, however many changes others make.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Most changes that one request looks at. A caller that wants few of many gets an empty page that leads past these.
const MAX_LOOKS: usize = 20_000;

/// One page of changes.
#[derive(Debug)]
pub struct Pulled {
    /// Changes in the order of the feed.
    pub changes: Vec<PushedChange>,
    /// Position after which to go on.
    pub position: Position,
    /// True if there is more to look at already.
    pub more: bool,
}

/// State of one request.
struct Pull<'a> {
    feed: &'a Feed,
    visibility: Visibility,
    epoch: Epoch,
    cursor: FeedOffset,
    changes: Vec<PushedChange>,
    max: usize,
    looks: usize,
}

impl Feed {
    /// Returns at most `max` changes that follow a position. If there are none, waits until there is one, until `wait` is
    /// over or, if the position is newer than anything the viewer sees, until then.
    ///
    /// # Errors
    /// Those of [`Feed::start`]; [`SubscribeError::Expired`] when the position is older than what is kept, and
    /// [`SubscribeError::Store`] when the feed's table cannot be read.
    pub async fn pull(
        &self,
        subscription: Subscription,
        max: usize,
        wait: Duration,
    ) -> Result<Pulled, SubscribeError> {
        let until = Instant::now() + wait;
        let (visibility, epoch, cursor) = open(self, subscription).await?;
        let mut pull = Pull {
            feed: self,
            visibility,
            epoch,
            cursor,
            changes: Vec::new(),
            max,
            looks: 0,
        };

        loop {
            let more = pull.read().await?;
            if more || !pull.changes.is_empty() || Instant::now() >= until {
                return Ok(pull.finish(more));
            }

            // Slower than the tip may move: a thousand requests that wait for quiet sellers must not look a thousand times
            // for each change of a busy one.
            let look = Instant::now() + LOOK_INTERVAL;
            let beyond = self.reaches(pull.cursor.0 + 1);
            // Whichever it is, what there is then is read.
            let _moved = timeout_at(until, beyond).await;
            sleep_until(look.min(until)).await;
        }
    }
}

impl Pull<'_> {
    /// Reads up to the tip. Returns whether it stopped before.
    async fn read(&mut self) -> Result<bool, SubscribeError> {
        loop {
            let (changes, reached) = match self.feed.read(self.cursor) {
                Read::Changes(changes, reached) if changes.is_empty() => {
                    self.cursor = reached;
                    return Ok(false);
                }
                Read::Changes(changes, reached) => (changes, reached),
                Read::Behind(floor) => self.read_table(floor).await?,
                Read::NotLoaded => return Err(SubscribeError::NotReady),
            };

            // Without room the cursor stays behind what did not fit, and the next request begins there.
            if !self.take(&changes) {
                return Ok(true);
            }
            self.cursor = reached;
            if self.looks >= MAX_LOOKS {
                return Ok(true);
            }
        }
    }

    async fn read_table(&self, floor: u64) -> Result<(Changes, FeedOffset), SubscribeError> {
        let sellers = || self.visibility.sellers();
        let found = self.feed.read_behind(self.cursor, floor, sellers).await;

        found.map_err(|error| match error {
            BacklogError::Expired => SubscribeError::Expired,
            BacklogError::Unavailable(error) => SubscribeError::Store(error),
        })
    }

    /// Takes what the viewer sees. Returns false if there is no room for all of it.
    fn take(&mut self, changes: &[Arc<Change>]) -> bool {
        for change in changes {
            self.looks += 1;
            let Some(kind) = self.visibility.kind(change) else {
                continue;
            };

            if self.changes.len() == self.max {
                return false;
            }
            self.cursor = change.order();
            self.changes.push(PushedChange {
                epoch: self.epoch,
                shown: Shown {
                    kind,
                    change: Arc::clone(change),
                    conflated: None,
                },
            });
        }

        true
    }

    fn finish(self, more: bool) -> Pulled {
        let (sequence, index) = self.cursor;

        Pulled {
            changes: self.changes,
            position: Position {
                epoch: self.epoch,
                sequence,
                index,
            },
            more,
        }
    }
}
