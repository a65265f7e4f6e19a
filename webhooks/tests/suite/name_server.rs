//! Name server for tests: DNS over UDP (RFC 1035) by hand, so that it can also fail, lie and stay
//! silent.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// Answer to the queries about a name.
pub(crate) enum DnsAnswer {
    /// These addresses, with a TTL of 0; an empty answer if there is none of the requested family.
    Addresses(Vec<IpAddr>),
    /// These addresses to a query for IPv4, and silence to one for IPv6.
    OnlyIpv4(Vec<IpAddr>),
    /// NXDOMAIN.
    NoSuchName,
    /// SERVFAIL.
    ServerFailure,
    /// No answer at all.
    Silence,
}

/// Name server on 127.0.0.1 that answers until it is dropped.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    _answering: JoinSet<()>,
}

/// Record type of an IPv4 address (RFC 1035, section 3.2.2).
const A: u16 = 1;
/// Record type of an IPv6 address (RFC 3596, section 2.1).
const AAAA: u16 = 28;

impl NameServer {
    /// Starts a server. The script gets a name, `.` for the root, and the number of earlier queries
    /// for its IPv4 addresses.
    pub(crate) async fn start(
        script: impl Fn(&str, usize) -> DnsAnswer + Send + Sync + 'static,
    ) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();

        let mut answering = JoinSet::new();
        answering.spawn(async move {
            let mut queries = HashMap::<String, usize>::new();
            let mut packet = [0; 1_500];
            loop {
                let (length, from) = socket.recv_from(&mut packet).await.unwrap();
                let (name, kind, end) = question(&packet[..length]);
                let before = queries.entry(name.clone()).or_default();
                let answer = script(&name, *before);
                *before += usize::from(kind == A);

                if let Some(answer) = encode(&packet[..end], kind, &answer) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });

        Self {
            address,
            _answering: answering,
        }
    }
}

/// Returns the name and the record type of a query, and the end of its question.
fn question(packet: &[u8]) -> (String, u16, usize) {
    // The question follows the header of 12 bytes: labels with their lengths, up to the empty one
    // of the root.
    let mut at = 12;
    let mut labels = Vec::new();
    while packet[at] != 0 {
        let next = at + 1 + usize::from(packet[at]);
        labels.push(
            std::str::from_utf8(&packet[at + 1..next])
                .unwrap()
                .to_lowercase(),
        );
        at = next;
    }

    let name = if labels.is_empty() {
        ".".to_owned()
    } else {
        labels.join(".")
    };
    let kind = u16::from_be_bytes([packet[at + 1], packet[at + 2]]);
    (name, kind, at + 5)
}

/// Encodes an answer to a query; `None` stands for silence.
fn encode(query: &[u8], kind: u16, answer: &DnsAnswer) -> Option<Vec<u8>> {
    let (code, addresses) = match answer {
        DnsAnswer::Addresses(addresses) => (0, &addresses[..]),
        DnsAnswer::OnlyIpv4(addresses) if kind == A => (0, &addresses[..]),
        DnsAnswer::ServerFailure => (2, &[][..]),
        DnsAnswer::NoSuchName => (3, &[][..]),
        DnsAnswer::OnlyIpv4(_) | DnsAnswer::Silence => return None,
    };

    let records: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|address| match address {
            IpAddr::V4(address) if kind == A => Some(address.octets().to_vec()),
            IpAddr::V6(address) if kind == AAAA => Some(address.octets().to_vec()),
            _ => None,
        })
        .collect();

    // The header says: a response with recursion available, one question, and this many answers.
    let counts = [0, 1, 0, u8::try_from(records.len()).unwrap(), 0, 0, 0, 0];
    let mut packet = [&query[..2], &[0x81, 0x80 | code], &counts, &query[12..]].concat();
    for address in records {
        // A pointer to the name in the question, then type, class IN, a TTL of 0 s, length and
        // address.
        packet.extend([0xc0, 12]);
        packet.extend(kind.to_be_bytes());
        packet.extend([0, 1, 0, 0, 0, 0, 0, u8::try_from(address.len()).unwrap()]);
        packet.extend(address);
    }

    Some(packet)
}
