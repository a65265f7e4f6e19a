//! Decoder of a client's frames. Between messages it holds nothing, so an idle socket costs no buffer.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::deflate::{InflateError, inflate};

/// Longest payload of a control frame, in bytes (RFC 6455, section 5.5).
const MAX_CONTROL: u64 = 125;

/// Message or control frame of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A message of text.
    Text(String),
    /// A message of bytes.
    Binary,
    /// A ping, whose payload the pong repeats.
    Ping(Vec<u8>),
    /// A pong.
    Pong,
    /// The beginning or the answer of a closing handshake, with the code if there is one.
    Close(Option<u16>),
}

/// Reason why a client's bytes cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// The bytes are no frames that a client may send.
    Malformed,
    /// A message is larger than it may be.
    TooLarge,
}

impl From<InflateError> for Violation {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::Malformed => Self::Malformed,
            InflateError::TooLarge => Self::TooLarge,
        }
    }
}

/// Decoder of one client's frames.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// Bytes of a frame that has not arrived whole.
    partial: Vec<u8>,
    /// Message whose last frame has not arrived.
    message: Option<Fragments>,
    max_message: usize,
    /// True if messages may be compressed.
    inflates: bool,
}

#[derive(Debug)]
struct Fragments {
    is_text: bool,
    is_compressed: bool,
    bytes: Vec<u8>,
}

impl Decoder {
    /// Creates a decoder of messages of at most `max_message` bytes, which may be compressed if it `inflates`.
    pub(crate) fn new(max_message: usize, inflates: bool) -> Self {
        Self {
            partial: Vec::new(),
            message: None,
            max_message,
            inflates,
        }
    }

    /// Decodes the next bytes of the client.
    ///
    /// # Errors
    /// See [`Violation`]. What came whole before it was decoded; nothing after it can be.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        mut out: impl FnMut(Incoming),
    ) -> Result<(), Violation> {
        if self.partial.is_empty() {
            let used = self.decode_all(bytes, &mut out)?;
            self.partial.extend_from_slice(&bytes[used..]);
            return Ok(());
        }

        let mut joined = std::mem::take(&mut self.partial);
        joined.extend_from_slice(bytes);
        let used = self.decode_all(&joined, &mut out)?;

        // Given back where it can be: the next idle moment may last for days.
        if used < joined.len() {
            joined.drain(..used);
            self.partial = joined;
        }
        Ok(())
    }

    /// Decodes all frames that are there whole, and returns the number of bytes that they take.
    fn decode_all(
        &mut self,
        bytes: &[u8],
        out: &mut impl FnMut(Incoming),
    ) -> Result<usize, Violation> {
        let mut used = 0;
        while let Some(length) = self.decode_one(&bytes[used..], out)? {
            used += length;
        }
        Ok(used)
    }

    fn decode_one(
        &mut self,
        bytes: &[u8],
        out: &mut impl FnMut(Incoming),
    ) -> Result<Option<usize>, Violation> {
        let mut cursor = Cursor::new(bytes);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Violation::Malformed)?;
        let Some((header, length)) = parsed else {
            return Ok(None);
        };

        let begin = cursor.position() as usize;
        let length = self.check(&header, length)?;
        let Some(payload) = bytes.get(begin..begin + length) else {
            return Ok(None);
        };

        let mask = header.mask.ok_or(Violation::Malformed)?;
        let payload = unmasked(payload, mask);
        if let Some(incoming) = self.take(&header, payload)? {
            out(incoming);
        }
        Ok(Some(begin + length))
    }

    /// Checks a header before its payload is waited for, and returns the payload's length.
    fn check(&self, header: &FrameHeader, length: u64) -> Result<usize, Violation> {
        // Compression gives the first reserved bit a meaning, on the first frame of a message (RFC 7692, section 6).
        let begins = matches!(header.opcode, OpCode::Data(Data::Text | Data::Binary));
        let is_allowed = !header.rsv1 || (self.inflates && begins);
        // A client must mask (section 5.1).
        if !is_allowed || header.rsv2 || header.rsv3 || header.mask.is_none() {
            return Err(Violation::Malformed);
        }

        match header.opcode {
            OpCode::Control(Control::Reserved(_)) | OpCode::Data(Data::Reserved(_)) => {
                return Err(Violation::Malformed);
            }
            OpCode::Control(_) if !header.is_final || length > MAX_CONTROL => {
                return Err(Violation::Malformed);
            }
            OpCode::Control(_) => return Ok(length as usize),
            OpCode::Data(Data::Continue) if self.message.is_none() => {
                return Err(Violation::Malformed);
            }
            OpCode::Data(Data::Text | Data::Binary) if self.message.is_some() => {
                return Err(Violation::Malformed);
            }
            OpCode::Data(_) => {}
        }

        let held = self.message.as_ref().map_or(0, |held| held.bytes.len());
        if length > (self.max_message - held) as u64 {
            return Err(Violation::TooLarge);
        }
        Ok(length as usize)
    }

    fn take(
        &mut self,
        header: &FrameHeader,
        payload: Vec<u8>,
    ) -> Result<Option<Incoming>, Violation> {
        let is_text = match header.opcode {
            OpCode::Control(Control::Close) => return close(&payload).map(Some),
            OpCode::Control(Control::Ping) => return Ok(Some(Incoming::Ping(payload))),
            OpCode::Control(_) => return Ok(Some(Incoming::Pong)),
            OpCode::Data(data) => data == Data::Text,
        };

        let message = match self.message.take() {
            Some(mut held) => {
                held.bytes.extend_from_slice(&payload);
                held
            }
            None => Fragments {
                is_text,
                is_compressed: header.rsv1,
                bytes: payload,
            },
        };
        if !header.is_final {
            self.message = Some(message);
            return Ok(None);
        }
        if !message.is_text {
            return Ok(Some(Incoming::Binary));
        }

        let bytes = if message.is_compressed {
            inflate(&message.bytes, self.max_message)?
        } else {
            message.bytes
        };
        let text = String::from_utf8(bytes).map_err(|_| Violation::Malformed)?;
        Ok(Some(Incoming::Text(text)))
    }
}

fn unmasked(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mask = mask.iter().cycle();

    payload
        .iter()
        .zip(mask)
        .map(|(byte, mask)| byte ^ mask)
        .collect()
}

/// Reads the payload of a close frame: nothing, or a code and a text (section 5.5.1).
fn close(payload: &[u8]) -> Result<Incoming, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() {
            Ok(Incoming::Close(None))
        } else {
            Err(Violation::Malformed)
        };
    };

    let code = u16::from_be_bytes(*code);
    if !CloseCode::from(code).is_allowed() || str::from_utf8(reason).is_err() {
        return Err(Violation::Malformed);
    }
    Ok(Incoming::Close(Some(code)))
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use tungstenite::protocol::frame::Frame;

    use super::*;

    const MAX: usize = 70_000;

    fn frame(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
        let header = FrameHeader {
            is_final,
            opcode,
            mask: Some([7, 0, 255, 3]),
            ..FrameHeader::default()
        };
        let frame = Frame::from_payload(header, payload.to_vec().into());

        let mut bytes = Vec::new();
        frame.format(&mut bytes).expect("a Vec takes everything");
        bytes
    }

    fn data(data: Data, is_final: bool, payload: &[u8]) -> Vec<u8> {
        frame(OpCode::Data(data), is_final, payload)
    }

    fn control(control: Control, is_final: bool, payload: &[u8]) -> Vec<u8> {
        frame(OpCode::Control(control), is_final, payload)
    }

    fn text(payload: &str) -> Vec<u8> {
        data(Data::Text, true, payload.as_bytes())
    }

    fn decode(decoder: &mut Decoder, bytes: &[u8]) -> Result<Vec<Incoming>, Violation> {
        let mut all = Vec::new();
        decoder.feed(bytes, |incoming| all.push(incoming))?;
        Ok(all)
    }

    #[test]
    fn messages_are_decoded_however_their_bytes_arrive() {
        let long = "é".repeat(33_000);
        let mut bytes = text("one");
        bytes.extend(data(Data::Text, false, b"tw"));
        bytes.extend(control(Control::Ping, true, b"ping"));
        bytes.extend(data(Data::Continue, true, b"o"));
        bytes.extend(text(&long));
        bytes.extend(data(Data::Binary, true, &[1]));
        bytes.extend(text(""));
        bytes.extend(control(Control::Close, true, &[3, 232, b'!']));
        let expected = [
            Incoming::Text("one".to_owned()),
            Incoming::Ping(b"ping".to_vec()),
            Incoming::Text("two".to_owned()),
            Incoming::Text(long),
            Incoming::Binary,
            Incoming::Text(String::new()),
            Incoming::Close(Some(1000)),
        ];

        let mut random = StdRng::seed_from_u64(1);
        for most in [1, 2, 5, 1_000, bytes.len()] {
            let mut decoder = Decoder::new(MAX, false);
            let mut decoded = Vec::new();
            let mut rest = &bytes[..];

            while !rest.is_empty() {
                let (now, later) = rest.split_at(random.random_range(1..=most.min(rest.len())));
                decoded.extend(decode(&mut decoder, now).expect("valid frames"));
                rest = later;
            }

            assert!(decoded == expected, "in pieces of up to {most}");
            assert_eq!(decoder.partial.capacity(), 0, "nothing is held");
        }
    }

    #[test]
    fn frames_that_a_client_may_not_send_end_the_reading() {
        let mut reserved = text("a");
        reserved[0] |= 0x40;
        let begin = || data(Data::Text, false, b"a");

        let malformed = [
            ("not masked", vec![0x81, 1, b'a']),
            ("a reserved bit", reserved),
            ("a reserved opcode", vec![0x83, 0x80, 0, 0, 0, 0]),
            ("a long ping", control(Control::Ping, true, &[0; 126])),
            ("half a ping", control(Control::Ping, false, &[])),
            ("nothing to continue", data(Data::Continue, true, b"a")),
            ("two messages at once", [begin(), begin()].concat()),
            ("no text", data(Data::Text, true, &[0xff])),
            ("half a close code", control(Control::Close, true, &[3])),
            ("a code of nobody", control(Control::Close, true, &[0, 1])),
        ];
        for (what, bytes) in malformed {
            let decoded = decode(&mut Decoder::new(MAX, false), &bytes);
            assert_eq!(decoded, Err(Violation::Malformed), "{what}");
        }

        let too_large = [
            ("at once", text(&"a".repeat(MAX + 1))),
            (
                "in parts",
                [begin(), data(Data::Continue, true, &[0; MAX])].concat(),
            ),
            (
                "by its header",
                vec![0x81, 0xff, 0, 0, 0, 0, 0, 0x20, 0, 0, 1, 2, 3, 4],
            ),
        ];
        for (what, bytes) in too_large {
            let decoded = decode(&mut Decoder::new(MAX, false), &bytes);
            assert_eq!(decoded, Err(Violation::TooLarge), "{what}");
        }
    }
}
