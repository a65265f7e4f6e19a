//! Egress guard: which URLs and addresses may be called. It resolves no name and opens no
//! connection. Whoever connects has every address checked anew, because a name may lead elsewhere
//! by then.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

/// Longest URL that is accepted, both as written and as sent, in bytes.
pub const MAX_URL_BYTES: usize = 2_048;

/// Destinations that the operator permits. The default permits https only, to addresses that are
/// reachable over the public internet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// `true` permits plain http as well.
    pub allow_http: bool,
    /// Networks that are permitted even though they are not public.
    pub allow_nets: Vec<IpNet>,
}

/// Reason why a URL or an address may not be called, phrased to follow the name of the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// URL of more than [`MAX_URL_BYTES`].
    #[error("must be at most 2,048 bytes long, with escapes counted as they are sent")]
    TooLong,
    /// Text that is not an absolute URL.
    #[error("must be a valid absolute URL: {0}")]
    NotAUrl(#[from] url::ParseError),
    /// Scheme other than https, or than http where the operator permits it.
    #[error("must begin with https://")]
    Scheme,
    /// Host that no name server can know.
    #[error("must contain a valid host name")]
    Host,
    /// User name or password: secrets belong in the signature, and a host before an `@` misleads
    /// readers.
    #[error("must not contain a user name or password")]
    UserInfo,
    /// Port on which mail servers, shells and the like listen.
    #[error("must use port 443, 80 or one from 1024 up, not port {0}")]
    Port(u16),
    /// Address in a private or special network; the text names the kind.
    #[error("must not point to an address outside the public internet ({0})")]
    Address(&'static str),
}

impl Egress {
    /// Parses a URL and checks it as far as possible without resolving its host.
    ///
    /// # Errors
    /// The first rule that the URL violates.
    pub fn check_url(&self, text: &str) -> Result<Url, Refused> {
        if text.len() > MAX_URL_BYTES {
            return Err(Refused::TooLong);
        }
        let url = Url::parse(text)?;
        // Percent-encoding and Punycode make a URL longer than it was written.
        if url.as_str().len() > MAX_URL_BYTES {
            return Err(Refused::TooLong);
        }

        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            _ => return Err(Refused::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::UserInfo);
        }
        // Signed JSON is harmless to most servers on low ports but not to all: some protocols, such
        // as SMTP, skip lines they do not understand.
        let port = url.port_or_known_default().ok_or(Refused::Scheme)?;
        if !matches!(port, 443 | 80 | 1_024..) {
            return Err(Refused::Port(port));
        }

        match url.host() {
            // The parser has turned every spelling, such as 0x7f.1 or 2130706433, into an address.
            Some(Host::Ipv4(address)) => self.permits(address.into())?,
            Some(Host::Ipv6(address)) => self.permits(address.into())?,
            // The addresses of a name are checked when it is called.
            Some(Host::Domain(name)) if is_host_name(name) => {}
            Some(Host::Domain(_)) | None => return Err(Refused::Host),
        }
        Ok(url)
    }

    /// Checks whether an address may be called.
    ///
    /// # Errors
    /// [`Refused::Address`] with the kind of the address.
    pub fn permits(&self, address: IpAddr) -> Result<(), Refused> {
        if self.allow_nets.iter().any(|net| net.contains(&address)) {
            return Ok(());
        }

        match SPECIAL.iter().find(|(net, _)| net.contains(&address)) {
            Some((_, kind)) => Err(Refused::Address(kind)),
            None if address.is_ipv6() && !UNICAST.contains(&address) => {
                Err(Refused::Address("unassigned"))
            }
            None => Ok(()),
        }
    }
}

/// Returns whether a name fits into a DNS query (RFC 1035, section 2.3.4: labels of 1 to 63 bytes,
/// 253 in all) and has only letters, digits, hyphens and underscores.
fn is_host_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);

    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };

    name.len() <= 253 && name.split('.').all(is_label)
}

/// Global unicast space of IPv6 (RFC 4291, section 2.4). All other space is special or not assigned
/// yet.
const UNICAST: IpNet = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Networks that may not be called, with the kind that a refusal names: IANA's special-purpose
/// address registries (RFC 6890), without the few entries that are globally reachable, and the
/// address at which Azure serves secrets to its virtual machines.
// The first match names the kind, so a network comes before those that contain it. IPv6 addresses
// that embed an IPv4 address are refused whatever they embed. A NAT64 prefix of the operator's own
// network cannot be known here.
const SPECIAL: [(IpNet, &str); 34] = [
    (v4(0, 0, 0, 0, 8), "this network"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "carrier-grade NAT"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(168, 63, 129, 16, 32), "Azure platform"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "protocol assignments"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 88, 99, 0, 24), "6to4"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "benchmarking"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(255, 255, 255, 255, 32), "broadcast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "unspecified"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), "IPv4-compatible"),
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), "IPv4-mapped"),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), "IPv4-translated"),
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), "NAT64"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "NAT64"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "discard-only"),
    // Teredo, benchmarking, ORCHID and others.
    (
        v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
        "protocol assignments",
    ),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "documentation"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "6to4"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "documentation"),
    (v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), "segment routing"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "private"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "site-local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
];

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6(segments: [u16; 8], prefix: u8) -> IpNet {
    let [a, b, c, d, e, f, g, h] = segments;
    IpNet::V6(Ipv6Net::new_assert(
        Ipv6Addr::new(a, b, c, d, e, f, g, h),
        prefix,
    ))
}

#[cfg(test)]
mod tests;
