//! Receiver of webhook calls: a server that answers calls, or leaves them without an answer, and
//! logs their arrival.
//!
//! HTTP/1.1 with persistent connections, and no more of it than a sender of webhooks uses, so that
//! the receiver takes little CPU time from the server under test. It verifies no signatures.

mod call_log;

pub(super) use call_log::Call;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use uuid::Uuid;

use self::call_log::CallLog;
use crate::client::{header, read_head};
use crate::error::BoxError;
use crate::scenario::subscribers::Marker;

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// Capacity that a connection's buffer starts with, in bytes: more than a call for a deal with two
/// items.
const BUFFER: usize = 4 << 10;

/// Behaviour of an endpoint when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Answers with 204 at once.
    Answers,
    /// Reads the call and never answers.
    Hangs,
    /// Refuses the connection, since no server listens on its port.
    Refuses,
}

/// Server with one endpoint at each of the paths `/0`, `/1` and so on. Dropping it closes all
/// connections.
pub(super) struct Receiver {
    log: Arc<CallLog>,
    address: SocketAddr,
    refusing: RefusingPort,
    _server: JoinSet<()>,
}

/// Port on which every connection is refused. The socket is bound, so that no other program can
/// take the port, and does not listen.
struct RefusingPort {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl Receiver {
    /// Starts a server with one endpoint for each of the behaviours. The run starts here.
    pub(super) async fn start(behaviours: &[Behaviour]) -> Result<Self, BoxError> {
        // Port 0 lets the system choose a free port, so several runs can share a machine.
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let log = Arc::new(CallLog::start(behaviours));

        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&log)));

        Ok(Self {
            log,
            address,
            refusing: RefusingPort::bind()?,
            _server: server,
        })
    }

    /// Returns the start of the run.
    pub(super) fn started(&self) -> Instant {
        self.log.started()
    }

    /// Returns the URL of an endpoint.
    pub(super) fn url(&self, number: usize) -> String {
        let address = match self.log.behaviour(number) {
            Behaviour::Refuses => self.refusing.address,
            Behaviour::Answers | Behaviour::Hangs => self.address,
        };
        format!("http://{address}/{number}")
    }

    /// Returns the number of deliveries answered so far, repeated ones included.
    pub(super) fn answered(&self) -> u64 {
        self.log.answered()
    }

    /// Returns the number of calls so far that were not the delivery of a change with a marker.
    pub(super) fn unrecognised(&self) -> u64 {
        self.log.unrecognised()
    }

    /// Returns the calls to each answering endpoint, in the order of their arrival.
    pub(super) fn calls(&self) -> Vec<Vec<Call>> {
        self.log.calls_to_answering()
    }
}

impl RefusingPort {
    fn bind() -> Result<Self, BoxError> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;

        Ok(Self {
            address: socket.local_addr()?,
            _socket: socket,
        })
    }
}

async fn serve(listener: TcpListener, log: Arc<CallLog>) {
    // The set owns the connections, so that all of them are closed with the server. Joining those
    // that have ended keeps it from growing.
    let mut connections = JoinSet::new();

    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(serve_connection(stream, Arc::clone(&log)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one call after the other, until the caller closes the connection or sends what this
/// server does not understand.
async fn serve_connection(mut stream: TcpStream, log: Arc<CallLog>) -> Result<(), BoxError> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut hint = 0;

    loop {
        let body_at = read_head(&mut stream, &mut buffer).await?;
        let head = std::str::from_utf8(&buffer[..body_at])?;
        let endpoint = endpoint_number(head)?;

        // A call with an unusual id is answered and counted as unrecognised, as its sender could do
        // nothing about an error.
        let id: Option<Uuid> = header(head, "webhook-id").and_then(|id| id.parse().ok());
        let length: usize = header(head, "content-length").unwrap_or("0").parse()?;

        let end = body_at + length;
        while buffer.len() < end {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let marker = Marker::find(&buffer[body_at..end], &mut hint);

        // The call is logged before it is answered: the answer is what lets the dispatcher count it
        // as delivered, and the two numbers are compared.
        if log.record(endpoint, id, marker)? == Behaviour::Hangs {
            return Ok(wait_until_closed(&mut stream).await?);
        }

        stream.write_all(ANSWER).await?;

        // The next call may have arrived with this one: what follows the body stays in the buffer.
        buffer.drain(..end);
    }
}

/// Returns the number of the endpoint that a request calls.
fn endpoint_number(head: &str) -> Result<usize, BoxError> {
    let number = head
        .split(' ')
        .nth(1)
        .and_then(|path| path.strip_prefix('/'));
    Ok(number.ok_or("a webhook call has no path")?.parse()?)
}

async fn wait_until_closed(stream: &mut TcpStream) -> io::Result<()> {
    let mut ignored = [0; 256];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::yield_now;
    use uuid::Uuid;

    use super::{ANSWER, Behaviour, Marker, Receiver};

    const ID: Uuid = Uuid::from_u128(7);

    /// Returns a call to an endpoint, with a name in its body.
    fn call(endpoint: usize, name: &str) -> Vec<u8> {
        let body = format!(r#"{{"name":"{name}"}}"#);
        let length = body.len();
        format!(
            "POST /{endpoint} HTTP/1.1\r\nWebhook-Id: {ID}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .into()
    }

    async fn connected() -> (Receiver, TcpStream) {
        let behaviours = [Behaviour::Answers, Behaviour::Hangs, Behaviour::Refuses];
        let receiver = Receiver::start(&behaviours)
            .await
            .expect("there are free ports");
        let stream = TcpStream::connect(receiver.address)
            .await
            .expect("the receiver listens");
        (receiver, stream)
    }

    #[tokio::test]
    async fn receiver_answers_and_logs_deliveries() {
        let (receiver, mut stream) = connected().await;
        let name = Marker::text(3, receiver.started());
        let mut answer = [0; ANSWER.len()];

        for call in [call(0, "no marker"), call(0, &name)] {
            let (first, rest) = call.split_at(call.len() - 4);
            for part in [first, rest] {
                stream
                    .write_all(part)
                    .await
                    .expect("the connection is kept");
            }
            stream
                .read_exact(&mut answer)
                .await
                .expect("the receiver answers");
            assert_eq!(answer, ANSWER);
        }

        let [calls] = receiver
            .calls()
            .try_into()
            .expect("one endpoint of the three answers");
        let [arrived] = calls[..] else {
            panic!("one of the two calls is a delivery: {calls:?}")
        };
        assert_eq!((arrived.id, arrived.number), (ID, 3));
        assert!(arrived.made_micros <= arrived.arrived_micros);
        assert_eq!((receiver.answered(), receiver.unrecognised()), (1, 1));
    }

    #[tokio::test]
    async fn receiver_never_answers_calls_to_hanging_and_refusing_endpoints() {
        let (receiver, mut stream) = connected().await;
        let name = Marker::text(3, receiver.started());

        stream
            .write_all(&call(1, &name))
            .await
            .expect("the connection is kept");
        while receiver.log.calls_to(1).is_empty() {
            yield_now().await;
        }
        TcpStream::connect(receiver.refusing.address)
            .await
            .expect_err("no server listens");

        drop(receiver);
        let read = stream.read(&mut [0; ANSWER.len()]).await.unwrap_or(0);
        assert_eq!(read, 0, "the call is never answered");
    }
}
