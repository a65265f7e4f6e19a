//! Beginning of a connection: PROXY header, slot of the client, and TLS handshake.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Shared, canonical};
use crate::link::Link;
use crate::metrics::{Missed, Refusal};
use crate::peer::Peer;
use crate::proxy_header;
use crate::slots::Slot;
use crate::tls::Tls;

/// Reads the PROXY header and performs the TLS handshake, where they are due.
pub(super) async fn open(
    shared: &Shared,
    mut tcp: TcpStream,
    from: SocketAddr,
    mut slot: Slot,
) -> Result<(Link, Peer, Slot), String> {
    let mut address = from;
    if shared.settings.proxy_protocol && shared.is_proxy(from.ip()) {
        let client = announced_client(shared, &mut tcp).await?;
        if let Some(client) = client {
            slot.claim(client.ip()).map_err(|reason| {
                shared.counters.refuse(reason);
                format!("{client} has too many connections")
            })?;
            address = client;
        }
    }

    let encrypted = shared.tls.is_some();
    let link = match &shared.tls {
        Some(tls) => encrypt(shared, tls, tcp).await?,
        None => Link::Plain(tcp),
    };
    Ok((link, Peer { address, encrypted }, slot))
}

async fn announced_client(
    shared: &Shared,
    tcp: &mut TcpStream,
) -> Result<Option<SocketAddr>, String> {
    let limit = shared.settings.deadlines.proxy_header;
    match timeout(limit, proxy_header::read(tcp)).await {
        Ok(Ok(client)) => Ok(client.map(canonical)),
        Ok(Err(error)) => {
            if error.kind() == io::ErrorKind::InvalidData {
                shared.counters.refuse(Refusal::ProxyHeader);
            }
            Err(error.to_string())
        }
        Err(_elapsed) => {
            shared.counters.miss(Missed::ProxyHeader);
            Err("no PROXY header in time".to_owned())
        }
    }
}

async fn encrypt(shared: &Shared, tls: &Tls, tcp: TcpStream) -> Result<Link, String> {
    let limit = shared.settings.deadlines.tls_handshake;
    match timeout(limit, tls.acceptor().accept(tcp)).await {
        Ok(Ok(stream)) => Ok(Link::Tls(Box::new(stream))),
        Ok(Err(error)) => {
            shared.counters.refuse(Refusal::Tls);
            Err(error.to_string())
        }
        Err(_elapsed) => {
            shared.counters.miss(Missed::TlsHandshake);
            Err("no TLS handshake in time".to_owned())
        }
    }
}
