//! Compressed websockets (permessage-deflate), with a client that is written out here: the test's other client does not
//! compress.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::{BUYER_KEY, SELLER_KEY, Socket, TestApp, on_both};

on_both!(compressed_results_are_those_of_everybody);

const CHANGES: &str = "subscription ($after: Position) { dealChanged(after: $after) { type position deal { id name } } }";

/// End of a message's last block, which a sender leaves out (RFC 7692, section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Websocket of a client that offered compression.
struct Compressed {
    stream: TcpStream,
    /// Value of `Sec-WebSocket-Extensions` in the answer.
    extensions: Option<String>,
}

impl Compressed {
    async fn connect(app: &TestApp) -> Self {
        let mut stream = TcpStream::connect(app.app.address())
            .await
            .expect("the gateway accepts");
        stream
            .write_all(
                b"GET /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                  sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                  sec-websocket-protocol: graphql-transport-ws\r\n\
                  sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
            )
            .await
            .expect("the gateway reads");

        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a response"));
        }
        let head = String::from_utf8(head).expect("a head of text");
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        // The answer to that key in RFC 6455, section 1.3.
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");

        let extensions = head
            .lines()
            .find_map(|line| line.strip_prefix("sec-websocket-extensions: "));
        Self {
            extensions: extensions.map(str::to_owned),
            stream,
        }
    }

    /// Sends a message, compressed or not. The mask is all zeros.
    async fn send(&mut self, message: Value, compressed: bool) {
        let mut payload = message.to_string().into_bytes();
        if compressed {
            let mut blocks = Vec::with_capacity(payload.len() + 100);
            Compress::new(Compression::default(), false)
                .compress_vec(&payload, &mut blocks, FlushCompress::Sync)
                .expect("there is room");
            payload = blocks
                .strip_suffix(&TAIL)
                .expect("a flush ends with an empty block")
                .to_vec();
        }

        let length = u16::try_from(payload.len()).expect("a short message");
        let first = if compressed { 0xc1 } else { 0x81 };
        let mut frame = vec![first, 0x80 | 126];
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(&payload);
        self.stream
            .write_all(&frame)
            .await
            .expect("the gateway reads");
    }

    /// Returns the next message, and whether it was compressed.
    async fn message(&mut self) -> (Value, bool) {
        let first = self.stream.read_u8().await.expect("a frame");
        let length = match self.stream.read_u8().await.expect("a length") {
            126 => self.stream.read_u16().await.expect("a length").into(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.stream
            .read_exact(&mut payload)
            .await
            .expect("a payload");

        let is_compressed = first & 0x40 != 0;
        if is_compressed {
            payload.extend_from_slice(&TAIL);
            let mut text = Vec::with_capacity(1 << 16);
            Decompress::new(false)
                .decompress_vec(&payload, &mut text, FlushDecompress::Sync)
                .expect("valid blocks");
            payload = text;
        }
        let message = serde_json::from_slice(&payload).expect("a message is JSON");
        (message, is_compressed)
    }
}

async fn compressed_results_are_those_of_everybody(app: TestApp) {
    let plain = Compressed::connect(&app).await;
    assert_eq!(plain.extensions, None, "it is off by default");
    drop(plain);

    let app = app.restarted_with(|config| config.compression = true).await;
    let seller = app.client(SELLER_KEY);
    let before = seller.create("before").await["position"].clone();
    for number in 0..3 {
        seller.create(&format!("deal {number}")).await;
    }

    let mut compressed = Compressed::connect(&app).await;
    let agreed = compressed
        .extensions
        .clone()
        .expect("the offer is accepted");
    assert!(agreed.contains("server_no_context_takeover"), "{agreed}");
    let init = json!({ "type": "connection_init", "payload": { "x-api-key": BUYER_KEY } });
    compressed.send(init, false).await;
    assert_eq!(compressed.message().await.0["type"], "connection_ack");

    let payload = json!({ "query": CHANGES, "variables": { "after": before } });
    let subscribe = json!({ "type": "subscribe", "id": "a \"name\"", "payload": payload });
    compressed.send(subscribe, true).await;
    let mut plain: Socket = app.socket(BUYER_KEY).await;
    plain
        .subscribe("1", CHANGES, json!({ "after": before }))
        .await;

    for _ in 0..3 {
        let (message, is_compressed) = compressed.message().await;
        assert!(is_compressed);
        assert_eq!(message["id"], "a \"name\"");
        assert_eq!(message["payload"], plain.message().await["payload"]);
    }
    app.stop().await;
}
