//! A name server for tests: DNS over UDP by hand, so that it can also fail, lie and be silent.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// What is said of a name.
pub(crate) enum Says {
    /// These, for no longer than now; none when there is none of the kind that was asked for.
    Addresses(Vec<IpAddr>),
    /// These to a question for IPv4 addresses, and nothing at all to one for IPv6.
    Half(Vec<IpAddr>),
    /// NXDOMAIN.
    NoSuchName,
    /// SERVFAIL.
    Fails,
    /// Nothing at all.
    Nothing,
}

/// Answers on 127.0.0.1 until it is dropped.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    _answering: JoinSet<()>,
}

const A: u16 = 1;

impl NameServer {
    /// The script is asked with a name, `.` for the root, and how often its IPv4 addresses were asked for before.
    pub(crate) async fn start(
        script: impl Fn(&str, usize) -> Says + Send + Sync + 'static,
    ) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut answering = JoinSet::new();
        answering.spawn(async move {
            let (mut asked, mut packet) = (HashMap::<String, usize>::new(), [0; 1_500]);
            loop {
                let (length, from) = socket.recv_from(&mut packet).await.unwrap();
                let (name, kind, end) = question(&packet[..length]);
                let before = asked.entry(name.clone()).or_default();
                let says = script(&name, *before);
                *before += usize::from(kind == A);
                if let Some(answer) = answer(&packet[..end], kind, &says) {
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

/// The name and the type that are asked for, and where the question ends.
fn question(packet: &[u8]) -> (String, u16, usize) {
    let (mut at, mut labels) = (12, Vec::new());
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
    (
        name,
        u16::from_be_bytes([packet[at + 1], packet[at + 2]]),
        at + 5,
    )
}

fn answer(asked: &[u8], kind: u16, says: &Says) -> Option<Vec<u8>> {
    let (code, addresses) = match says {
        Says::Addresses(addresses) => (0, &addresses[..]),
        Says::Half(addresses) if kind == A => (0, &addresses[..]),
        Says::Fails => (2, &[][..]),
        Says::NoSuchName => (3, &[][..]),
        Says::Half(_) | Says::Nothing => return None,
    };
    let of_kind: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|address| match address {
            IpAddr::V4(address) if kind == A => Some(address.octets().to_vec()),
            IpAddr::V6(address) if kind == 28 => Some(address.octets().to_vec()),
            _ => None,
        })
        .collect();
    // An answer to one question, by one who may be asked about everything.
    let counts = [0, 1, 0, u8::try_from(of_kind.len()).unwrap(), 0, 0, 0, 0];
    let mut answer = [&asked[..2], &[0x81, 0x80 | code], &counts, &asked[12..]].concat();
    for address in of_kind {
        // Of the name in the question, of the class IN, for 0 s.
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 0, 0, u8::try_from(address.len()).unwrap()]);
        answer.extend(address);
    }
    Some(answer)
}
