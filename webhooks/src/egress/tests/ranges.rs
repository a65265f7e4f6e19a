//! The guard, range by range: the exact bounds of every special network.

use super::*;

#[test]
fn special_ranges_end_at_their_exact_bounds() {
    for (kind, first, last, before, after) in RANGES {
        assert_eq!((first, kind_of(&STRICT, first)), (first, kind));
        assert_eq!((last, kind_of(&STRICT, last)), (last, kind));

        for [neighbour, kind] in [before, after] {
            if neighbour != "-" {
                assert_eq!((neighbour, kind_of(&STRICT, neighbour)), (neighbour, kind));
            }
        }
    }

    for (net, kind) in SPECIAL {
        let last = match net.broadcast() {
            // The last address of 240.0.0.0/4 is the broadcast address, which is a kind of its own.
            last if net.prefix_len() == 4 && last == IpAddr::from([255; 4]) => {
                IpAddr::from([255, 255, 255, 254])
            }
            last => last,
        };
        let shown = RANGES
            .iter()
            .any(|range| range.0 == kind && range.2.parse() == Ok(last));
        assert!(shown, "{net} is missing above");
    }
}

/// Range: its kind, first and last address, and the neighbours before and after it with their
/// kinds. An empty kind means permitted; `-` is the end of the address space.
type Range = (
    &'static str,
    &'static str,
    &'static str,
    [&'static str; 2],
    [&'static str; 2],
);

const RANGES: [Range; 34] = [
    (
        "this network",
        "0.0.0.0",
        "0.255.255.255",
        ["-", ""],
        ["1.0.0.0", ""],
    ),
    (
        "private",
        "10.0.0.0",
        "10.255.255.255",
        ["9.255.255.255", ""],
        ["11.0.0.0", ""],
    ),
    (
        "carrier-grade NAT",
        "100.64.0.0",
        "100.127.255.255",
        ["100.63.255.255", ""],
        ["100.128.0.0", ""],
    ),
    (
        "loopback",
        "127.0.0.0",
        "127.255.255.255",
        ["126.255.255.255", ""],
        ["128.0.0.0", ""],
    ),
    (
        "Azure platform",
        "168.63.129.16",
        "168.63.129.16",
        ["168.63.129.15", ""],
        ["168.63.129.17", ""],
    ),
    (
        "link-local",
        "169.254.0.0",
        "169.254.255.255",
        ["169.253.255.255", ""],
        ["169.255.0.0", ""],
    ),
    (
        "private",
        "172.16.0.0",
        "172.31.255.255",
        ["172.15.255.255", ""],
        ["172.32.0.0", ""],
    ),
    (
        "protocol assignments",
        "192.0.0.0",
        "192.0.0.255",
        ["191.255.255.255", ""],
        ["192.0.1.0", ""],
    ),
    (
        "documentation",
        "192.0.2.0",
        "192.0.2.255",
        ["192.0.1.255", ""],
        ["192.0.3.0", ""],
    ),
    (
        "6to4",
        "192.88.99.0",
        "192.88.99.255",
        ["192.88.98.255", ""],
        ["192.88.100.0", ""],
    ),
    (
        "private",
        "192.168.0.0",
        "192.168.255.255",
        ["192.167.255.255", ""],
        ["192.169.0.0", ""],
    ),
    (
        "benchmarking",
        "198.18.0.0",
        "198.19.255.255",
        ["198.17.255.255", ""],
        ["198.20.0.0", ""],
    ),
    (
        "documentation",
        "198.51.100.0",
        "198.51.100.255",
        ["198.51.99.255", ""],
        ["198.51.101.0", ""],
    ),
    (
        "documentation",
        "203.0.113.0",
        "203.0.113.255",
        ["203.0.112.255", ""],
        ["203.0.114.0", ""],
    ),
    (
        "multicast",
        "224.0.0.0",
        "239.255.255.255",
        ["223.255.255.255", ""],
        ["240.0.0.0", "reserved"],
    ),
    (
        "reserved",
        "240.0.0.0",
        "255.255.255.254",
        ["239.255.255.255", "multicast"],
        ["255.255.255.255", "broadcast"],
    ),
    (
        "broadcast",
        "255.255.255.255",
        "255.255.255.255",
        ["255.255.255.254", "reserved"],
        ["-", ""],
    ),
    ("unspecified", "::", "::", ["-", ""], ["::1", "loopback"]),
    (
        "loopback",
        "::1",
        "::1",
        ["::", "unspecified"],
        ["::2", "IPv4-compatible"],
    ),
    (
        "IPv4-compatible",
        "::2",
        "::ffff:ffff",
        ["::1", "loopback"],
        ["::1:0:0", "unassigned"],
    ),
    (
        "IPv4-mapped",
        "::ffff:0:0",
        "::ffff:ffff:ffff",
        ["::fffe:ffff:ffff", "unassigned"],
        ["::1:0:0:0", "unassigned"],
    ),
    (
        "IPv4-translated",
        "::ffff:0:0:0",
        "::ffff:0:ffff:ffff",
        ["::fffe:ffff:ffff:ffff", "unassigned"],
        ["::ffff:1:0:0", "unassigned"],
    ),
    (
        "NAT64",
        "64:ff9b::",
        "64:ff9b::ffff:ffff",
        ["64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", "unassigned"],
        ["64:ff9b::1:0:0", "unassigned"],
    ),
    (
        "NAT64",
        "64:ff9b:1::",
        "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
        ["64:ff9b:0:ffff:ffff:ffff:ffff:ffff", "unassigned"],
        ["64:ff9b:2::", "unassigned"],
    ),
    (
        "discard-only",
        "100::",
        "100::ffff:ffff:ffff:ffff",
        ["ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unassigned"],
        ["100:0:0:1::", "unassigned"],
    ),
    (
        "protocol assignments",
        "2001::",
        "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
        ["2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""],
        ["2001:200::", ""],
    ),
    (
        "documentation",
        "2001:db8::",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        ["2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", ""],
        ["2001:db9::", ""],
    ),
    (
        "6to4",
        "2002::",
        "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ["2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""],
        ["2003::", ""],
    ),
    (
        "documentation",
        "3fff::",
        "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
        ["3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""],
        ["3fff:1000::", ""],
    ),
    (
        "segment routing",
        "5f00::",
        "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ["5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unassigned"],
        ["5f01::", "unassigned"],
    ),
    (
        "private",
        "fc00::",
        "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ["fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unassigned"],
        ["fe00::", "unassigned"],
    ),
    (
        "link-local",
        "fe80::",
        "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ["fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unassigned"],
        ["fec0::", "site-local"],
    ),
    (
        "site-local",
        "fec0::",
        "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ["febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local"],
        ["ff00::", "multicast"],
    ),
    (
        "multicast",
        "ff00::",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ["feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local"],
        ["-", ""],
    ),
];
