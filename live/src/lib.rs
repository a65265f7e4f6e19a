//! The live engine: the newest part of the feed in memory, kept complete whatever the live bus loses, and what readers
//! need to follow it from their positions.
//!
//! A subscriber ([`subscriber`]) says what an open subscription sees and how; where it stands is kept by the shard that
//! reads for it. Renderings are shared by selection ([`selection`]), and the function that renders is handed in: the
//! crate depends on neither GraphQL nor a transport.
//!
//! # Why no wake-up is lost
//!
//! One task writes the ring ([`Feed::append`](Feed)). Readers ([`TipReader`]) are the shards, and reads that wait for a
//! position.
//!
//! | writer | reader |
//! |---|---|
//! | P1. appends to the ring and applies access changes, under the ring's lock | R1. stores its waker, under its own lock |
//! | P2. stores the new sequence (release) | R2. loads the sequence (acquire); reads on if it lies beyond its place |
//! | P3. takes each reader's waker, under the reader's lock, and wakes it | R3. sleeps |
//!
//! 1. P3 and R1 take the same lock, so one of them comes first. If R1 does, P3 finds the waker and the reader is polled
//!    again. If P3 does, P2 happens before R1, by the lock, and so before R2, which therefore loads the new sequence or a
//!    later one. No order needs more than acquire and release: the lock stands between the store of either side and its
//!    load.
//! 2. A reader that polls with another waker than before replaces it in R1, so P3 never wakes a task of the past alone.
//! 3. P1 comes before P2: whoever has loaded a sequence finds everything up to it in the ring, or gone from it and in the
//!    feed's table, and access as these changes left it.
//! 4. Everything else about subscriptions (who follows a topic, what is due, who is blocked) belongs to one shard, whose
//!    task alone touches it. A grant that adds a topic is a change of a topic that the buyer always follows, and the
//!    shard applies changes in their order, so the next change already finds the new topic.
//! 5. A shard tells a client a position only when it has read up to it and every subscription of the socket is at the tip
//!    with nothing due: positions in pings leave nothing out.
//!
//! `tests/model.rs` runs writers and readers on `tip.rs` itself through the interleavings of these steps.
//!
//! Read next: `feed.rs` for the ring and what lies behind it, `feed_sync.rs` for the task that keeps the ring complete.

mod access_cache;
mod backlog;
mod conflation;
mod error;
mod feed;
mod feed_sync;
#[cfg(test)]
mod fixtures;
mod interest;
mod liveness;
mod pull;
mod reads;
mod render_cache;
mod rendered;
mod ring;
pub mod selection;
pub mod subscriber;
mod tip;
mod views;
mod visibility;

/// Types that `tip.rs` synchronises with. The model test gives it others of the same names.
mod sync {
    pub(super) use parking_lot::Mutex;
    pub(super) use std::sync::Arc;
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};
}

pub use backlog::Found;
pub use buyer_core::feed::Change;
pub use conflation::{Conflated, Conflation, Shown};
pub use error::{ReadError, SubscribeError};
pub use feed::{Feed, Read};
pub use feed_sync::run as run_feed_sync;
pub use interest::{Interest, Topic};
pub use pull::Pulled;
pub use reads::Reads;
pub use render_cache::SelectionKey;
pub use rendered::Rendered;
pub use ring::{Changes, FeedOffset};
pub use selection::{PushedChange, RenderMetrics, Selection};
pub use subscriber::{Subscriber, Subscription};
pub use tip::TipReader;
pub use views::ViewSettings;
pub use visibility::{ChangeFilter, ChangeKind, Viewer};
