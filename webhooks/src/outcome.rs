//! What one call came to, as the attempt's row keeps it. What becomes of the delivery is
//! [`verdict`](super::verdict)'s to say.

use std::time::{Duration, UNIX_EPOCH};

use backbone::time::Timestamp;

/// What one call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The answer's status; `None` when no answer began.
    pub status: Option<u16>,
    /// What went wrong; `None` when the delivery arrived.
    pub error: Option<ErrorClass>,
    /// The answer's `Retry-After`, whatever its status.
    pub retry_after: Option<RetryAfter>,
    /// From the first check of the URL to the end of the answer.
    pub duration: Duration,
    /// The beginning of the answer's body: at most 4 KiB, what is no text replaced, without NUL, which PostgreSQL
    /// does not keep.
    pub answer: String,
}

/// Why a call failed: the customer's failures, and the few that are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The URL may not be called any more, or never could be read.
    RefusedUrl,
    /// The host, or all that its name leads to, may not be called.
    RefusedAddress,
    /// The name has no address, or its own name servers do not say.
    NameNotFound,
    /// Nobody took the connection in time.
    CannotConnect,
    /// No encrypted connection came about: a certificate that is not trusted, say.
    Tls,
    /// The exchange took too long.
    Timeout,
    /// The connection ended before a whole answer, or the answer is not HTTP.
    BrokenOff,
    /// The answer sends us elsewhere, and we do not go.
    Redirect,
    /// The answer is another failure.
    Status,
    /// Ours: no name server answers us.
    NoNameServer,
    /// Ours: the system has no sockets, ports or memory left.
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

    /// What the attempt says of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefusedUrl => "refused URL",
            Self::RefusedAddress => "refused address",
            Self::NameNotFound => "name not found",
            Self::CannotConnect => "cannot connect",
            Self::Tls => "TLS failed",
            Self::Timeout => "timeout",
            Self::BrokenOff => "no whole HTTP answer",
            Self::Redirect => "redirect",
            Self::Status => "status",
            Self::NoNameServer => "no name server answers",
            Self::NoSockets => "no sockets left",
        }
    }

    /// Whether it is our trouble, for which no customer pays with a try.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::NoNameServer | Self::NoSockets)
    }
}

/// When a receiver wants to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// So long after its answer.
    In(Duration),
    /// At this time of its clock.
    At(Timestamp),
}

impl RetryAfter {
    /// Reads the header: whole seconds or an HTTP date, `None` for anything else.
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // More digits than a number holds are for ever.
            return Some(Self::In(Duration::from_secs(
                value.parse().unwrap_or(u64::MAX),
            )));
        }
        let since = httpdate::parse_http_date(value)
            .ok()?
            .duration_since(UNIX_EPOCH)
            .ok()?;
        i64::try_from(since.as_micros())
            .ok()
            .map(Timestamp::from_micros)
            .map(Self::At)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let second = |seconds| Some(RetryAfter::In(Duration::from_secs(seconds)));
        let at = Some(RetryAfter::At(
            Timestamp::parse("2026-11-22T08:49:37Z").unwrap(),
        ));
        for (value, read) in [
            ("0", second(0)),
            ("120", second(120)),
            (" 120\t", second(120)),
            ("007", second(7)),
            ("18446744073709551616", second(u64::MAX)),
            ("Sun, 22 Nov 2026 08:49:37 GMT", at),
            ("Sunday, 22-Nov-26 08:49:37 GMT", at),
            ("Sun Nov 22 08:49:37 2026", at),
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
            assert_eq!(RetryAfter::parse(value), read, "{value:?}");
        }
    }

    #[test]
    fn classes_are_told_apart_and_two_are_ours() {
        let texts: HashSet<&str> = ErrorClass::ALL.map(ErrorClass::as_str).into();
        assert_eq!(texts.len(), ErrorClass::ALL.len());
        let ours: Vec<ErrorClass> = ErrorClass::ALL
            .into_iter()
            .filter(|class| class.is_ours())
            .collect();
        assert_eq!(ours, [ErrorClass::NoNameServer, ErrorClass::NoSockets]);
    }
}
