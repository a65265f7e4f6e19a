//! Which URLs and addresses may be called. It resolves no name and dials nothing: whoever dials asks for every
//! address anew, since a name may lead elsewhere by then.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

/// The longest URL that is taken, as it is written and as it is sent, in bytes.
pub const MAX_URL_BYTES: usize = 2_048;

/// What an operator lets customers call. By default https alone, and only what the whole internet can reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// Whether plain http is taken too.
    pub allow_http: bool,
    /// Networks that may be called whatever else is said of them here.
    pub allow_nets: Vec<IpNet>,
}

/// Why a URL or an address may not be called, as it follows the name of what was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Over [`MAX_URL_BYTES`].
    #[error("is longer than 2,048 bytes")]
    TooLong,
    /// It cannot be read.
    #[error("is no URL: {0}")]
    NotAUrl(#[from] url::ParseError),
    /// Another scheme than https, or than http where that is let through.
    #[error("is not https")]
    Scheme,
    /// No name server has such a name.
    #[error("names no host")]
    Host,
    /// Secrets belong in the signature, and a host before an `@` misleads whoever reads it.
    #[error("holds a user name or a password")]
    UserInfo,
    /// Mail, shells and databases listen there.
    #[error("names port {0}: only 443, 80 and those from 1024 on are called")]
    Port(u16),
    /// It leads into somebody's own network.
    #[error("points to an address that is not called: {0}")]
    Address(&'static str),
}

impl Egress {
    /// Reads a URL and says whether it may be called, as far as that shows without resolving its host.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_url(&self, text: &str) -> Result<Url, Refused> {
        if text.len() > MAX_URL_BYTES {
            return Err(Refused::TooLong);
        }
        let url = Url::parse(text)?;
        // Escapes and Punycode make it longer.
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
        let port = url.port_or_known_default().ok_or(Refused::Scheme)?;
        if !matches!(port, 443 | 80 | 1_024..) {
            return Err(Refused::Port(port));
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.permits(address.into())?,
            Some(Host::Ipv6(address)) => self.permits(address.into())?,
            // Where it leads is judged when it is called.
            Some(Host::Domain(name)) if is_host_name(name) => {}
            Some(Host::Domain(_)) | None => return Err(Refused::Host),
        }
        Ok(url)
    }

    /// Whether this address may be dialled.
    ///
    /// # Errors
    /// What kind of address it is.
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

/// Letters, digits, hyphens and underscores in labels that fit a question to a name server.
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

/// What is routed over the internet. All other IPv6 space is special or not given out yet.
const UNICAST: IpNet = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// The special-purpose registries of IANA, without the few entries of them that anybody may call, and the address
/// at which Azure serves its virtual machines their secrets. IPv6 forms that carry an IPv4 address are refused
/// whatever they carry; a NAT64 prefix that is an operator's own cannot be known here.
const SPECIAL: [(IpNet, &str); 34] = [
    (v4(0, 0, 0, 0, 8), "this network"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "shared by carriers"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(168, 63, 129, 16, 32), "a cloud's platform"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "for protocols"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 88, 99, 0, 24), "6to4"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "benchmark"),
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
    // Teredo, benchmarks, ORCHID and more.
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "for protocols"),
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
