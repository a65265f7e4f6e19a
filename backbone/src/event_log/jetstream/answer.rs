//! The server's answer to a publish, and its meaning for the write path.

use async_nats::jetstream::response::Response;
use serde::Deserialize;

use crate::event_log::record::AppendAnswer;
use crate::position::{Epoch, Position, Sequence};

/// Acknowledgement of a publish.
#[derive(Deserialize)]
struct Ack {
    seq: Sequence,
    #[serde(default)]
    duplicate: bool,
}

/// Reads the server's answer to a publish to the log with this epoch. Codes are those of nats-server's `server/errors.json`.
///
/// | answer | meaning | the write path then |
/// |---|---|---|
/// | acknowledged | stored at this sequence | returns the result |
/// | 10071 or 10164, wrong last sequence | not the subject's last event; nothing stored | loads the subject and decides again |
/// | acknowledged as a duplicate | an event with this id is in the stream | reads that event before it believes it |
/// | 10158, duplicate id in process | the first attempt is not stored yet and may never be | repeats with the same id |
/// | unreadable answer | outcome unknown | repeats with the same id |
/// | any other code, such as 10077 (stream full) or 10047 (no resources) | this attempt stored nothing | reports the log as unavailable, or the outcome as unknown if an earlier attempt was |
///
/// A repeat of a stored event is answered as a duplicate by some server versions and replica
/// counts, and with 10071 by others. Deduplication covers the whole stream and lasts two minutes.
/// Neither answer is therefore trusted alone.
pub(super) fn read_answer(epoch: Epoch, payload: &[u8]) -> AppendAnswer {
    let answer = match serde_json::from_slice::<Response<Ack>>(payload) {
        Ok(answer) => answer,
        Err(error) => {
            return AppendAnswer::Unknown {
                why: format!("the server's answer cannot be parsed: {error}"),
            };
        }
    };

    let error = match answer {
        Response::Ok(ack) if ack.duplicate => return AppendAnswer::Duplicate(ack.seq),
        Response::Ok(ack) => return AppendAnswer::Stored(Position::end_of(epoch, ack.seq)),
        Response::Err { error } => error,
    };

    let why = error.to_string();
    match error.error_code().0 {
        // Both codes say "wrong last sequence": one message names the sequence, the other does not.
        10_071 | 10_164 => AppendAnswer::WrongLastSequence,
        // The attempt that came first is still on its way to the replicas, and may fail there.
        10_158 => AppendAnswer::Unknown { why },
        _ => AppendAnswer::Refused { why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Epoch = Epoch(5);

    fn read_answer(payload: &[u8]) -> AppendAnswer {
        super::read_answer(EPOCH, payload)
    }

    #[test]
    fn answer_of_the_server_is_read_by_its_code() {
        let coded = |code: u64| {
            let text = format!(
                r#"{{"error":{{"code":400,"err_code":{code},"description":"no"}},"stream":"MARKET","seq":0}}"#
            );

            read_answer(text.as_bytes())
        };

        assert_eq!(
            read_answer(br#"{"stream":"MARKET","seq":7}"#),
            AppendAnswer::Stored(Position::end_of(EPOCH, 7))
        );

        assert_eq!(
            read_answer(br#"{"stream":"MARKET","seq":7,"duplicate":true}"#),
            AppendAnswer::Duplicate(7)
        );

        assert_eq!(coded(10_071), AppendAnswer::WrongLastSequence);
        assert_eq!(coded(10_164), AppendAnswer::WrongLastSequence);
        assert!(matches!(coded(10_158), AppendAnswer::Unknown { .. }));
        assert!(matches!(coded(10_077), AppendAnswer::Refused { .. }));
        assert!(matches!(coded(10_047), AppendAnswer::Refused { .. }));
        assert!(matches!(
            read_answer(b"not json"),
            AppendAnswer::Unknown { .. }
        ));

        assert!(matches!(read_answer(b""), AppendAnswer::Unknown { .. }));
    }
}
