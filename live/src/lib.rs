//! The live engine: the newest part of the feed in memory, kept complete whatever the live bus loses, and the
//! subscribers that read it from their positions.
//!
//! A subscriber ([`subscriber`]) is a position, not a queue. Renderings are shared by selection ([`selection`]), and the
//! function that renders is handed in: the crate depends on neither GraphQL nor a transport.
//!
//! Read next: `wakeups.rs` for the wake-up protocol, `feed.rs` for the ring and what lies behind it, `feed_sync.rs` for
//! the task that keeps the ring complete.

mod access_cache;
mod backlog;
mod error;
mod feed;
mod feed_sync;
mod liveness;
mod reads;
mod render_cache;
mod ring;
pub mod selection;
pub mod subscriber;
mod views;
mod visibility;
mod wakeups;

pub use error::{ReadError, SubscribeError};
pub use feed::Feed;
pub use feed_sync::run as run_feed_sync;
pub use reads::Reads;
pub use render_cache::SelectionKey;
pub use selection::{PushedChange, RenderMetrics, Selection};
pub use subscriber::{Subscriber, Subscription, Update, Updates};
pub use views::ViewSettings;
pub use visibility::{ChangeFilter, ChangeKind, Viewer};
