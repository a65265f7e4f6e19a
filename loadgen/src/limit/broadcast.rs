//! Limit of pushes: the same bytes to every websocket, one after the other, from one task.
//!
//! The first connection is the control connection, plain TCP: each line that arrives on it goes out
//! to every websocket as a text message.

use futures_util::SinkExt;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::announce_port;
use crate::error::BoxError;

/// Size of a websocket's read buffer, in bytes. Clients only send a handshake; the library's
/// default of 128 KiB would make the idle limit look worse than a bare socket needs to be.
const READ_BUFFER: usize = 4 << 10;

pub(super) async fn serve(listener: TcpListener, port: u16) -> Result<(), BoxError> {
    announce_port(port);
    let (control, _) = listener.accept().await?;

    // Unbounded, because it holds at most the sockets that the test itself opens.
    let (opened, sockets) = mpsc::unbounded_channel();
    tokio::spawn(broadcast(control, sockets));

    loop {
        let (stream, _) = listener.accept().await?;
        let opened = opened.clone();

        tokio::spawn(async move {
            if let Some(socket) = accept(stream).await {
                // The receiver is gone once the control connection has closed: the run is over
                // then.
                let _over = opened.send(socket);
            }
        });
    }
}

async fn accept(stream: TcpStream) -> Option<WebSocketStream<TcpStream>> {
    stream.set_nodelay(true).ok()?;

    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
    #[expect(
        clippy::result_large_err,
        reason = "the library prescribes the callback's signature"
    )]
    let select_subprotocol = |_: &Request, mut response: Response| {
        response.headers_mut().insert(
            "sec-websocket-protocol",
            HeaderValue::from_static("graphql-transport-ws"),
        );
        Ok(response)
    };

    accept_hdr_async_with_config(stream, select_subprotocol, Some(config))
        .await
        .ok()
}

async fn broadcast(
    control: TcpStream,
    mut opened: mpsc::UnboundedReceiver<WebSocketStream<TcpStream>>,
) {
    let mut lines = BufReader::new(control).lines();
    let mut sockets = Vec::new();

    while let Ok(Some(line)) = lines.next_line().await {
        // All sockets are opened before the first line is sent, so looking between lines is enough.
        while let Ok(socket) = opened.try_recv() {
            sockets.push(socket);
        }

        let text = Utf8Bytes::from(line);
        for socket in &mut sockets {
            // A lost socket shows up as missing changes at the client, which reports it.
            let _lost = socket.send(Message::Text(text.clone())).await;
        }
    }
}
