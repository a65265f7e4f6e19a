//! The feed: every change that a subscriber may be shown, in the order of the log.

pub(crate) mod blocks;
mod change;
pub(crate) mod retention;
pub(crate) mod table;

pub(crate) use change::EncodedChange;
pub use change::{Change, ChangeBody};
pub use retention::Retention;
pub(crate) use table::FeedRow;
pub use table::{FeedPage, FeedRange, FeedRecord, FeedRecords};
