//! The two halves of a client's connection: one read by a task of the socket's own, one written by its shard.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, split};
use tokio::net::TcpStream;

/// Bytes that are read from a client at a time. The buffer lies on the stack of the read, not in the socket.
const READ_SIZE: usize = 4 << 10;

/// Connection of a client.
pub struct Link {
    pub(crate) reads: ReadHalf,
    pub(crate) writes: WriteHalf,
}

/// Half of a connection that is read.
pub(crate) enum ReadHalf {
    Plain(Arc<TcpStream>),
    Stream(Box<dyn AsyncRead + Send + Unpin>),
}

/// Half of a connection that is written.
pub(crate) enum WriteHalf {
    Plain(Arc<TcpStream>),
    Stream(Box<dyn AsyncWrite + Send + Unpin>),
}

impl Link {
    /// Makes a link of a plain connection, which costs a write one system call and no buffer.
    pub fn plain(stream: TcpStream) -> Self {
        let stream = Arc::new(stream);

        Self {
            reads: ReadHalf::Plain(Arc::clone(&stream)),
            writes: WriteHalf::Plain(stream),
        }
    }

    /// Makes a link of any other stream, such as one of TLS. What the stream buffers must be bounded by itself.
    pub fn stream(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (reads, writes) = split(stream);

        Self {
            reads: ReadHalf::Stream(Box::new(reads)),
            writes: WriteHalf::Stream(Box::new(writes)),
        }
    }
}

impl ReadHalf {
    /// Waits for bytes and hands them to `use_bytes`; returns `None` at the end of the stream.
    ///
    /// # Errors
    /// Those of the connection.
    pub(crate) async fn read<T>(
        &mut self,
        use_bytes: impl FnOnce(&[u8]) -> T,
    ) -> io::Result<Option<T>> {
        match self {
            Self::Plain(stream) => loop {
                stream.readable().await?;
                // The buffer is not part of this future, whose state every socket keeps.
                let mut buffer = [0; READ_SIZE];
                match stream.try_read(&mut buffer) {
                    Ok(0) => return Ok(None),
                    Ok(length) => return Ok(Some(use_bytes(&buffer[..length]))),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            },
            Self::Stream(stream) => {
                let mut buffer = vec![0; READ_SIZE];
                let length = stream.read(&mut buffer).await?;
                Ok((length > 0).then(|| use_bytes(&buffer[..length])))
            }
        }
    }
}

impl WriteHalf {
    /// Writes as much as the connection takes now and returns how much that is. If it is not everything, the waker that
    /// `waker` returns is woken when the connection takes more.
    ///
    /// # Errors
    /// Those of the connection.
    pub(crate) fn write(&mut self, bytes: &[u8], waker: impl Fn() -> Waker) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => write_plain(stream, bytes, waker),
            Self::Stream(stream) => write_stream(stream, bytes, &waker()),
        }
    }

    /// Goes on sending what the connection has taken, and what it holds back itself, as TLS does with the end of a record.
    /// `waker` is woken when more of it can be sent.
    ///
    /// # Errors
    /// Those of the connection.
    pub(crate) fn flush(&mut self, waker: impl Fn() -> Waker) -> io::Result<()> {
        match self {
            // Whatever it has taken is in the kernel.
            Self::Plain(_) => Ok(()),
            Self::Stream(stream) => flush_stream(stream, &waker()),
        }
    }
}

fn write_plain(stream: &TcpStream, bytes: &[u8], waker: impl Fn() -> Waker) -> io::Result<usize> {
    let mut written = 0;

    while written < bytes.len() {
        match stream.try_write(&bytes[written..]) {
            Ok(length) => written += length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Asked only now: nearly always the kernel takes everything at once, and nobody need be woken.
                match stream.poll_write_ready(&mut Context::from_waker(&waker())) {
                    Poll::Pending => break,
                    Poll::Ready(ready) => ready?,
                }
            }
            Err(error) => return Err(error),
        }
    }

    Ok(written)
}

fn write_stream(
    stream: &mut (dyn AsyncWrite + Send + Unpin),
    bytes: &[u8],
    waker: &Waker,
) -> io::Result<usize> {
    let mut context = Context::from_waker(waker);
    let mut written = 0;

    while written < bytes.len() {
        match Pin::new(&mut *stream).poll_write(&mut context, &bytes[written..]) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(length)) => written += length,
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => break,
        }
    }

    // What the stream has taken and not sent is sent by the flush that follows when it wakes the waker.
    flush_stream(stream, waker)?;
    Ok(written)
}

fn flush_stream(stream: &mut (dyn AsyncWrite + Send + Unpin), waker: &Waker) -> io::Result<()> {
    match Pin::new(stream).poll_flush(&mut Context::from_waker(waker)) {
        Poll::Ready(flushed) => flushed,
        Poll::Pending => Ok(()),
    }
}
