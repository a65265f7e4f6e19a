//! Bytes of a websocket's client: frames, compression, messages of graphql-transport-ws and the protocol's state machine.
//!
//! The lowest bit of the first byte says whether messages may be compressed; the other bits are the length of the pieces
//! that the rest arrives in.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else {
        return;
    };

    sockets::testkit::frames(bytes, usize::from(first >> 1), first & 1 == 1);
});
