//! Compression of messages (permessage-deflate, RFC 7692) without context takeover: every message stands for itself, so
//! the compressed form of a result is shared by all sockets as the plain one is.
//!
//! A message is a sequence of DEFLATE blocks, each beginning at a byte: what is one socket's own goes into stored blocks
//! before and after the blocks of the shared result, which refer to nothing outside of them.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Name of the extension.
pub(crate) const NAME: &str = "permessage-deflate";

/// End of a message's last block, which a sender leaves out (section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Most bytes of a stored block (RFC 1951, section 3.2.4).
const MAX_STORED: usize = 0xffff;

/// Bytes that a message is given room for at a time while it is inflated.
const ROOM: usize = 4 << 10;

/// Answer to an offer of the extension.
pub(crate) const ACCEPTED: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Returns whether one of the offers in a `Sec-WebSocket-Extensions` header can be accepted.
pub(crate) fn is_offered(header: &str) -> bool {
    header.split(',').any(|offer| {
        let mut parts = offer.split(';').map(str::trim);
        let is_ours = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(NAME));

        is_ours && parts.all(is_possible)
    })
}

/// Returns whether the server can do what a parameter of an offer asks for.
fn is_possible(parameter: &str) -> bool {
    let (name, value) = match parameter.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
        None => (parameter, None),
    };

    match name {
        "server_no_context_takeover" | "client_no_context_takeover" => value.is_none(),
        // A hint that the client would take less, which the server need not use.
        "client_max_window_bits" => true,
        // The window is always the largest.
        "server_max_window_bits" => value == Some("15"),
        _ => false,
    }
}

/// Compresses bytes to blocks that end at a byte and that others may follow.
pub(crate) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new(Compression::fast(), false);
    let mut blocks = Vec::with_capacity(bytes.len() / 2 + 64);

    loop {
        let taken = compress.total_in() as usize;
        compress
            .compress_vec(&bytes[taken..], &mut blocks, FlushCompress::Sync)
            .expect("there is room");

        // With room left, everything is taken and the flush is complete.
        if blocks.len() < blocks.capacity() {
            return blocks;
        }
        blocks.reserve(blocks.len().max(64));
    }
}

/// Appends bytes as stored blocks.
pub(crate) fn push_stored(out: &mut Vec<u8>, bytes: &[u8]) {
    for part in bytes.chunks(MAX_STORED) {
        let length = part.len() as u16;

        out.push(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(part);
    }
}

/// Returns the number of bytes that [`push_stored`] appends.
pub(crate) fn stored_len(length: usize) -> usize {
    length + 5 * length.div_ceil(MAX_STORED)
}

/// Last byte of a message of blocks: an empty stored block, less the end that is left out.
pub(crate) const END: u8 = 0;

/// Reason why a message cannot be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InflateError {
    /// Bytes that are no DEFLATE.
    Malformed,
    /// Message that is larger than it may be.
    TooLarge,
}

/// Inflates a message of at most `max` bytes.
///
/// # Errors
/// See [`InflateError`].
pub(crate) fn inflate(message: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    let mut inflate = Decompress::new(false);
    let mut bytes = Vec::with_capacity(ROOM);
    let input = [message, &TAIL].concat();

    loop {
        let taken = inflate.total_in() as usize;
        let status = inflate
            .decompress_vec(&input[taken..], &mut bytes, FlushDecompress::Sync)
            .map_err(|_| InflateError::Malformed)?;

        if bytes.len() > max {
            return Err(InflateError::TooLarge);
        }
        let is_read = inflate.total_in() as usize == input.len();
        if status == Status::StreamEnd || (is_read && bytes.len() < bytes.capacity()) {
            return Ok(bytes);
        }
        if bytes.len() < bytes.capacity() {
            return Err(InflateError::Malformed);
        }
        bytes.reserve(ROOM);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_several_parts_are_one_message() {
        let shared = "{\"data\":{\"dealChanged\":{\"deal\":{\"name\":\"a deal\"}}}".repeat(9);
        let large = "x".repeat(100_000);

        for (before, after) in [("", ""), ("{\"id\":1,", "}"), (&*large, &*large)] {
            let mut message = Vec::new();
            push_stored(&mut message, before.as_bytes());
            message.extend(deflate(shared.as_bytes()));
            push_stored(&mut message, after.as_bytes());
            message.push(END);

            let whole = [before, &shared, after].concat();
            assert_eq!(
                inflate(&message, whole.len()),
                Ok(whole.clone().into_bytes())
            );
            assert_eq!(
                inflate(&message, whole.len() - 1),
                Err(InflateError::TooLarge)
            );
            assert_eq!(stored_len(before.len()) + stored_len(after.len()) + 1, {
                message.len() - deflate(shared.as_bytes()).len()
            });
        }
        assert_eq!(inflate(&[0xff], 9), Err(InflateError::Malformed));
    }

    #[test]
    fn offers_are_accepted_if_all_of_one_is_possible() {
        for (header, accepted) in [
            ("permessage-deflate", true),
            ("permessage-deflate; client_max_window_bits", true),
            (
                "x-other, Permessage-Deflate; server_no_context_takeover",
                true,
            ),
            ("permessage-deflate; server_max_window_bits=10", false),
            (
                "permessage-deflate; server_max_window_bits=10, permessage-deflate",
                true,
            ),
            ("permessage-deflate; unknown", false),
            ("x-webkit-deflate-frame", false),
            ("", false),
        ] {
            assert_eq!(is_offered(header), accepted, "{header}");
        }
    }
}
