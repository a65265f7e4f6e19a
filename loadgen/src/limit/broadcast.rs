//! The same bytes to every websocket, one after the other, from one task.
//!
//! The first connection is plain: every line that comes over it goes out as a text to every websocket.

use futures_util::SinkExt;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::ready;
use crate::Failed;

pub(super) async fn serve(listener: TcpListener, port: u16) -> Result<(), Failed> {
    ready(port);
    let (control, _) = listener.accept().await?;
    let (opened, sockets) = mpsc::unbounded_channel();
    tokio::spawn(broadcast(control, sockets));
    loop {
        let (stream, _) = listener.accept().await?;
        let opened = opened.clone();
        tokio::spawn(async move {
            if let Some(socket) = accept(stream).await {
                let _ended = opened.send(socket);
            }
        });
    }
}

async fn accept(stream: TcpStream) -> Option<WebSocketStream<TcpStream>> {
    stream.set_nodelay(true).ok()?;
    let config = WebSocketConfig::default().read_buffer_size(4 << 10);
    #[expect(clippy::result_large_err, reason = "the library's signature")]
    let subprotocol = |_: &Request, mut response: Response| {
        let spoken = HeaderValue::from_static("graphql-transport-ws");
        response
            .headers_mut()
            .insert("sec-websocket-protocol", spoken);
        Ok(response)
    };
    accept_hdr_async_with_config(stream, subprotocol, Some(config))
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
        while let Ok(socket) = opened.try_recv() {
            sockets.push(socket);
        }
        let text = Utf8Bytes::from(line);
        for socket in &mut sockets {
            let _gone = socket.send(Message::Text(text.clone())).await;
        }
    }
}
