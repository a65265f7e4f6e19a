//! Results that are written to one socket in one call: their frames one after the other, and what each of them means for
//! its subscription once it is written.

use backbone::position::Position;
use live::FeedOffset;

use super::SubscriptionKey;
use super::renderings::Rendering;
use crate::event_stream;
use crate::protocol::frame::NextHeader;
use crate::websocket::deflate::{END, deflate, push_stored, stored_len};
use crate::websocket::frame::{push_compressed_header, push_text};

/// Most results, and most bytes, of one write. What is left has another turn.
const MAX_RESULTS: usize = 64;
const MAX_BYTES: usize = 64 << 10;

/// Form in which results of one subscription are sent.
pub(crate) struct Wire {
    form: Form,
    /// True if each result tells the position of the one before it.
    positions: bool,
}

enum Form {
    WebSocket(NextHeader),
    /// Messages are compressed.
    Compressed(NextHeader),
    EventStream,
}

impl Wire {
    /// Returns the form of an operation's `next` messages.
    pub(crate) fn web_socket(header: NextHeader, positions: bool, compresses: bool) -> Self {
        let form = if compresses {
            Form::Compressed(header)
        } else {
            Form::WebSocket(header)
        };

        Self { form, positions }
    }

    /// Returns the form of events.
    pub(crate) fn event_stream(positions: bool) -> Self {
        Self {
            form: Form::EventStream,
            positions,
        }
    }

    /// Returns whether each result tells the position of the one before it.
    pub(super) fn tells_positions(&self) -> bool {
        self.positions
    }
}

/// Step of a subscription that is done once everything up to a place in the bytes is written.
pub(super) struct Step {
    pub(super) subscription: SubscriptionKey,
    /// Number of bytes after which the step is done.
    pub(super) end: usize,
    /// Offset of the subscription before the step, and after it.
    pub(super) before: FeedOffset,
    pub(super) after: FeedOffset,
    /// True if the step is a result. Others lead past changes that the subscription is not shown.
    pub(super) is_result: bool,
}

/// Buffer of one write, used again for the next socket.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) bytes: Vec<u8>,
    pub(super) steps: Vec<Step>,
    results: usize,
}

impl Scratch {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.steps.clear();
        self.results = 0;
    }

    /// Returns whether nothing more should be added.
    pub(super) fn is_full(&self) -> bool {
        self.results >= MAX_RESULTS || self.bytes.len() >= MAX_BYTES
    }

    /// Returns the offset of the newest result of a subscription in the buffer.
    pub(super) fn last_result_of(&self, subscription: SubscriptionKey) -> Option<FeedOffset> {
        let mut newest_first = self.steps.iter().rev();

        newest_first
            .find(|step| step.is_result && step.subscription == subscription)
            .map(|step| step.after)
    }

    /// Adds a result. `previous` is the position of the result before it, if the client wants to be told.
    pub(super) fn push_result(
        &mut self,
        wire: &Wire,
        rendering: &Rendering,
        previous: Option<Position>,
    ) {
        self.results += 1;
        let Some(previous) = previous else {
            return self.push_parts(wire, rendering, "}");
        };

        // In place of the result's last brace, so that the shared bytes before it stay the same for everybody.
        let suffix = format!(
            ",\"extensions\":{{\"previousPosition\":\"{}\"}}}}",
            previous.encode()
        );
        self.push_parts(wire, rendering, &suffix);
    }

    /// Adds a result whose last brace is replaced by `end`.
    fn push_parts(&mut self, wire: &Wire, rendering: &Rendering, end: &str) {
        let bytes = &mut self.bytes;
        // The end replaces the brace, also where it is the brace: one form of the shared bytes serves all.
        let begin = without_brace(rendering.result.json());

        match &wire.form {
            Form::EventStream => {
                event_stream::push_next(bytes, &rendering.position, [begin, end]);
            }
            Form::WebSocket(header) => {
                push_text(bytes, &[header.as_str(), begin, end, NextHeader::TAIL]);
            }
            Form::Compressed(header) => {
                let shared = rendering
                    .result
                    .packed(|json| deflate(without_brace(json).as_bytes()).into());
                let end = [end, NextHeader::TAIL].concat();
                let header = header.as_str();
                // The length of the frame comes first, so it is computed before anything is written.
                let own = stored_len(header.len()) + stored_len(end.len());

                push_compressed_header(bytes, own + shared.len() + 1);
                push_stored(bytes, header.as_bytes());
                bytes.extend_from_slice(shared);
                push_stored(bytes, end.as_bytes());
                bytes.push(END);
            }
        }
    }
}

/// Returns a result without its last brace.
fn without_brace(result: &str) -> &str {
    result.strip_suffix('}').expect("a result is a JSON object")
}
