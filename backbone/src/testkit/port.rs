//! TCP ports of 127.0.0.1 that stay reserved while their server is down.
//!
//! The ports are outside the ephemeral range, in which any outgoing connection may take a port
//! between a kill and the restart. A lock file for each port keeps concurrent test processes apart.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;

/// Ports below 32768, from which Linux assigns ephemeral ports; few enough for a lock file each.
const RANGE: std::ops::Range<u16> = 20_000..24_000;

/// A port that no other user of the kit gets until this value is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Finds a port that is free now and reserves it.
    ///
    /// # Panics
    /// If no port from 20000 to 23999 is free.
    pub fn reserve() -> Self {
        let probe = tempfile::tempfile()
            .and_then(|file| file.metadata())
            .expect("a temporary file can be created");

        // One directory for each user, since another user's lock files cannot be opened.
        let folder = std::env::temp_dir().join(format!("dealwire-ports-{}", probe.uid()));
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));

        // Starting at a random port keeps concurrent processes from trying the same ones in turn.
        let count = usize::from(RANGE.end - RANGE.start);
        let first = random() as usize % count;
        for number in RANGE.cycle().skip(first).take(count) {
            let path = folder.join(number.to_string());
            let lock =
                File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            // A stranger may listen on the port without a lock, so it must also be free to bind.
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self {
                    number,
                    _lock: lock,
                };
            }
        }

        panic!(
            "no free port from {} to {}: end other test runs on this machine",
            RANGE.start,
            RANGE.end - 1
        )
    }

    /// Returns the port's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Returns the port's address on 127.0.0.1.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// Returns a random number for names and ports. It has no seed, since no test's outcome may depend
/// on it.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
