//! The guard, spelling by spelling.

mod ranges;

use super::*;

const STRICT: Egress = Egress {
    allow_http: false,
    allow_nets: Vec::new(),
};
const WITH_HTTP: Egress = Egress {
    allow_http: true,
    allow_nets: Vec::new(),
};

fn kind_of(egress: &Egress, address: &str) -> &'static str {
    match egress.permits(address.parse().unwrap()) {
        Ok(()) => "",
        Err(Refused::Address(kind)) => kind,
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn ipv6_is_permitted_in_global_unicast_space_only() {
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
fn embedded_ipv4_addresses_are_refused_in_every_form() {
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
        (
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "protocol assignments",
        ),
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
fn permitted_networks_are_permitted_exactly() {
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
        // 127.0.0.0/8 does not cover the IPv4-mapped form.
        ("::ffff:127.0.0.1", "IPv4-mapped"),
    ] {
        assert_eq!((shut, kind_of(&egress, shut)), (shut, kind));
    }

    assert!(egress.check_url("https://127.0.0.1:8443/hook").is_ok());
    assert_eq!(
        egress.check_url("http://127.0.0.1/"),
        Err(Refused::Scheme),
        "a permitted network does not permit http"
    );
}

#[test]
fn addresses_are_recognised_in_every_spelling() {
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
}

#[test]
fn host_that_only_resembles_an_address_is_a_name_or_invalid() {
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
fn malformed_url_is_refused() {
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
fn scheme_must_be_https_unless_http_is_permitted() {
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

    // An `@` after the host does not begin a user name.
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
fn names_are_accepted_without_being_resolved() {
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
fn host_name_must_fit_a_dns_query() {
    let label = "x".repeat(63);
    let name = format!("{}.example", vec!["x".repeat(48); 5].join("."));
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
    let url = |length: usize, fill: &str| {
        let start = "https://hooks.example.com/";
        start.to_owned() + &fill.repeat((length - start.len()) / fill.len())
    };

    assert_eq!(url(2_048, "x").len(), 2_048);
    assert!(STRICT.check_url(&url(2_048, "x")).is_ok());
    assert_eq!(STRICT.check_url(&url(2_049, "x")), Err(Refused::TooLong));

    // Two bytes become six.
    assert_eq!(STRICT.check_url(&url(2_048, "é")), Err(Refused::TooLong));
    assert!(STRICT.check_url(&url(600, "é")).is_ok());
}

#[test]
fn refusals_say_what_is_required() {
    let refusal = |text: &str| STRICT.check_url(text).unwrap_err().to_string();
    assert_eq!(
        refusal("https://10.0.0.1/"),
        "must not point to an address outside the public internet (private)"
    );
    assert_eq!(
        refusal("https://example.com:25/"),
        "must use port 443, 80 or one from 1024 up, not port 25"
    );
    assert_eq!(
        refusal("example.com"),
        "must be a valid absolute URL: relative URL without a base"
    );
}
