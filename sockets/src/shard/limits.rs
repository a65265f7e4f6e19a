//! Times and sizes that bound what one client can take of a shard.

use std::time::Duration;

/// Time after the upgrade within which `connection_init` must arrive, as in the reference server of graphql-ws.
pub(super) const INIT_TIMEOUT: Duration = Duration::from_secs(3);

/// Time after which a client that takes no bytes is too slow. It resumes from its last position.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Pings in a row that a client may leave unanswered before it counts as gone.
pub(super) const MAX_PINGS_MISSED: u8 = 2;

/// Bytes that wait for a socket above which nothing more is read from its client.
pub(super) const MAX_UNREAD: usize = 64 << 10;
