//! A client of graphql-transport-ws, from its messages up to a subscription that resumes.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async};

use super::DEADLINE;

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The gateway said with a code that it is over.
    Closed(u16),
    /// The gateway said to ask again later.
    Later,
    /// It broke, or there was nobody to connect to.
    Broken,
}

/// How much the system holds of what a socket has not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffer {
    /// As it likes.
    Usual,
    /// As little as it can.
    Narrow,
}

/// One socket.
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The position that the last ping told.
    told: Option<String>,
}

impl Socket {
    /// Connected, nothing said yet.
    pub(crate) async fn connect(url: &str, subprotocol: Option<&str>) -> Self {
        Self::try_connect(url, subprotocol, Buffer::Usual)
            .await
            .expect("the gateway upgrades")
    }

    async fn try_connect(url: &str, subprotocol: Option<&str>, buffer: Buffer) -> Option<Self> {
        let address = url
            .strip_prefix("http://")
            .expect("a URL of http")
            .parse()
            .expect("an address");
        let mut request = format!("ws://{address}/graphql")
            .into_client_request()
            .expect("a URL");
        if let Some(subprotocol) = subprotocol {
            let subprotocol = subprotocol.parse().expect("a header value");
            request
                .headers_mut()
                .insert("sec-websocket-protocol", subprotocol);
        }
        let connection = TcpSocket::new_v4().expect("a socket");
        if buffer == Buffer::Narrow {
            connection.set_recv_buffer_size(4096).expect("a size");
        }
        let connection = MaybeTlsStream::Plain(connection.connect(address).await.ok()?);
        let (stream, _) = client_async(request, connection).await.ok()?;
        Some(Self { stream, told: None })
    }

    /// As [`Socket::open`], with as small a buffer for what it does not read as the system has.
    pub(crate) async fn open_narrow(url: &str, key: &str) -> Self {
        Self::try_open(url, key, Buffer::Narrow)
            .await
            .expect("the gateway acknowledges")
    }

    /// Connected and acknowledged with a key.
    pub(crate) async fn open(url: &str, key: &str) -> Self {
        Self::try_open(url, key, Buffer::Usual)
            .await
            .expect("the gateway acknowledges")
    }

    /// As [`Socket::open`], or how that ended.
    pub(crate) async fn try_open(url: &str, key: &str, buffer: Buffer) -> Result<Self, End> {
        let socket = Self::try_connect(url, Some("graphql-transport-ws"), buffer).await;
        let mut socket = socket.ok_or(End::Broken)?;
        socket
            .try_send(json!({ "type": "connection_init", "payload": { "x-api-key": key } }))
            .await?;
        assert_eq!(
            socket.try_message().await?,
            json!({ "type": "connection_ack" })
        );
        Ok(socket)
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.send_raw(&message.to_string()).await;
    }

    pub(crate) async fn send_raw(&mut self, text: &str) {
        self.stream
            .send(Message::text(text))
            .await
            .expect("the socket is open");
    }

    async fn try_send(&mut self, message: Value) -> Result<(), End> {
        self.stream
            .send(Message::text(message.to_string()))
            .await
            .map_err(|_| End::Broken)
    }

    /// The next message that is no ping, or how the socket ended.
    pub(crate) async fn try_message(&mut self) -> Result<Value, End> {
        loop {
            let message = timeout(DEADLINE, self.stream.next())
                .await
                .expect("a message in time");
            match message {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).expect("JSON");
                    if message["type"] != "ping" {
                        return Ok(message);
                    }
                    if let Some(position) = message["payload"]["position"].as_str() {
                        self.told = Some(position.to_owned());
                    }
                    self.try_send(json!({ "type": "pong" })).await?;
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err(End::Closed(frame.code.into()));
                }
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Err(End::Broken),
                Some(Ok(other)) => panic!("unexpected {other:?}"),
            }
        }
    }

    /// The payload of the next ping, which is answered; null when it has none. What comes before it is passed over.
    pub(crate) async fn ping(&mut self) -> Value {
        loop {
            let message = timeout(DEADLINE, self.stream.next())
                .await
                .expect("a ping in time");
            let Some(Ok(Message::Text(text))) = message else {
                panic!("no ping but {message:?}")
            };
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
            match timeout(DEADLINE, self.stream.next())
                .await
                .expect("a close in time")
            {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(Message::Close(None)) | Err(_)) | None => {
                    panic!("the socket ended without a code")
                }
                Some(Ok(_)) => {}
            }
        }
    }

    /// Begins an operation.
    pub(crate) async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.send(json!({ "type": "subscribe", "id": id, "payload": payload }))
            .await;
    }
}

/// Everything about deals that tests look at.
pub(crate) const DEALS: &str = "subscription($after: Position) {
    dealChanged(after: $after) { type position changedFields deal { id sellerId name version status } } }";

/// One subscription on a socket of its own.
pub(crate) struct Subscription {
    socket: Socket,
    /// Where it stands: the position of the last change seen, or that a later ping told.
    pub(crate) position: Option<String>,
}

impl Subscription {
    /// `dealChanged`, after a position or from now on. "From now on" holds once this returns.
    pub(crate) async fn deals(url: &str, key: &str, after: Option<&str>) -> Self {
        Self::open(url, key, DEALS, json!({ "after": after })).await
    }

    /// An operation that has a variable `after`, or how that ended.
    pub(crate) async fn try_open(
        (url, key, buffer): (&str, &str, Buffer),
        query: &str,
        after: Option<&str>,
    ) -> Result<Self, End> {
        let mut socket = Socket::try_open(url, key, buffer).await?;
        let payload = json!({ "query": query, "variables": { "after": after } });
        socket
            .try_send(json!({ "type": "subscribe", "id": "1", "payload": payload }))
            .await?;
        Ok(Self {
            socket,
            position: after.map(str::to_owned),
        })
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

    /// The next change, or how the subscription ended.
    pub(crate) async fn try_next(&mut self) -> Result<Value, End> {
        loop {
            let message = self.socket.try_message().await;
            // A ping that tells a position comes after all the changes up to it.
            self.position = self.socket.told.take().or(self.position.take());
            let mut message = message?;
            if message["id"] == "begun" {
                continue;
            }
            if message["type"] == "error"
                && message["payload"][0]["extensions"]["retryable"] == true
            {
                return Err(End::Later);
            }
            assert_eq!(message["type"], "next", "{message}");
            let data = message["payload"]["data"].take();
            let Value::Object(data) = data else {
                panic!("no data in {message}")
            };
            let change = data.into_iter().next().expect("one root field").1;
            self.position = change["position"].as_str().map(str::to_owned);
            return Ok(change);
        }
    }
}
