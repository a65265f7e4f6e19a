//! Decoder and protocol of a client's bytes for the fuzz targets, which feed them anything.

use crate::protocol::{Limits, Message, Protocol};
use crate::websocket::decoder::{Decoder, Incoming, Violation};

/// Decodes bytes of a client, at once and in pieces of `piece` bytes, and hands the messages to the protocol. `inflates`
/// allows compressed messages.
///
/// # Panics
/// If the pieces give other messages than the whole.
pub fn frames(bytes: &[u8], piece: usize, inflates: bool) {
    let limits = Limits::default();
    let decode = |piece: usize| decode(bytes, piece.max(1), inflates, limits.max_message_bytes);

    let decoded = decode(bytes.len());
    assert_eq!(decode(piece), decoded, "pieces of {piece} bytes");

    let mut protocol = Protocol::new(limits);
    for incoming in decoded.0 {
        match incoming {
            Incoming::Text(text) => {
                protocol.on_message(Message::decode(&text, limits.max_id_bytes));
                // Accepts every `connection_init`, so that what follows it is reached.
                protocol.init_accepted(None);
            }
            Incoming::Binary => drop(protocol.on_binary()),
            Incoming::Ping(_) | Incoming::Pong | Incoming::Close(_) => {}
        }
    }
}

fn decode(
    bytes: &[u8],
    piece: usize,
    inflates: bool,
    max_message: usize,
) -> (Vec<Incoming>, Result<(), Violation>) {
    let mut decoder = Decoder::new(max_message, inflates);
    let mut decoded = Vec::new();

    let outcome = bytes
        .chunks(piece)
        .try_for_each(|piece| decoder.feed(piece, |incoming| decoded.push(incoming)));
    (decoded, outcome)
}
