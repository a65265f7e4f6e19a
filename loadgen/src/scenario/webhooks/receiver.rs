//! Where endpoints lead: a server that answers calls, or leaves them without an answer, and notes which came when.
//!
//! HTTP/1.1 with connections that are kept, and no more of it than a sender of webhooks uses, so that it costs little
//! beside what it measures. It verifies no signature.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::Failed;
use crate::client::{header, read_head};
use crate::scenario::audience::Marker;

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// What becomes of a call to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It is answered with 204 at once.
    Answers,
    /// It is read, and never answered.
    Hangs,
    /// Nobody listens there.
    Refuses,
}

/// A call that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// Its `webhook-id`.
    pub(super) id: Uuid,
    /// The number in its marker.
    pub(super) number: u64,
    /// When the change was sent, in microseconds since the run began.
    pub(super) made: u64,
    /// When the call was there, in the same.
    pub(super) arrived: u64,
}

/// A server with an endpoint at each of the paths `/0`, `/1` and so on. It ends when dropped, and its connections too.
pub(super) struct Receiver {
    noted: Arc<Noted>,
    address: SocketAddr,
    /// Bound, so that nobody else listens there, and not listened at.
    closed: (TcpSocket, SocketAddr),
    _server: JoinSet<()>,
}

/// What came.
struct Noted {
    begun: Instant,
    endpoints: Vec<(Manner, Mutex<Vec<Call>>)>,
    answered: AtomicU64,
    /// Calls that are no deliveries.
    strange: AtomicU64,
}

impl Receiver {
    /// Serves an endpoint of each of these manners; the run begins here.
    pub(super) async fn start(manners: &[Manner]) -> Result<Self, Failed> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let closed = TcpSocket::new_v4()?;
        closed.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let noted = Arc::new(Noted {
            begun: Instant::now(),
            endpoints: manners
                .iter()
                .map(|manner| (*manner, Mutex::default()))
                .collect(),
            answered: AtomicU64::new(0),
            strange: AtomicU64::new(0),
        });
        let (address, closed_at) = (listener.local_addr()?, closed.local_addr()?);
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&noted)));
        Ok(Self {
            noted,
            address,
            closed: (closed, closed_at),
            _server: server,
        })
    }

    pub(super) fn begun(&self) -> Instant {
        self.noted.begun
    }

    /// Where an endpoint is called.
    pub(super) fn url(&self, number: usize) -> String {
        let refuses = self.noted.endpoints[number].0 == Manner::Refuses;
        let address = if refuses { self.closed.1 } else { self.address };
        format!("http://{address}/{number}")
    }

    /// Calls that were answered so far, doubled ones too.
    pub(super) fn answered(&self) -> u64 {
        self.noted.answered.load(Ordering::Relaxed)
    }

    /// Calls so far that are no deliveries of changes with a marker.
    pub(super) fn strange(&self) -> u64 {
        self.noted.strange.load(Ordering::Relaxed)
    }

    /// What came to each endpoint that answers, in order.
    pub(super) fn calls(&self) -> Vec<Vec<Call>> {
        let answering = self
            .noted
            .endpoints
            .iter()
            .filter(|(manner, _)| *manner == Manner::Answers);
        answering
            .map(|(_, calls)| calls.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect()
    }
}

async fn serve(listener: TcpListener, noted: Arc<Noted>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(converse(stream, Arc::clone(&noted)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Takes call after call, until the caller closes the connection or speaks what this does not.
async fn converse(mut stream: TcpStream, noted: Arc<Noted>) -> Result<(), Failed> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut place) = (Vec::with_capacity(4 << 10), 0);
    loop {
        let body_at = read_head(&mut stream, &mut buffer).await?;
        let head = std::str::from_utf8(&buffer[..body_at])?;
        let length: usize = header(head, "content-length").unwrap_or("0").parse()?;
        let (endpoint, id) = (
            path(head)?,
            header(head, "webhook-id").and_then(|id| id.parse().ok()),
        );
        while buffer.len() < body_at + length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let manner = noted.note(
            endpoint,
            id,
            Marker::read(&buffer[body_at..body_at + length], &mut place),
        )?;
        if manner == Manner::Hangs {
            return Ok(closed(&mut stream).await?);
        }
        stream.write_all(ANSWER).await?;
        buffer.drain(..body_at + length);
    }
}

/// Which endpoint is called.
fn path(head: &str) -> Result<usize, Failed> {
    let target = head
        .split(' ')
        .nth(1)
        .and_then(|path| path.strip_prefix('/'));
    Ok(target.ok_or("a request without a path")?.parse()?)
}

async fn closed(stream: &mut TcpStream) -> io::Result<()> {
    let mut ignored = [0; 256];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

impl Noted {
    fn note(
        &self,
        endpoint: usize,
        id: Option<Uuid>,
        marker: Option<(u64, u64)>,
    ) -> Result<Manner, Failed> {
        let arrived = self.begun.elapsed().as_micros() as u64;
        let (manner, calls) = self
            .endpoints
            .get(endpoint)
            .ok_or("there is no such endpoint")?;
        match (id, marker) {
            (Some(id), Some((number, made))) => {
                let call = Call {
                    id,
                    number,
                    made,
                    arrived,
                };
                calls
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(call);
                self.answered
                    .fetch_add(u64::from(*manner == Manner::Answers), Ordering::Relaxed);
            }
            _ => _ = self.strange.fetch_add(1, Ordering::Relaxed),
        }
        Ok(*manner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::yield_now;
    use uuid::Uuid;

    use super::{ANSWER, Manner, Marker, Receiver};

    /// A call to an endpoint, with a name in its body.
    fn call(endpoint: usize, id: Uuid, name: &str) -> Vec<u8> {
        let body = format!(r#"{{"name":"{name}"}}"#);
        let length = body.len();
        format!("POST /{endpoint} HTTP/1.1\r\nWebhook-Id: {id}\r\nContent-Length: {length}\r\n\r\n{body}")
            .into()
    }

    #[tokio::test]
    async fn calls_are_noted_and_answered_after_their_endpoints_manner() {
        let manners = [Manner::Answers, Manner::Hangs, Manner::Refuses];
        let receiver = Receiver::start(&manners).await.expect("there are ports");
        let mut stream = TcpStream::connect(receiver.address)
            .await
            .expect("it listens");
        let (id, name) = (Uuid::from_u128(7), Marker::write(3, receiver.begun()));
        let mut answer = [0; ANSWER.len()];
        for call in [call(0, id, "no marker"), call(0, id, &name)] {
            let (one, other) = call.split_at(call.len() - 4);
            for part in [one, other] {
                stream
                    .write_all(part)
                    .await
                    .expect("the connection is kept");
            }
            stream.read_exact(&mut answer).await.expect("it answers");
            assert_eq!(answer, ANSWER);
        }
        let [calls] = receiver.calls().try_into().expect("one of them answers");
        let [came] = calls[..] else {
            panic!("one of them is a delivery: {calls:?}")
        };
        assert_eq!((came.id, came.number), (id, 3));
        assert!(came.made <= came.arrived);
        assert_eq!((receiver.answered(), receiver.strange()), (1, 1));

        stream
            .write_all(&call(1, id, &name))
            .await
            .expect("the connection is kept");
        while receiver.noted.endpoints[1]
            .1
            .lock()
            .expect("nobody panicked")
            .is_empty()
        {
            yield_now().await;
        }
        TcpStream::connect(receiver.closed.1)
            .await
            .expect_err("nobody listens");
        drop(receiver);
        assert_eq!(
            stream.read(&mut answer).await.unwrap_or(0),
            0,
            "it is never answered"
        );
    }
}
