//! Origin of a request: the network that it comes from, and the name that its client gives itself.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::http::{Extensions, HeaderMap};
use ipnet::IpNet;
use listener::Peer;
use serde_json::{Map, Value};

/// Names under which clients tell what they are, in headers and in the payload of `connection_init`. Apollo's clients use
/// the first, most others the second.
const CLIENT_NAMES: [&str; 2] = ["apollographql-client-name", "graphql-client-name"];

/// Longest name of a client that is taken note of, in bytes.
const MAX_CLIENT_NAME: usize = 64;

/// Origin of a request.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    network: Option<ClientNetwork>,
    client: Option<Arc<str>>,
}

/// Network that counts as one client without a key: an IPv4 address, or the IPv6 network of 64 bits that one subscriber usually
/// holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientNetwork(IpAddr);

impl Origin {
    /// Reads the origin of a request whose connection comes from `peer`. The header `X-Forwarded-For` counts only if that is
    /// one of the `trusted` proxies.
    pub fn of(headers: &HeaderMap, peer: Option<&Peer>, trusted: &[IpNet]) -> Self {
        let texts = |name: &&str| headers.get(*name)?.to_str().ok();

        Self {
            network: peer.and_then(|peer| network(headers, peer.address.ip(), trusted)),
            client: CLIENT_NAMES.iter().find_map(texts).and_then(client_name),
        }
    }

    /// Returns the origin that was noted in the extensions of a request.
    pub fn noted(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// Returns the origin with the name that the payload of a `connection_init` gives, if it gives one: browsers cannot set
    /// headers on a websocket.
    #[must_use]
    pub fn with_payload(mut self, payload: Option<&Map<String, Value>>) -> Self {
        let names = payload.into_iter().flatten().filter(|(name, _)| {
            let mut known = CLIENT_NAMES.iter();
            known.any(|known| known.eq_ignore_ascii_case(name))
        });
        let mut names = names.filter_map(|(_, value)| client_name(value.as_str()?));

        self.client = names.next().or(self.client);
        self
    }

    /// Network that the request comes from; `None` if it is that of a proxy which does not tell for whom it asks.
    pub fn network(&self) -> Option<ClientNetwork> {
        self.network
    }

    /// Name that the client gives itself.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }
}

impl ClientNetwork {
    /// Returns the network that counts as one client with an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                let network = v6.to_bits() >> 64 << 64;
                Self(Ipv6Addr::from_bits(network).into())
            }
            v4 => Self(v4),
        }
    }
}

/// Returns the network of the client behind the connection of an address.
fn network(headers: &HeaderMap, address: IpAddr, trusted: &[IpNet]) -> Option<ClientNetwork> {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&address) {
        return Some(ClientNetwork::of(address));
    }

    let lines = headers.get_all("x-forwarded-for").iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    let entries: Vec<&str> = lines.flat_map(|line| line.split(',')).collect();

    // From the end: each proxy appends the address that it was connected from, and what a client has made up stands before
    // it. The first address that is not a proxy's own is therefore the client's.
    for entry in entries.into_iter().rev() {
        let address = forwarded_address(entry.trim())?;
        if !is_trusted(&address) {
            return Some(ClientNetwork::of(address));
        }
    }

    None
}

/// Reads an entry of `X-Forwarded-For`: an address, with a port or without.
fn forwarded_address(entry: &str) -> Option<IpAddr> {
    let with_port = || entry.parse().ok().map(|address: SocketAddr| address.ip());
    let bracketed = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address: IpAddr = entry.parse().ok().or_else(with_port).or_else(bracketed)?;

    Some(address.to_canonical())
}

fn client_name(text: &str) -> Option<Arc<str>> {
    let name = text.trim();
    // Names become labels of metrics, in which quotation marks and backslashes would need care from every reader.
    let is_shown = |byte: u8| {
        matches!(byte, b' ') || (byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
    };
    let is_name = (1..=MAX_CLIENT_NAME).contains(&name.len()) && name.bytes().all(is_shown);

    is_name.then(|| name.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn origin(headers: &[(&'static str, &str)], peer: &str) -> Origin {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let peer = Peer {
            address: peer.parse().unwrap(),
            encrypted: false,
        };
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];

        Origin::of(&map, Some(&peer), &trusted)
    }

    #[test]
    fn origin_is_taken_from_trusted_proxies_only() {
        let rows: [(&[&str], &str, Option<&str>); 9] = [
            (&[], "192.0.2.1:5", Some("192.0.2.1")),
            // A client that is no proxy may say what it likes.
            (&["198.51.100.7"], "192.0.2.1:5", Some("192.0.2.1")),
            (&["198.51.100.7"], "10.0.0.1:5", Some("198.51.100.7")),
            (&["198.51.100.7:99"], "10.0.0.1:5", Some("198.51.100.7")),
            // What stands before the proxy's own entry is the client's invention.
            (
                &["203.0.113.9, 198.51.100.7"],
                "10.0.0.1:5",
                Some("198.51.100.7"),
            ),
            (
                &["203.0.113.9", "198.51.100.7, 10.0.0.2"],
                "10.0.0.1:5",
                Some("198.51.100.7"),
            ),
            (&["unknown"], "10.0.0.1:5", None),
            (&[], "10.0.0.1:5", None),
            (
                &["2001:db8:0:1:2::3"],
                "[fd00::1]:5",
                Some("2001:db8:0:1::"),
            ),
        ];

        for (lines, peer, expected) in rows {
            let headers: Vec<_> = lines
                .iter()
                .map(|line| ("x-forwarded-for", *line))
                .collect();
            let expected = expected.map(|text| ClientNetwork::of(text.parse().unwrap()));
            assert_eq!(
                origin(&headers, peer).network(),
                expected,
                "{lines:?} {peer}"
            );
        }
    }

    #[test]
    fn origin_has_the_name_of_the_client_if_it_is_one() {
        let long = "x".repeat(65);
        let rows: [(&'static str, &str, Option<&str>); 5] = [
            ("apollographql-client-name", "desk", Some("desk")),
            ("graphql-client-name", " job 7 ", Some("job 7")),
            ("graphql-client-name", "", None),
            ("graphql-client-name", &long, None),
            ("user-agent", "curl", None),
        ];
        for (header, value, expected) in rows {
            assert_eq!(origin(&[(header, value)], "192.0.2.1:5").client(), expected);
        }

        let payload = json!({ "GraphQL-Client-Name": "page", "x-api-key": "k" });
        let named = origin(&[("graphql-client-name", "desk")], "192.0.2.1:5");
        let named = named.with_payload(payload.as_object());
        assert_eq!(named.client(), Some("page"));
        assert_eq!(named.with_payload(None).client(), Some("page"));
    }
}
