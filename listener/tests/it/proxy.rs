//! Headers of the PROXY protocol.

use listener::Settings;
use tokio::net::TcpStream;

use crate::kit::{Client, Pair, Server, tls_client};

const REQUEST: &str = "GET /peer HTTP/1.1\r\nhost: a\r\n\r\n";

fn behind(proxy: &str) -> Settings {
    Settings {
        proxy_protocol: true,
        trusted_proxies: vec![proxy.parse().unwrap()],
        ..Settings::default()
    }
}

/// Header of version 2 with this command and family, and what follows.
fn binary(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, family]);
    header.extend(length);
    header.extend_from_slice(payload);
    header
}

/// Header of version 2 for 192.0.2.7:4660, with fields that the proxy adds.
fn binary_v4() -> Vec<u8> {
    let addresses = [192, 0, 2, 7, 192, 0, 2, 99, 0x12, 0x34, 0, 80];
    let field = [0xEA, 0, 3, 1, 2, 3];
    binary(1, 0x11, &[&addresses[..], &field].concat())
}

async fn peer(server: &Server, header: &[u8]) -> (Client<TcpStream>, String) {
    let stream = server.connect().await;
    let own = stream.local_addr().unwrap().to_string();
    let mut client = Client::new(stream);
    client.send([header, REQUEST.as_bytes()].concat()).await;
    (client, own)
}

#[tokio::test(flavor = "multi_thread")]
async fn header_of_a_trusted_proxy_tells_the_client() {
    let server = Server::start(behind("127.0.0.1/32"));
    let text = b"PROXY TCP4 192.0.2.7 192.0.2.99 4660 80\r\n";
    let text_v6 = b"PROXY TCP6 2001:db8::7 2001:db8::9 4660 80\r\n";
    let mut addresses = vec![0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    addresses.extend([0; 16]);
    addresses.extend([0x12, 0x34, 0, 80]);

    for (header, client) in [
        (text.to_vec(), "192.0.2.7:4660"),
        (text_v6.to_vec(), "[2001:db8::7]:4660"),
        (binary_v4(), "192.0.2.7:4660"),
        (binary(1, 0x21, &addresses), "[2001:db8::7]:4660"),
    ] {
        let (mut connection, _) = peer(&server, &header).await;
        connection
            .expect(&format!("\r\n\r\n{client} encrypted: false"))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn header_without_a_client_keeps_the_address_of_the_socket() {
    let server = Server::start(behind("127.0.0.1/32"));
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(),
        binary(0, 0, b""),
        binary(0, 0x11, &[0; 12]),
    ] {
        let (mut connection, own) = peer(&server, &header).await;
        connection
            .expect(&format!("\r\n\r\n{own} encrypted: false"))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn header_may_arrive_in_any_number_of_packets() {
    let server = Server::start(behind("127.0.0.1/32"));
    let text = b"PROXY TCP4 192.0.2.7 192.0.2.99 4660 80\r\n".to_vec();
    for header in [text, binary_v4()] {
        let mut client = Client::new(server.connect().await);
        for byte in header {
            client.send([byte]).await;
            // Without Nagle's algorithm each write is a packet, and the other task reads it before the next one.
            client.stream.set_nodelay(true).unwrap();
            tokio::task::yield_now().await;
        }
        client.send(REQUEST).await;
        client.expect("192.0.2.7:4660 encrypted: false").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_of_a_trusted_proxy_without_a_proper_header_is_closed() {
    let server = Server::start(behind("127.0.0.1/32"));
    let cases = [
        REQUEST.as_bytes().to_vec(),
        b"PROXY\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.700 192.0.2.99 4660 80\r\n".to_vec(),
        b"PROXY TCP4 2001:db8::7 2001:db8::9 4660 80\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 192.0.2.99 466000 80\r\n".to_vec(),
        b"PROXY TCP5 192.0.2.7 192.0.2.99 4660 80\r\n".to_vec(),
        [
            b"PROXY UNKNOWN ".to_vec(),
            vec![b'a'; 200],
            b"\r\n".to_vec(),
        ]
        .concat(),
        binary(7, 0x11, &[0; 12]),
        binary(1, 0x11, &[0; 3]),
        binary(1, 0x21, &[0; 12]),
        binary(1, 0x11, &[0; 2_000]),
    ];

    for (number, case) in (1..).zip(cases) {
        let (mut connection, _) = peer(&server, &case).await;
        let received = connection.end().await;
        assert_eq!(received, b"", "{}", String::from_utf8_lossy(&case));
        let count = format!("connections_refused_total{{reason=\"proxy_header\"}} {number}");
        server.measures(&count).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn header_of_anybody_else_is_not_http() {
    let untrusting = Server::start(behind("192.0.2.0/24"));
    let switched_off = Server::start(Settings {
        proxy_protocol: false,
        ..behind("127.0.0.1/32")
    });

    for server in [untrusting, switched_off] {
        for header in [
            b"PROXY TCP4 192.0.2.7 192.0.2.99 4660 80\r\n".to_vec(),
            binary_v4(),
        ] {
            let (mut connection, _) = peer(&server, &header).await;
            let received = String::from_utf8(connection.end().await).unwrap();
            assert!(received.starts_with("HTTP/1.1 400 "), "{received}");
        }
        // Without the header the client is the socket.
        let (mut connection, own) = peer(&server, b"").await;
        connection.expect(&format!("{own} encrypted: false")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn header_comes_before_tls() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::new();
    let server = Server::start(Settings {
        tls: Some(pair.write(folder.path())),
        ..behind("127.0.0.1/32")
    });

    let mut proxied = Client::new(server.connect().await);
    proxied.send(binary_v4()).await;
    let client = tls_client(proxied.stream, &pair.certificate, &[]).await;
    let mut client = Client::new(client.unwrap());
    client.send(REQUEST).await;
    client.expect("192.0.2.7:4660 encrypted: true").await;
}
