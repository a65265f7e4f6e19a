//! TCP listeners of the process: an accept loop with deadlines and caps, TLS, the PROXY protocol and HTTP framing.
//!
//! A [`Listener`] gives complete requests to a router and knows nothing of what they mean. No client can hold a
//! connection by sending or reading slowly: each stage has its own limit in [`Deadlines`]. After a protocol upgrade,
//! [`recover`] returns the bare connection, and from then on its owner is responsible for it.

mod accept;
mod connection;
mod exchange;
mod frames;
mod guarded;
mod link;
mod metrics;
mod peer;
mod proxy_header;
mod settings;
mod slots;
mod socket;
mod tls;
mod upgrade;
mod watch;

pub use accept::Listener;
pub use exchange::BodyError;
pub use link::Link;
pub use peer::Peer;
pub use settings::{Caps, Deadlines, Settings, TlsFiles};
pub use slots::Slot;
pub use upgrade::{Recovered, recover};
