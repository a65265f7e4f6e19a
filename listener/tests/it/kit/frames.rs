//! HTTP/2 frames, written by hand.

/// First bytes of a client, with empty settings.
pub(crate) fn hello() -> Vec<u8> {
    hello_with(&[])
}

/// First bytes of a client that lets responses wait: its window admits no byte of them.
pub(crate) fn hello_without_window() -> Vec<u8> {
    const INITIAL_WINDOW_SIZE: u8 = 4;
    hello_with(&[0, INITIAL_WINDOW_SIZE, 0, 0, 0, 0])
}

fn hello_with(settings: &[u8]) -> Vec<u8> {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    [preface, frame(4, 0, 0, settings)].concat()
}

/// Head of a request without a body.
pub(crate) fn get(stream: u8, path: &str) -> Vec<u8> {
    const END_STREAM_AND_HEADERS: u8 = 5;
    frame(1, END_STREAM_AND_HEADERS, stream, &head(0x82, path))
}

/// Head of a request with a body.
pub(crate) fn post(stream: u8, path: &str) -> Vec<u8> {
    const END_HEADERS: u8 = 4;
    frame(1, END_HEADERS, stream, &head(0x83, path))
}

/// Part of a body.
pub(crate) fn data(stream: u8, bytes: &[u8]) -> Vec<u8> {
    frame(0, 0, stream, bytes)
}

/// Returns the types of the frames that a server sent.
pub(crate) fn types(mut bytes: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = bytes {
        types.push(*kind);
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        bytes = rest.get(length..).unwrap_or_default();
    }
    types
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
    frame.extend_from_slice(payload);
    frame
}

/// Header block with this indexed method, scheme http, the path and an authority.
fn head(method: u8, path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    let mut block = vec![method, 0x86, 0x04, length];
    block.extend_from_slice(path.as_bytes());
    block.extend_from_slice(&[0x01, 1, b'a']);
    block
}
