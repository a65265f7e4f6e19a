//! Rules for requests of pages in browsers: which hosts a request may name, and of which origins its page may be.
//!
//! A page of any site can make its visitor's browser send requests to this server, also to one that only the visitor
//! can reach. Two headers that a page cannot set tell such requests: `Host` names the server as the page knows it, and
//! `Origin` (RFC 6454) names the page's own site.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::uri::Authority;
use url::Url;

/// Rules for requests of pages.
#[derive(Clone, Debug)]
pub struct BrowserRules {
    /// True if loopback names and addresses are accepted, and others only if they are listed.
    is_loopback: bool,
    hosts: Vec<Authority>,
    origins: Origins,
}

/// Origins whose pages may use the API, besides the server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// All.
    Any,
    /// These, none at all if the list is empty.
    These(Vec<String>),
}

impl BrowserRules {
    /// Builds the rules of a server. `is_loopback`: it can be reached from its own machine only. `hosts` have passed
    /// [`is_host`](Self::is_host), others are left out; `origins` have passed [`is_origin`](Self::is_origin).
    pub fn new(is_loopback: bool, hosts: Vec<String>, origins: Origins) -> Self {
        Self {
            is_loopback,
            hosts: hosts.iter().filter_map(|host| authority(host)).collect(),
            origins,
        }
    }

    /// Returns whether a text is a host, with or without a port.
    pub fn is_host(text: &str) -> bool {
        authority(text).is_some()
    }

    /// Returns whether a text is an origin as browsers write it: a scheme, a host and a port that is not the scheme's
    /// own.
    pub fn is_origin(text: &str) -> bool {
        let origin = Url::parse(text).map(|url| url.origin());

        origin.is_ok_and(|origin| origin.is_tuple() && origin.ascii_serialization() == text)
    }

    /// Origins whose pages may use the API, besides the server's own.
    pub fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Returns whether a request may name this host, with or without a port.
    pub fn accepts_host(&self, host: &str) -> bool {
        if !self.is_loopback && self.hosts.is_empty() {
            return true;
        }
        let Some(host) = authority(host) else {
            return false;
        };

        is_loopback(&host) || self.is_public(&host)
    }

    /// Returns whether a page of this origin may send requests that change something, and open websockets. `host` is the
    /// one that the request names.
    pub fn accepts_origin(&self, origin: &str, host: Option<&str>) -> bool {
        let is_listed = match &self.origins {
            Origins::Any => true,
            Origins::These(origins) => origins.iter().any(|it| it.eq_ignore_ascii_case(origin)),
        };
        if is_listed {
            return true;
        }

        // The scheme is not compared: behind a proxy that ends TLS it is not known. `null` has none.
        let Some((_, page)) = origin.split_once("://") else {
            return false;
        };
        let Some(page) = authority(page) else {
            return false;
        };
        let host = host.and_then(authority);

        // Of a host that the server is reached by: a proxy may have put another in the place of the client's.
        host.is_some_and(|host| is_same(&page, &host)) || self.is_public(&page)
    }

    fn is_public(&self, host: &Authority) -> bool {
        let accepts = |public: &Authority| match public.port_u16() {
            Some(_) => is_same(public, host),
            None => public.host().eq_ignore_ascii_case(host.host()),
        };

        self.hosts.iter().any(accepts)
    }
}

/// Parses a host with or without a port. Nothing else may be in the text, such as a user or a path.
fn authority(text: &str) -> Option<Authority> {
    let parsed: Authority = text.parse().ok()?;

    (!parsed.host().is_empty() && !text.contains('@')).then_some(parsed)
}

fn is_same(one: &Authority, other: &Authority) -> bool {
    one.host().eq_ignore_ascii_case(other.host()) && one.port_u16() == other.port_u16()
}

/// Returns whether a host is a name or an address of the machine itself (RFC 6761, section 6.3).
fn is_loopback(host: &Authority) -> bool {
    let name = host.host().to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    if name == "localhost" || name.ends_with(".localhost") {
        return true;
    }

    let address = name.trim_start_matches('[').trim_end_matches(']');
    match address.parse() {
        Ok(IpAddr::V4(address)) => Ipv4Addr::is_loopback(&address),
        Ok(IpAddr::V6(address)) => Ipv6Addr::is_loopback(&address),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(is_loopback: bool, hosts: &[&str], origins: &[&str]) -> BrowserRules {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();

        BrowserRules::new(is_loopback, texts(hosts), Origins::These(texts(origins)))
    }

    #[test]
    fn loopback_server_accepts_its_own_names_and_no_others() {
        let rules = rules(true, &["market.test"], &[]);

        for own in [
            "localhost",
            "LOCALHOST:8080",
            "app.localhost",
            "localhost.",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
            "market.test",
            "Market.Test:8443",
        ] {
            assert!(rules.accepts_host(own), "{own}");
        }
        for other in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.168.0.1",
            "market.test.evil",
            "user@localhost",
            "",
            "localhost/x",
            "notlocalhost",
        ] {
            assert!(!rules.accepts_host(other), "{other}");
        }
    }

    #[test]
    fn open_server_accepts_every_host_until_it_is_given_some() {
        assert!(rules(false, &[], &[]).accepts_host("anything.example"));

        let rules = rules(false, &["api.example.com", "other.example:8443"], &[]);
        assert!(rules.accepts_host("api.example.com"));
        assert!(rules.accepts_host("other.example:8443"));
        assert!(
            rules.accepts_host("127.0.0.1:8080"),
            "a check of the machine itself"
        );
        assert!(!rules.accepts_host("other.example"), "another port");
        assert!(!rules.accepts_host("anything.example"));
    }

    #[test]
    fn pages_of_the_server_and_of_listed_origins_are_accepted() {
        let rules = rules(true, &["market.test"], &["https://app.example.com"]);
        let accepts = |origin| rules.accepts_origin(origin, Some("127.0.0.1:8080"));

        assert!(accepts("http://127.0.0.1:8080"));
        assert!(accepts("https://app.example.com"));
        assert!(
            accepts("https://market.test"),
            "behind a proxy that names another host"
        );

        for other in [
            "http://127.0.0.1:8081",
            "http://127.0.0.1",
            "https://evil.example",
            "null",
            "",
            "https://app.example.com.evil",
            "http://app.example.com",
            "http://localhost:8080",
        ] {
            assert!(!accepts(other), "{other}");
        }
        assert!(!rules.accepts_origin("http://127.0.0.1:8080", None));
    }

    #[test]
    fn origins_are_written_as_browsers_do() {
        for good in ["https://app.example.com", "http://localhost:3000"] {
            assert!(BrowserRules::is_origin(good), "{good}");
        }
        for bad in [
            "app.example.com",
            "https://a.example/",
            "https://a.example:443",
            "null",
            "*",
        ] {
            assert!(!BrowserRules::is_origin(bad), "{bad}");
        }
        assert!(!BrowserRules::is_host("https://a.example"));
        assert!(!BrowserRules::is_host("a.example/path"));
    }
}
