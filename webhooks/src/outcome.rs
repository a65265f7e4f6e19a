//! Outcome of one call, as the attempt's row keeps it. The [retry policy](crate::retry_policy)
//! decides what follows from it for the delivery and the endpoint.

use std::time::{Duration, UNIX_EPOCH};

use backbone::ids::{DeliveryId, WebhookId};
use backbone::time::Timestamp;
use uuid::Uuid;

/// Outcome of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// HTTP status of the response; `None` when no response began.
    pub status: Option<u16>,
    /// Class of the failure; `None` when the delivery arrived.
    pub error: Option<ErrorClass>,
    /// `Retry-After` header of the response, whatever its status (RFC 9110, section 10.2.3).
    pub retry_after: Option<RetryAfter>,
    /// Time from the first check of the URL to the end of the response.
    pub duration: Duration,
    /// Beginning of the response body: at most 4 KiB, with bytes that are not UTF-8, and NUL, which
    /// PostgreSQL cannot store, replaced by U+FFFD.
    pub response_body: String,
}

/// Call that has ended and waits to be recorded.
#[derive(Debug)]
pub(crate) struct CompletedCall {
    pub(crate) delivery: DeliveryId,
    pub(crate) webhook: WebhookId,
    /// Lease under which the call was made.
    pub(crate) lease: Uuid,
    /// Start of the call.
    pub(crate) at: Timestamp,
    pub(crate) outcome: Outcome,
}

/// Class of a failed call: most are the endpoint owner's to fix, two are the operator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// URL that is malformed or not permitted (any more).
    RefusedUrl,
    /// Host whose address, or whose every resolved address, is not permitted.
    RefusedAddress,
    /// Host name without an address, or whose own name servers do not answer.
    NameNotFound,
    /// TCP or TLS connection that was refused or not established in time.
    CannotConnect,
    /// TLS handshake that failed, for example because the certificate is not trusted.
    Tls,
    /// Exchange that took too long.
    Timeout,
    /// Connection that ended before a complete response, or response that is not HTTP.
    BrokenOff,
    /// Redirect; redirects are not followed.
    Redirect,
    /// Any other status outside 200 to 299.
    Status,
    /// Operator's failure: none of the configured name servers answers.
    NoNameServer,
    /// Operator's failure: the system has run out of sockets, ports or memory.
    NoSockets,
}

impl ErrorClass {
    /// Every class.
    pub const ALL: [Self; 11] = [
        Self::RefusedUrl,
        Self::RefusedAddress,
        Self::NameNotFound,
        Self::CannotConnect,
        Self::Tls,
        Self::Timeout,
        Self::BrokenOff,
        Self::Redirect,
        Self::Status,
        Self::NoNameServer,
        Self::NoSockets,
    ];

    /// Returns the description that the attempt shows to the endpoint's owner.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefusedUrl => "URL not permitted",
            Self::RefusedAddress => "address not permitted",
            Self::NameNotFound => "host name not found",
            Self::CannotConnect => "connection failed",
            Self::Tls => "TLS handshake failed",
            Self::Timeout => "timeout",
            Self::BrokenOff => "incomplete or invalid HTTP response",
            Self::Redirect => "redirect not followed",
            Self::Status => "status is not 2xx",
            Self::NoNameServer => "name servers unavailable",
            Self::NoSockets => "out of sockets",
        }
    }

    /// Returns whether the failure is the operator's, so that it spends none of the delivery's
    /// tries.
    pub const fn is_operator_failure(self) -> bool {
        matches!(self, Self::NoNameServer | Self::NoSockets)
    }
}

/// Time before which a receiver does not want to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// Delay after the response.
    In(Duration),
    /// Absolute time, by the receiver's clock.
    At(Timestamp),
}

impl RetryAfter {
    /// Parses the value of a `Retry-After` header: whole seconds or an HTTP date. Returns `None`
    /// for anything else.
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim();

        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // A number too large for u64 still means "not for a very long time", not "no header".
            let seconds = value.parse().unwrap_or(u64::MAX);
            return Some(Self::In(Duration::from_secs(seconds)));
        }

        // A date before 1970 is no use to anyone and is ignored like any other malformed value.
        let date = httpdate::parse_http_date(value).ok()?;
        let since_epoch = date.duration_since(UNIX_EPOCH).ok()?;
        let micros = i64::try_from(since_epoch.as_micros()).ok()?;
        Some(Self::At(Timestamp::from_micros(micros)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let second = |seconds| Some(RetryAfter::In(Duration::from_secs(seconds)));
        let date = Some(RetryAfter::At(
            Timestamp::parse("2026-11-22T08:49:37Z").unwrap(),
        ));

        for (value, expected) in [
            ("0", second(0)),
            ("120", second(120)),
            (" 120\t", second(120)),
            ("007", second(7)),
            ("18446744073709551616", second(u64::MAX)),
            ("Sun, 22 Nov 2026 08:49:37 GMT", date),
            ("Sunday, 22-Nov-26 08:49:37 GMT", date),
            ("Sun Nov 22 08:49:37 2026", date),
            ("", None),
            (" ", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1e3", None),
            ("soon", None),
            ("１２", None),
            ("2026-11-22T08:49:37Z", None),
            ("Sun, 22 Nov 2026 08:49:37 +0000", None),
            ("Sun, 31 Feb 2026 08:49:37 GMT", None),
        ] {
            assert_eq!(RetryAfter::parse(value), expected, "{value:?}");
        }
    }

    #[test]
    fn error_classes_have_distinct_texts_and_two_are_the_operator_s() {
        let texts: HashSet<&str> = ErrorClass::ALL.map(ErrorClass::as_str).into();
        assert_eq!(texts.len(), ErrorClass::ALL.len());

        let operator_failures: Vec<ErrorClass> = ErrorClass::ALL
            .into_iter()
            .filter(|class| class.is_operator_failure())
            .collect();
        assert_eq!(
            operator_failures,
            [ErrorClass::NoNameServer, ErrorClass::NoSockets]
        );
    }
}
