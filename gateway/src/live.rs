//! The live engine: the newest part of the feed in memory, kept whole whatever the live bus loses, and the
//! subscribers that read it from their positions.
//!
//! Whoever subscribes is a position ([`subscriber`]), not a queue. Rendering is shared ([`shape`]). Transports are
//! not known here.

mod access_book;
mod feed;
mod history;
mod interest;
mod keeper;
mod rendered;
mod ring;
pub mod shape;
mod sight;
pub mod subscriber;

pub use feed::Feed;
pub use keeper::keep;
pub use sight::{Kind, Subject, Viewer};
pub use subscriber::{Subscriber, Subscription, Update, Updates};

/// A place among changes: sequence, and index within the event.
pub type Place = (u64, u16);
