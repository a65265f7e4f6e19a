//! Boundaries of HTTP/2 frames in what a client sends, to see when it leaves one unfinished.

/// Bytes of a frame's header: length (3), type, flags, stream (4).
const HEADER: usize = 9;

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Place within a stream of frames, after the connection preface.
#[derive(Default)]
pub(crate) struct Frames {
    header: [u8; HEADER],
    /// Bytes of the current frame's header that have arrived.
    arrived: usize,
    /// Bytes of the current frame's payload that are missing, once its header is complete.
    missing: usize,
    /// A header block has begun whose last frame is not complete.
    in_block: bool,
}

impl Frames {
    /// Takes the next bytes. Returns whether a frame ended in them; the frames of one header block count as one.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> bool {
        let mut ended = false;
        while !bytes.is_empty() {
            if self.arrived < HEADER {
                bytes = self.feed_header(bytes);
            } else {
                let payload = self.missing.min(bytes.len());
                self.missing -= payload;
                bytes = &bytes[payload..];
            }

            if self.arrived == HEADER && self.missing == 0 {
                self.arrived = 0;
                if matches!(self.header[3], HEADERS | CONTINUATION) {
                    self.in_block = self.header[4] & END_HEADERS == 0;
                }
                ended |= !self.in_block;
            }
        }
        ended
    }

    /// Returns whether a frame or a header block has begun and is not complete.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.arrived > 0 || self.in_block
    }

    fn feed_header<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let taken = bytes.len().min(HEADER - self.arrived);
        let (header, rest) = bytes.split_at(taken);
        self.header[self.arrived..][..taken].copy_from_slice(header);
        self.arrived += taken;

        if self.arrived == HEADER {
            let [a, b, c, ..] = self.header;
            self.missing = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        let mut bytes = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn frames_end_wherever_the_bytes_are_split() {
        let settings = frame(4, 0, b"");
        let data = frame(0, 1, b"payload");
        let all = [settings.clone(), data.clone()].concat();

        for split in 1..all.len() {
            let mut frames = Frames::default();
            let ended = frames.feed(&all[..split]);
            assert_eq!(ended, split >= settings.len(), "{split}");
            assert_eq!(frames.is_unfinished(), split != settings.len(), "{split}");
            assert!(frames.feed(&all[split..]), "{split}");
            assert!(!frames.is_unfinished(), "{split}");
        }
    }

    #[test]
    fn frames_of_a_header_block_end_with_the_block() {
        let mut frames = Frames::default();
        assert!(!frames.feed(&frame(HEADERS, 0, b"abc")));
        assert!(frames.is_unfinished());
        assert!(!frames.feed(&frame(CONTINUATION, 0, b"def")));
        assert!(frames.is_unfinished());
        assert!(frames.feed(&frame(CONTINUATION, END_HEADERS, b"")));
        assert!(!frames.is_unfinished());
    }
}
