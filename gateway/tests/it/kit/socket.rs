//! Client of graphql-transport-ws, from single messages to a subscription that resumes.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async};

use super::{DEADLINE, Told};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The gateway closed the connection with this code.
    Closed(u16),
    /// The gateway refused for now: a retryable error, or the status 503.
    Later,
    /// The connection broke, or could not be opened.
    Broken,
}

/// Size of the system's buffer for what a socket has received and not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffer {
    /// The system's default.
    Default,
    /// The smallest that the system allows, so that a client that stops reading blocks the gateway
    /// soon.
    Small,
}

/// Websocket to a gateway.
pub(crate) struct Socket {
    /// Text of the newest message that is not a ping.
    newest: String,
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Position in the newest ping that had one, until a subscription takes it.
    pinged_position: Option<String>,
}

impl Socket {
    /// Connects with a subprotocol, and sends nothing yet.
    pub(crate) async fn connect(url: &str, subprotocol: Option<&str>) -> Self {
        Self::try_connect(url, subprotocol, Buffer::Default)
            .await
            .expect("the gateway upgrades")
    }

    async fn try_connect(url: &str, subprotocol: Option<&str>, buffer: Buffer) -> Option<Self> {
        let address = url
            .strip_prefix("http://")
            .expect("the URL begins with http://")
            .parse()
            .expect("the URL has a socket address");

        let mut request = format!("ws://{address}/graphql")
            .into_client_request()
            .expect("the URL is valid");
        if let Some(subprotocol) = subprotocol {
            let subprotocol = subprotocol.parse().expect("a subprotocol is ASCII");
            request
                .headers_mut()
                .insert("sec-websocket-protocol", subprotocol);
        }

        let connection = TcpSocket::new_v4().expect("a socket can be created");
        if buffer == Buffer::Small {
            // Before connecting: afterwards, the window has been negotiated from the default size.
            connection
                .set_recv_buffer_size(4096)
                .expect("the system raises a size that is too small");
        }
        let connection = MaybeTlsStream::Plain(connection.connect(address).await.ok()?);
        let (stream, _) = client_async(request, connection).await.ok()?;

        Some(Self {
            newest: String::new(),
            stream,
            pinged_position: None,
        })
    }

    /// Opens an acknowledged socket with an API key, like [`Socket::open`], but with the smallest
    /// buffer.
    pub(crate) async fn open_with_small_buffer(url: &str, key: &str) -> Self {
        Self::try_open(url, key, Buffer::Small)
            .await
            .expect("the gateway acknowledges")
    }

    /// Opens a socket with an API key, and waits for the acknowledgement.
    pub(crate) async fn open(url: &str, key: &str) -> Self {
        Self::try_open(url, key, Buffer::Default)
            .await
            .expect("the gateway acknowledges")
    }

    /// Opens a socket with an API key, or returns how the attempt ended.
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

    /// Sends a message.
    pub(crate) async fn send(&mut self, message: Value) {
        self.send_raw(&message.to_string()).await;
    }

    /// Sends a text frame, which need not be a message of the protocol.
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

    /// Returns the next message that is not a ping, or how the socket ended. Answers pings.
    pub(crate) async fn try_message(&mut self) -> Result<Value, End> {
        loop {
            let message = timeout(DEADLINE, self.stream.next())
                .await
                .expect("a message arrives in time");

            match message {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).expect("the message is JSON");
                    if message["type"] != "ping" {
                        self.newest = text.as_str().to_owned();
                        return Ok(message);
                    }

                    // Stored before the answer, which fails if the gateway has closed meanwhile.
                    if let Some(position) = message["payload"]["position"].as_str() {
                        self.pinged_position = Some(position.to_owned());
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

    /// Waits for the next ping, answers it and returns its payload, or null if it has none. Skips
    /// the messages before it.
    pub(crate) async fn ping(&mut self) -> Value {
        loop {
            let message = timeout(DEADLINE, self.stream.next())
                .await
                .expect("a ping arrives in time");
            let Some(Ok(Message::Text(text))) = message else {
                panic!("expected a ping, got {message:?}")
            };

            let mut message: Value = serde_json::from_str(&text).expect("the message is JSON");
            if message["type"] == "ping" {
                self.send(json!({ "type": "pong" })).await;
                return message["payload"].take();
            }
        }
    }

    /// Returns the next message that is not a ping.
    pub(crate) async fn message(&mut self) -> Value {
        self.try_message().await.expect("the socket is open")
    }

    /// Reads until the gateway closes the socket, and returns the close code. Does not answer
    /// pings.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match timeout(DEADLINE, self.stream.next())
                .await
                .expect("the gateway closes in time")
            {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(Message::Close(None)) | Err(_)) | None => {
                    panic!("the socket ended without a code")
                }
                Some(Ok(_)) => {}
            }
        }
    }

    /// Sends a close frame with this code, and returns how the socket ended.
    pub(crate) async fn close(&mut self, code: u16) -> End {
        let frame = CloseFrame {
            code: code.into(),
            reason: "".into(),
        };
        self.stream
            .send(Message::Close(Some(frame)))
            .await
            .expect("the socket is open");

        self.try_message().await.expect_err("nothing else is sent")
    }

    /// Begins an operation.
    pub(crate) async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });

        self.send(json!({ "type": "subscribe", "id": id, "payload": payload }))
            .await;
    }
}

/// Subscription to changes of deals with every field that tests compare.
const DEALS: &str = "subscription($after: Position) {
    dealChanged(after: $after) { type position changedFields deal { id sellerId name version status } } }";

/// Subscription on a socket of its own.
pub(crate) struct Subscription {
    socket: Socket,
    /// Position to resume from: that of the last change, or of a later ping.
    pub(crate) position: Option<String>,
}

impl Subscription {
    /// Subscribes to `dealChanged`, after a position or from now on. "From now on" holds once this
    /// returns.
    pub(crate) async fn deals(url: &str, key: &str, after: Option<&str>) -> Self {
        Self::open(url, key, DEALS, json!({ "after": after })).await
    }

    /// Starts a subscription that has a variable `after`, or returns how the attempt ended.
    pub(crate) async fn try_open(
        (url, key, buffer): (&str, &str, Buffer),
        query: &str,
        variables: Value,
    ) -> Result<Self, End> {
        let mut socket = Socket::try_open(url, key, buffer).await?;
        let position = variables["after"].as_str().map(str::to_owned);

        let payload = json!({ "query": query, "variables": variables });
        socket
            .try_send(json!({ "type": "subscribe", "id": "1", "payload": payload }))
            .await?;

        Ok(Self { socket, position })
    }

    /// Starts a subscription. Without a variable `after`, returns once it has begun.
    pub(crate) async fn open(url: &str, key: &str, query: &str, variables: Value) -> Self {
        let mut socket = Socket::open(url, key).await;
        let position = variables["after"].as_str().map(str::to_owned);

        // The protocol does not acknowledge a subscription. The gateway takes the messages of a
        // socket in order, so the answer to a query sent after it shows that it has begun.
        socket.subscribe("1", query, variables).await;
        socket.subscribe("begun", "{ __typename }", json!({})).await;

        let mut subscription = Self { socket, position };
        if subscription.position.is_none() {
            subscription.wait_until_begun().await;
        }
        subscription
    }

    async fn wait_until_begun(&mut self) {
        loop {
            let message = self.socket.message().await;
            if message["id"] == "begun" && message["type"] == "complete" {
                return;
            }
        }
    }

    /// Returns the next change, which is the value of the root field.
    pub(crate) async fn next(&mut self) -> Value {
        self.try_next().await.expect("the socket is open").change
    }

    /// Returns the next change, or how the subscription ended.
    pub(crate) async fn try_next(&mut self) -> Result<Told, End> {
        loop {
            let message = self.socket.try_message().await;
            // Before an error is returned: a ping with a position comes after all the changes up to
            // it, so a subscription that broke since may resume from there.
            self.position = self.socket.pinged_position.take().or(self.position.take());

            let message = message?;
            if message["id"] == "begun" {
                continue;
            }
            if message["type"] == "error"
                && message["payload"][0]["extensions"]["retryable"] == true
            {
                return Err(End::Later);
            }
            assert_eq!(message["type"], "next", "{message}");
            assert!(message["payload"]["data"].is_object(), "{message}");

            let told = Told::of_message(&self.socket.newest);
            self.position = told.change["position"].as_str().map(str::to_owned);

            return Ok(told);
        }
    }
}
