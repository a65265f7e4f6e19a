//! TCP ports of 127.0.0.1 that stay ours while their server is down.
//!
//! Refuses ports of the ephemeral range: there any outgoing connection may take the port between a kill and the
//! restart. A lock file per port keeps test processes that run side by side apart.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;

/// Below 32768, where Linux begins to give out ports by itself; few enough that their lock files are no litter.
const RANGE: std::ops::Range<u16> = 20_000..24_000;

/// A port nobody else of the kit uses until this value is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Finds a port that is free now and reserves it.
    ///
    /// # Panics
    /// When no port of 20000 to 23999 is free.
    pub fn reserve() -> Self {
        let probe = tempfile::tempfile()
            .and_then(|file| file.metadata())
            .expect("a temporary file can be made");
        // The folder is per user: another user's lock files could not be opened.
        let folder = std::env::temp_dir().join(format!("dealwire-ports-{}", probe.uid()));
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let count = usize::from(RANGE.end - RANGE.start);
        let first = random() as usize % count;
        for number in RANGE.cycle().skip(first).take(count) {
            let path = folder.join(number.to_string());
            let lock =
                File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self {
                    number,
                    _lock: lock,
                };
            }
        }
        panic!("no free port from {} to {}", RANGE.start, RANGE.end - 1)
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The port on 127.0.0.1.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// Chance for names and ports. It needs no seed: no test's outcome may depend on it.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
