//! The guard range by range, spelling by spelling.

use super::*;

const STRICT: Egress = Egress {
    allow_http: false,
    allow_nets: Vec::new(),
};
const WITH_HTTP: Egress = Egress {
    allow_http: true,
    allow_nets: Vec::new(),
};

/// What a range is, its first and its last address, and the neighbours outside with what they are ("" is what may be
/// called; - is the end of the address space).
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
        "shared by carriers",
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
        "a cloud's platform",
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
        "for protocols",
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
        "benchmark",
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
        "for protocols",
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

fn kind_of(egress: &Egress, address: &str) -> &'static str {
    match egress.permits(address.parse().unwrap()) {
        Ok(()) => "",
        Err(Refused::Address(kind)) => kind,
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn every_range_ends_where_it_ends() {
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
            // What is cut off from the range is a kind of its own.
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

#[test]
fn ipv6_is_called_where_it_is_given_out() {
    for (address, kind) in [
        ("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unassigned"),
        ("2000::", ""),
        ("2606:4700:4700::1111", ""),
        ("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""),
        ("4000::", "unassigned"),
    ] {
        assert_eq!((address, kind_of(&STRICT, address)), (address, kind));
    }
}

#[test]
fn every_form_that_carries_an_ipv4_address_is_refused_whatever_it_carries() {
    for (form, kind) in [
        ("::ffff:1.1.1.1", "IPv4-mapped"),
        ("::ffff:127.0.0.1", "IPv4-mapped"),
        ("::1.1.1.1", "IPv4-compatible"),
        ("::127.0.0.1", "IPv4-compatible"),
        ("::ffff:0:127.0.0.1", "IPv4-translated"),
        ("64:ff9b::1.1.1.1", "NAT64"),
        ("64:ff9b::169.254.169.254", "NAT64"),
        ("64:ff9b:1::10.0.0.1", "NAT64"),
        // 6to4 of 127.0.0.1 and of 1.1.1.1, Teredo with a server and a client in it.
        ("2002:7f00:1::", "6to4"),
        ("2002:101:101::1", "6to4"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "for protocols"),
    ] {
        assert_eq!((form, kind_of(&STRICT, form)), (form, kind));
        let url = format!("https://[{form}]/hook");
        assert_eq!(STRICT.check_url(&url), Err(Refused::Address(kind)), "{url}");
    }
}

#[test]
fn metadata_services_are_out_of_reach() {
    for address in [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "fd00:ec2::254",
        "fd20:ce::254",
    ] {
        assert_ne!(kind_of(&STRICT, address), "", "{address}");
    }
}

#[test]
fn networks_that_are_let_through_are_so_exactly() {
    let nets = ["127.0.0.0/8", "fd00::/8", "64:ff9b::/96"];
    let egress = Egress {
        allow_nets: nets.map(|net| net.parse().unwrap()).to_vec(),
        ..STRICT
    };
    for open in [
        "127.0.0.1",
        "127.255.255.255",
        "fd00::1",
        "64:ff9b::7f00:1",
        "1.1.1.1",
    ] {
        assert_eq!((open, kind_of(&egress, open)), (open, ""));
    }
    for (shut, kind) in [
        ("128.0.0.0", ""),
        ("10.0.0.1", "private"),
        ("fc00::1", "private"),
        ("::1", "loopback"),
        // It names no IPv4-mapped addresses.
        ("::ffff:127.0.0.1", "IPv4-mapped"),
    ] {
        assert_eq!((shut, kind_of(&egress, shut)), (shut, kind));
    }
    assert!(egress.check_url("https://127.0.0.1:8443/hook").is_ok());
    assert_eq!(
        egress.check_url("http://127.0.0.1/"),
        Err(Refused::Scheme),
        "a network is no scheme"
    );
}

#[test]
fn addresses_are_seen_through_every_spelling() {
    for spelling in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0X7F.0x0.0x0.0x1",
        "0177.0.0.1",
        "0177.1",
        "017700000001",
        "127.0.0.1.",
        "127.000.000.001",
        "127%2e0%2e0%2e1",
        "%31%32%37.0.0.1",
        "①②⑦.⓪.⓪.①",
        "１２７．０．０．１",
        "127。0。0。1",
        "127.0.0.\t1",
    ] {
        let url = format!("https://{spelling}/hook");
        assert_eq!(
            STRICT.check_url(&url),
            Err(Refused::Address("loopback")),
            "{url}"
        );
    }
    for (host, kind) in [
        ("0", "this network"),
        ("0.0.0.0", "this network"),
        ("10.1", "private"),
        ("0xa9fea9fe", "link-local"),
        ("2852039166", "link-local"),
        ("[::1]", "loopback"),
        ("[0:0:0:0:0:0:0:1]", "loopback"),
        ("[::]", "unspecified"),
        ("[::ffff:7f00:1]", "IPv4-mapped"),
        ("[0:0:0:0:0:FFFF:127.0.0.1]", "IPv4-mapped"),
        ("[fe80::1]", "link-local"),
    ] {
        let url = format!("https://{host}/hook");
        assert_eq!(STRICT.check_url(&url), Err(Refused::Address(kind)), "{url}");
    }
    // What only looks like such an address is a name, or nothing.
    for url in [
        "https://127.0.0.1.example.com/",
        "https://0x7f.example.com/",
        "https://2130706433.example/",
    ] {
        assert!(STRICT.check_url(url).is_ok(), "{url}");
    }
    for url in [
        "https://127.0.0.256/",
        "https://4294967296/",
        "https://1.2.3.4.5/",
        "https://0x100000000/",
    ] {
        assert!(
            matches!(STRICT.check_url(url), Err(Refused::NotAUrl(_))),
            "{url}"
        );
    }
}

#[test]
fn what_is_no_url_of_a_host_is_refused() {
    for text in [
        "",
        "hooks.example.com",
        "/hook",
        "//hooks.example.com/hook",
        "https://",
        "https:///",
        "https://:443/",
        "https://?x",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[::1/",
        "https://[1.1.1.1]/",
        "https://exa mple.com/",
        "https://exa%00mple.com/",
        "https://hooks.example.com:65536/",
        "https://hooks.example.com:https/",
        "https://xn--/",
    ] {
        assert!(
            matches!(STRICT.check_url(text), Err(Refused::NotAUrl(_))),
            "{text}"
        );
    }
}

#[test]
fn only_https_is_called_unless_http_is_let_through() {
    for text in [
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "gopher://hooks.example.com:6379/",
        "ws://hooks.example.com/",
        "unix:/run/docker.sock",
        "data:text/plain,x",
        "javascript:alert(1)",
    ] {
        assert_eq!(STRICT.check_url(text), Err(Refused::Scheme), "{text}");
        assert_eq!(WITH_HTTP.check_url(text), Err(Refused::Scheme), "{text}");
    }
    assert_eq!(
        STRICT.check_url("http://hooks.example.com/"),
        Err(Refused::Scheme)
    );
    assert!(WITH_HTTP.check_url("http://hooks.example.com/").is_ok());
    assert!(STRICT.check_url("HTTPS://hooks.example.com/").is_ok());
}

#[test]
fn user_info_is_refused() {
    for text in [
        "https://user@hooks.example.com/",
        "https://user:word@hooks.example.com/",
        "https://:word@hooks.example.com/",
        "https://hooks.example.com@127.0.0.1/",
        "https://hooks.example.com%40x@evil.example/",
        "https://a@b@hooks.example.com/",
    ] {
        assert_eq!(STRICT.check_url(text), Err(Refused::UserInfo), "{text}");
    }
    // An `@` after the host says nothing of a user.
    assert!(
        STRICT
            .check_url("https://hooks.example.com/@user?a@b#c@d")
            .is_ok()
    );
    // A backslash is a slash here as it is in browsers: the host ends before it.
    let url = STRICT
        .check_url("https://hooks.example.com\\@127.0.0.1/")
        .unwrap();
    assert_eq!(url.host_str(), Some("hooks.example.com"));
}

#[test]
fn ports_of_other_services_are_refused() {
    for port in [
        0, 1, 22, 25, 53, 79, 81, 110, 442, 444, 465, 587, 993, 1_023,
    ] {
        let text = format!("https://hooks.example.com:{port}/");
        assert_eq!(STRICT.check_url(&text), Err(Refused::Port(port)), "{text}");
    }
    for port in [80, 443, 1_024, 8_443, 65_535] {
        assert!(
            STRICT
                .check_url(&format!("https://hooks.example.com:{port}/"))
                .is_ok(),
            "{port}"
        );
        assert!(
            WITH_HTTP
                .check_url(&format!("http://hooks.example.com:{port}/"))
                .is_ok(),
            "{port}"
        );
    }
}

#[test]
fn names_are_left_to_whoever_resolves_them() {
    for (text, host) in [
        ("https://hooks.example.com/a?b=c", "hooks.example.com"),
        ("https://hooks.example.com./", "hooks.example.com."),
        ("https://HOOKS.Example.COM/", "hooks.example.com"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
        ("https://ｈｏｏｋｓ.example/", "hooks.example"),
        ("https://localhost:8443/", "localhost"),
        (
            "https://metadata.google.internal/",
            "metadata.google.internal",
        ),
    ] {
        assert_eq!(
            STRICT.check_url(text).unwrap().host_str(),
            Some(host),
            "{text}"
        );
    }
}

#[test]
fn a_name_must_be_one_that_can_be_asked_for() {
    let (label, name) = (
        "x".repeat(63),
        format!("{}.example", vec!["x".repeat(48); 5].join(".")),
    );
    assert_eq!(name.len(), 252);
    for host in [
        &*label,
        &format!("{label}.example"),
        &name,
        &format!("{name}a"),
        "a_b.example",
        "-.example",
    ] {
        assert!(
            STRICT.check_url(&format!("https://{host}/")).is_ok(),
            "{host}"
        );
    }
    for host in [
        &*format!("x{label}.example"),
        &format!("{name}ab"),
        "a..example",
        ".example",
        "example..",
        ".",
        "a\"b.example",
        "a*b.example",
        "a'b.example",
        "{a}.example",
        "a,b.example",
        "a~b.example",
    ] {
        assert_eq!(
            STRICT.check_url(&format!("https://{host}/")),
            Err(Refused::Host),
            "{host}"
        );
    }
}

#[test]
fn length_is_bounded_as_written_and_as_sent() {
    let of = |length: usize, fill: &str| {
        let start = "https://hooks.example.com/";
        start.to_owned() + &fill.repeat((length - start.len()) / fill.len())
    };
    assert_eq!(of(2_048, "x").len(), 2_048);
    assert!(STRICT.check_url(&of(2_048, "x")).is_ok());
    assert_eq!(STRICT.check_url(&of(2_049, "x")), Err(Refused::TooLong));
    // Two bytes become six.
    assert_eq!(STRICT.check_url(&of(2_048, "é")), Err(Refused::TooLong));
    assert!(STRICT.check_url(&of(600, "é")).is_ok());
}

#[test]
fn a_refusal_reads_as_what_is_wrong() {
    let told = |text: &str| STRICT.check_url(text).unwrap_err().to_string();
    assert_eq!(
        told("https://10.0.0.1/"),
        "points to an address that is not called: private"
    );
    assert_eq!(
        told("https://example.com:25/"),
        "names port 25: only 443, 80 and those from 1024 on are called"
    );
    assert_eq!(
        told("example.com"),
        "is no URL: relative URL without a base"
    );
}
