//! Places for open connections: so many in all, and so many for one client.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::metrics::{Counters, Refusal};
use crate::settings::Caps;

/// Places of one listener. Clones are the same places.
#[derive(Clone)]
pub(crate) struct Slots(Arc<Inner>);

struct Inner {
    caps: Caps,
    counters: Counters,
    // Held for additions and map operations only, never across an await.
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// Place of one open connection. It becomes free when this guard is dropped, so whoever takes over the connection
/// must keep it for as long.
#[must_use = "the place becomes free when the guard is dropped"]
pub struct Slot {
    slots: Slots,
    client: Option<IpAddr>,
}

impl Slots {
    pub(crate) fn new(caps: Caps, counters: Counters) -> Self {
        Self(Arc::new(Inner {
            caps,
            counters,
            taken: Mutex::default(),
        }))
    }

    /// Takes a place for a connection of a client that is not known yet.
    pub(crate) fn take(&self) -> Result<Slot, Refusal> {
        let mut taken = self.0.taken.lock();
        if taken.all >= self.0.caps.connections {
            return Err(Refusal::Connections);
        }

        taken.all += 1;
        self.0.counters.open.inc();
        Ok(Slot {
            slots: self.clone(),
            client: None,
        })
    }
}

impl Slot {
    /// Counts the connection as one of this client, once.
    pub(crate) fn claim(&mut self, address: IpAddr) -> Result<(), Refusal> {
        let client = client_of(address);
        let inner = &self.slots.0;
        let mut taken = inner.taken.lock();

        let count = taken.by_client.get(&client).copied().unwrap_or(0);
        if count >= inner.caps.per_client {
            return Err(Refusal::Client);
        }
        taken.by_client.insert(client, count + 1);

        self.client = Some(client);
        Ok(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let inner = &self.slots.0;
        inner.counters.open.dec();

        let mut taken = inner.taken.lock();
        taken.all -= 1;
        let Some(client) = self.client else { return };

        // A client without connections leaves the map, which would otherwise grow with every address ever seen.
        if let Some(count) = taken.by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                taken.by_client.remove(&client);
            }
        }
    }
}

/// Returns what counts as one client: one subscriber usually holds all addresses of an IPv6 network of 64 bits.
fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = v6.to_bits() >> 64 << 64;
            Ipv6Addr::from_bits(network).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use backbone::telemetry::Metrics;

    use super::*;

    #[test]
    fn slot_counts_an_ipv6_network_of_64_bits_as_one_client() {
        let caps = Caps {
            connections: 9,
            per_client: 1,
        };
        let slots = Slots::new(caps, Counters::new(&Metrics::new()));
        let claim = |address: &str| {
            let mut slot = slots.take().unwrap();
            let claimed = slot.claim(address.parse().unwrap());
            claimed.map(|()| slot)
        };

        let first = claim("2001:db8:0:1::1").ok().unwrap();
        assert_eq!(claim("2001:db8:0:1:ffff::2").err(), Some(Refusal::Client));
        let _other_network = claim("2001:db8:0:2::1").ok().unwrap();

        // An IPv4 address counts by itself, also in its IPv6 form.
        let _v4 = claim("192.0.2.1").ok().unwrap();
        assert_eq!(claim("::ffff:192.0.2.1").err(), Some(Refusal::Client));
        let _other_v4 = claim("::ffff:192.0.2.2").ok().unwrap();

        drop(first);
        let _again = claim("2001:db8:0:1::3").ok().unwrap();
    }
}
