//! Response as far as it has arrived.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::RETRY_AFTER;

use crate::outcome::{ErrorClass, Outcome, RetryAfter};

/// Largest part of a response body that is kept.
const KEPT_BYTES: usize = 4 * 1_024;

/// Length of the response body after which reading stops.
// Reading a short body to its end lets the connection be used again; an endless one must not hold a
// call, its memory and its bandwidth.
const READ_BYTES: usize = 64 * 1_024;

/// Part of a response that has arrived so far.
#[derive(Default)]
pub(super) struct PartialResponse {
    status: Option<u16>,
    retry_after: Option<RetryAfter>,
    body: Vec<u8>,
}

impl PartialResponse {
    /// Reads a response, keeping what the outcome needs. May be dropped at any point.
    pub(super) async fn read(&mut self, mut response: Response) -> Result<(), ErrorClass> {
        self.status = Some(response.status().as_u16());
        self.retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(RetryAfter::parse);

        let mut read = 0;
        while read < READ_BYTES {
            let Some(chunk) = response.chunk().await.map_err(|_| ErrorClass::BrokenOff)? else {
                break;
            };
            read += chunk.len();

            // What is beyond the kept part is read all the same and dropped.
            let room = KEPT_BYTES - self.body.len();
            self.body.extend_from_slice(&chunk[..room.min(chunk.len())]);
        }

        Ok(())
    }

    /// Returns the outcome of an exchange that ended with `failure` or without one.
    pub(super) fn into_outcome(self, failure: Option<ErrorClass>, duration: Duration) -> Outcome {
        // The status tells the outcome, however the body ended: a receiver that has answered 2xx has
        // the delivery, and would get it twice.
        let error = match self.status {
            Some(200..=299) => None,
            Some(300..=399) => Some(ErrorClass::Redirect),
            Some(_) => Some(ErrorClass::Status),
            None => failure,
        };

        let mut response_body = String::from_utf8_lossy(&self.body).replace('\0', "\u{fffd}");
        // A replacement character is three bytes long where one byte was.
        response_body.truncate(response_body.floor_char_boundary(KEPT_BYTES));

        Outcome {
            status: self.status,
            error,
            retry_after: self.retry_after,
            duration,
            response_body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_body_is_kept_as_text_that_every_database_accepts() {
        let kept = |body: &[u8]| {
            let response = PartialResponse {
                status: Some(200),
                body: body.to_vec(),
                ..PartialResponse::default()
            };
            response.into_outcome(None, Duration::ZERO).response_body
        };

        assert_eq!(kept("déjà vu".as_bytes()), "déjà vu");
        assert_eq!(kept(b"a\0b\xffc"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(kept(&[0xff; KEPT_BYTES]).len(), KEPT_BYTES / 3 * 3);
        assert_eq!(kept("x".repeat(KEPT_BYTES).as_bytes()).len(), KEPT_BYTES);
    }
}
