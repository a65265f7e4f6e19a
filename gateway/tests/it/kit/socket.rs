//! A client of graphql-transport-ws, from its messages up to a subscription that resumes.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

use super::DEADLINE;

/// One socket.
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Connected, nothing said yet.
    pub(crate) async fn connect(url: &str, subprotocol: Option<&str>) -> Self {
        Self::try_connect(url, subprotocol).await.expect("the gateway upgrades")
    }

    async fn try_connect(url: &str, subprotocol: Option<&str>) -> Option<Self> {
        let url = format!("{}/graphql", url.replacen("http", "ws", 1));
        let mut request = url.into_client_request().expect("a URL");
        if let Some(subprotocol) = subprotocol {
            let subprotocol = subprotocol.parse().expect("a header value");
            request.headers_mut().insert("sec-websocket-protocol", subprotocol);
        }
        let (stream, _) = connect_async(request).await.ok()?;
        Some(Self { stream })
    }

    /// As [`Socket::open`], with as small a buffer for what it does not read as the system has.
    pub(crate) async fn open_narrow(url: &str, key: &str) -> Self {
        let address = url.strip_prefix("http://").expect("a URL of http").parse().expect("an address");
        let connection = TcpSocket::new_v4().expect("a socket");
        connection.set_recv_buffer_size(4096).expect("a size");
        let connection =
            MaybeTlsStream::Plain(connection.connect(address).await.expect("the gateway is there"));
        let mut request =
            format!("{}/graphql", url.replacen("http", "ws", 1)).into_client_request().expect("a URL");
        let subprotocol = "graphql-transport-ws".parse().expect("a header value");
        request.headers_mut().insert("sec-websocket-protocol", subprotocol);
        let (stream, _) = client_async(request, connection).await.expect("the gateway upgrades");
        let mut socket = Self { stream };
        socket.send(json!({ "type": "connection_init", "payload": { "x-api-key": key } })).await;
        assert_eq!(socket.message().await, json!({ "type": "connection_ack" }));
        socket
    }

    /// Connected and acknowledged with a key.
    pub(crate) async fn open(url: &str, key: &str) -> Self {
        Self::try_open(url, key).await.expect("the gateway acknowledges")
    }

    /// As [`Socket::open`]; `None` when the gateway is not there, or ends the socket.
    pub(crate) async fn try_open(url: &str, key: &str) -> Option<Self> {
        let mut socket = Self::try_connect(url, Some("graphql-transport-ws")).await?;
        let init = json!({ "type": "connection_init", "payload": { "x-api-key": key } });
        socket.stream.send(Message::text(init.to_string())).await.ok()?;
        (socket.try_message().await? == json!({ "type": "connection_ack" })).then_some(socket)
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.send_raw(&message.to_string()).await;
    }

    pub(crate) async fn send_raw(&mut self, text: &str) {
        self.stream.send(Message::text(text)).await.expect("the socket is open");
    }

    /// The next message that is no ping; `None` when the socket has ended.
    pub(crate) async fn try_message(&mut self) -> Option<Value> {
        loop {
            let message = timeout(DEADLINE, self.stream.next()).await.expect("a message in time");
            match message {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).expect("JSON");
                    if message["type"] == "ping" {
                        self.stream.send(Message::text(r#"{"type":"pong"}"#)).await.ok()?;
                        continue;
                    }
                    return Some(message);
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(other)) => panic!("unexpected {other:?}"),
            }
        }
    }

    /// The payload of the next ping, which is answered; null when it has none. What comes before it is passed over.
    pub(crate) async fn ping(&mut self) -> Value {
        loop {
            let message = timeout(DEADLINE, self.stream.next()).await.expect("a ping in time");
            let Some(Ok(Message::Text(text))) = message else { panic!("no ping but {message:?}") };
            let mut message: Value = serde_json::from_str(&text).expect("JSON");
            if message["type"] == "ping" {
                self.send(json!({ "type": "pong" })).await;
                return message["payload"].take();
            }
        }
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> Value {
        self.try_message().await.expect("the socket is open")
    }

    /// Reads on until the gateway closes, and with what code.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match timeout(DEADLINE, self.stream.next()).await.expect("a close in time") {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(Message::Close(None)) | Err(_)) | None => panic!("the socket ended without a code"),
                Some(Ok(_)) => {}
            }
        }
    }

    /// Begins an operation.
    pub(crate) async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.send(json!({ "type": "subscribe", "id": id, "payload": payload })).await;
    }
}

const DEALS: &str = "subscription($after: Position) {
    dealChanged(after: $after) { type position changedFields deal { id sellerId name version status } } }";

/// One subscription on a socket of its own.
pub(crate) struct Subscription {
    socket: Socket,
    /// Where it stands: the position of the last change seen.
    pub(crate) position: Option<String>,
}

impl Subscription {
    /// `dealChanged`, after a position or from now on. "From now on" holds once this returns.
    pub(crate) async fn deals(url: &str, key: &str, after: Option<&str>) -> Self {
        Self::open(url, key, DEALS, json!({ "after": after })).await
    }

    /// As [`Subscription::deals`]; `None` when the gateway is not there, or ends the socket.
    pub(crate) async fn try_deals(url: &str, key: &str, after: Option<&str>) -> Option<Self> {
        let mut socket = Socket::try_open(url, key).await?;
        let payload = json!({ "query": DEALS, "variables": { "after": after } });
        let subscribe = json!({ "type": "subscribe", "id": "1", "payload": payload });
        socket.stream.send(Message::text(subscribe.to_string())).await.ok()?;
        Some(Self { socket, position: after.map(str::to_owned) })
    }

    pub(crate) async fn open(url: &str, key: &str, query: &str, variables: Value) -> Self {
        let mut socket = Socket::open(url, key).await;
        let position = variables["after"].as_str().map(str::to_owned);
        socket.subscribe("1", query, variables).await;
        // The protocol does not acknowledge a subscription. Messages of one socket are taken in order, so the answer
        // to a query that comes after it tells that it has begun.
        socket.subscribe("begun", "{ __typename }", json!({})).await;
        let mut subscription = Self { socket, position };
        if subscription.position.is_none() {
            subscription.await_beginning().await;
        }
        subscription
    }

    async fn await_beginning(&mut self) {
        loop {
            let message = self.socket.message().await;
            if message["id"] == "begun" && message["type"] == "complete" {
                return;
            }
        }
    }

    /// The next change: the root field's value.
    pub(crate) async fn next(&mut self) -> Value {
        self.try_next().await.expect("the socket is open")
    }

    /// The next change; `None` when the socket has ended, or the gateway says to come again.
    pub(crate) async fn try_next(&mut self) -> Option<Value> {
        loop {
            let mut message = self.socket.try_message().await?;
            if message["id"] == "begun" {
                continue;
            }
            if message["type"] == "error" && message["payload"][0]["extensions"]["retryable"] == true {
                return None;
            }
            assert_eq!(message["type"], "next", "{message}");
            let data = message["payload"]["data"].take();
            let Value::Object(data) = data else { panic!("no data in {message}") };
            let change = data.into_iter().next().expect("one root field").1;
            self.position = change["position"].as_str().map(str::to_owned);
            return Some(change);
        }
    }
}
