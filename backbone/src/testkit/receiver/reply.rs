//! Answers of the webhook receiver, well formed and otherwise.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

/// Answer to a request, and the way in which it is sent.
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
    pub(super) delay: Duration,
    pub(super) gate: Option<Arc<Semaphore>>,
}

pub(super) enum Body {
    Whole(Vec<u8>),
    /// Announces this many bytes and sends one per second.
    Drip(usize),
    /// Announces and sends this many bytes, as long as the peer reads them.
    Large(usize),
    /// Announces this many bytes, sends these and closes the connection.
    CutOff(usize, Vec<u8>),
    /// Sends these bytes instead of an answer and closes the connection.
    Raw(Vec<u8>),
    /// Sends the head of an answer, one byte per second.
    DrippingHead,
    /// Sends no answer and keeps the connection open.
    Hang,
}

impl Reply {
    /// Returns an answer with an empty body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Whole(Vec::new()),
            delay: Duration::ZERO,
            gate: None,
        }
    }

    /// Returns 200 with an empty body.
    pub fn ok() -> Self {
        Self::status(200)
    }

    /// Returns 200 with one byte of the body per second for an hour.
    pub fn drip() -> Self {
        Self {
            body: Body::Drip(3_600),
            ..Self::ok()
        }
    }

    /// Returns 200 with one byte of the head per second.
    pub fn dripping_head() -> Self {
        Self {
            body: Body::DrippingHead,
            ..Self::ok()
        }
    }

    /// Returns 200 with a body of `bytes` bytes.
    pub fn large(bytes: usize) -> Self {
        Self {
            body: Body::Large(bytes),
            ..Self::ok()
        }
    }

    /// Returns 200 with a body that ends before the announced length.
    pub fn cut_off(sent: &str) -> Self {
        Self {
            body: Body::CutOff(sent.len() + 1, sent.into()),
            ..Self::ok()
        }
    }

    /// Sends `bytes` instead of an answer and closes the connection.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Body::Raw(bytes.into()),
            ..Self::ok()
        }
    }

    /// Closes the connection without an answer.
    pub fn close() -> Self {
        Self::raw([])
    }

    /// Reads the request and sends nothing for as long as the peer waits.
    pub fn hang() -> Self {
        Self {
            body: Body::Hang,
            ..Self::ok()
        }
    }

    /// Returns a redirect to `location`.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("location", location)
    }

    /// Returns 200 with gzip data that inflates to `kib` KiB of zeros.
    pub fn gzip_bomb(kib: usize) -> Self {
        Self::ok()
            .header("content-encoding", "gzip")
            .body(gzip_of_zeros(kib))
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the body.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Body::Whole(body.into()),
            ..self
        }
    }

    /// Delays the answer.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Delays the answer until it gets a permit of `gate`, which it uses up.
    #[must_use]
    pub fn through(self, gate: &Arc<Semaphore>) -> Self {
        Self {
            gate: Some(Arc::clone(gate)),
            ..self
        }
    }

    /// Returns the head of the answer: status line and headers.
    pub(super) fn head(&self) -> Vec<u8> {
        let length = match &self.body {
            Body::Whole(bytes) => bytes.len(),
            Body::Drip(announced) | Body::Large(announced) | Body::CutOff(announced, _) => {
                *announced
            }
            Body::Raw(_) | Body::DrippingHead | Body::Hang => 0,
        };

        let mut head = format!("HTTP/1.1 {} Told\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        // These answers must not have a body (RFC 9110, section 6.4.1).
        if self.status != 204 && self.status != 304 {
            head += &format!("content-length: {length}\r\n");
        }

        (head + "\r\n").into_bytes()
    }
}

/// Builds gzip data with one block of fixed codes (RFC 1951, section 3.2.6): a zero, then runs of
/// 258 that repeat it. The checksum is wrong, but a reader that limits what it inflates never gets
/// that far.
fn gzip_of_zeros(kib: usize) -> Vec<u8> {
    let mut bits = vec![true, true, false];
    bits.extend([false, false, true, true, false, false, false, false]);
    let run = [
        true, true, false, false, false, true, false, true, false, false, false, false, false,
    ];

    for _ in 0..kib * 1_024 / 258 {
        bits.extend(run);
    }

    bits.extend([false; 7]);
    let byte = |bits: &[bool]| {
        bits.iter()
            .rev()
            .fold(0, |byte, bit| byte << 1 | u8::from(*bit))
    };

    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    header
        .into_iter()
        .chain(bits.chunks(8).map(byte))
        .chain([0; 8])
        .collect()
}
