//! Frames that a server sends: unmasked, and each a whole message (RFC 6455, section 5.2).

/// Longest header of a server's frame, in bytes.
pub(crate) const MAX_HEADER: usize = 10;

/// Kind of a frame that a server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Opcode {
    Text = 0x1,
    Close = 0x8,
    Pong = 0xA,
}

/// Bit of a frame that ends its message.
const FIN: u8 = 0x80;

/// Bit of a frame whose message is compressed.
const COMPRESSED: u8 = 0x40;

/// Longest payload whose length fits the second byte, and the marks of longer length fields.
const SHORT: usize = 125;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// Appends the header of a frame with a payload of `length` bytes.
pub(crate) fn push_header(out: &mut Vec<u8>, opcode: Opcode, length: usize) {
    push_first(out, FIN | opcode as u8, length);
}

/// Appends the header of a text frame with a compressed payload of `length` bytes (RFC 7692, section 6).
pub(crate) fn push_compressed_header(out: &mut Vec<u8>, length: usize) {
    push_first(out, FIN | COMPRESSED | Opcode::Text as u8, length);
}

fn push_first(out: &mut Vec<u8>, first: u8, length: usize) {
    out.push(first);

    if length <= SHORT {
        out.push(length as u8);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(LENGTH_16);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(LENGTH_64);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// Appends a text message of several parts.
pub(crate) fn push_text(out: &mut Vec<u8>, parts: &[&str]) {
    let length = parts.iter().map(|part| part.len()).sum();

    out.reserve(MAX_HEADER + length);
    push_header(out, Opcode::Text, length);
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Builds a whole frame.
pub(crate) fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(MAX_HEADER + payload.len());
    push_header(&mut frame, opcode, payload.len());
    frame.extend_from_slice(payload);
    frame
}

/// Builds a close frame. `reason` has at most 123 bytes.
pub(crate) fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());

    frame(Opcode::Close, &payload)
}
