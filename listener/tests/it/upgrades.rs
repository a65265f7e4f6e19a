//! Connections that speak another protocol after a request.

use listener::{Caps, Link, Recovered, Settings};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::kit::{Client, Pair, SHORT, Server, tls_client};

const UPGRADE: &str =
    "GET /upgrade HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: test\r\n\r\n";

/// Upgrades with early bytes in the same packet, and speaks in both directions.
async fn upgrade<S>(server: &mut Server, client: &mut Client<S>) -> Recovered
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    client.send([UPGRADE, "early"].concat()).await;
    client.expect("HTTP/1.1 101 ").await;
    client.expect("\r\n\r\n").await;
    let mut recovered = server.upgraded().await;
    assert_eq!(&recovered.read[..], b"early");

    client.send("late").await;
    let mut late = [0; 4];
    recovered.link.read_exact(&mut late).await.unwrap();
    assert_eq!(&late, b"late");
    recovered.link.write_all(b"answer").await.unwrap();
    recovered.link.flush().await.unwrap();
    client.expect("answer").await;
    recovered
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_returns_the_bare_link_and_what_was_read() {
    let mut server = Server::start(Settings::default());
    let mut client = Client::new(server.connect().await);
    let recovered = upgrade(&mut server, &mut client).await;
    assert!(matches!(recovered.link, Link::Plain(_)));
    let own = client.stream.local_addr().unwrap();
    assert_eq!(recovered.link.tcp().peer_addr().unwrap(), own);
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_over_tls_returns_the_bare_link_and_what_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::new();
    let mut server = Server::start(Settings {
        tls: Some(pair.write(folder.path())),
        ..Settings::default()
    });
    let stream = tls_client(server.connect().await, &pair.certificate, &[]).await;
    let mut client = Client::new(stream.unwrap());
    let recovered = upgrade(&mut server, &mut client).await;
    assert!(matches!(recovered.link, Link::Tls(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn upgraded_connection_keeps_its_slot_and_returns_it() {
    let mut server = Server::start(Settings {
        caps: Caps {
            connections: 1,
            per_client: 1,
        },
        ..Settings::default()
    });
    let mut client = Client::new(server.connect().await);
    let recovered = upgrade(&mut server, &mut client).await;
    let Recovered { link, slot, .. } = recovered;
    assert_eq!(Client::new(server.connect().await).end().await, b"");

    drop(link);
    assert_eq!(Client::new(server.connect().await).end().await, b"");
    drop(slot);
    server.answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upgraded_connection_has_no_deadlines_and_survives_the_shutdown() {
    let mut settings = Settings {
        grace: SHORT,
        ..Settings::default()
    };
    settings.deadlines.request_head = SHORT;
    settings.deadlines.idle = SHORT;
    settings.deadlines.write = SHORT;
    let mut server = Server::start(settings);
    let mut client = Client::new(server.connect().await);
    let mut recovered = upgrade(&mut server, &mut client).await;

    server.stopping.cancel();
    server.ends_within(crate::kit::PATIENCE).await;

    // A write that waits for longer than the write deadline goes on when the client reads.
    let bytes = vec![b'x'; 16 << 20];
    let mut write = std::pin::pin!(recovered.link.write_all(&bytes));
    let stuck = tokio::time::timeout(SHORT * 3, &mut write).await;
    assert!(stuck.is_err(), "{stuck:?}");
    let mut received = vec![0; bytes.len()];
    let (written, read) = tokio::join!(write, client.stream.read_exact(&mut received));
    written.unwrap();
    read.unwrap();
}
