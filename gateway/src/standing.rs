//! Standing of a caller within a rate limit, as responses tell it.

use std::time::Duration;

use axum::http::header::{HeaderMap, HeaderName, HeaderValue};

/// Time that the quota of a rate limit is for.
pub const WINDOW: Duration = Duration::from_secs(60);

/// Header with the limit itself (draft-ietf-httpapi-ratelimit-headers-10, section 3).
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Header with what is left of it (section 4 of the draft).
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Standing of one caller within one rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Name of the limit, in lower case.
    pub policy: &'static str,
    /// Units that may be used within [`WINDOW`].
    pub quota: u32,
    /// Units that are left now.
    pub remaining: u32,
    /// Time after which more is left, or after which everything is.
    pub reset: Duration,
}

impl Standing {
    /// Adds the headers `RateLimit-Policy` and `RateLimit` to those of a response.
    pub fn write_to(&self, headers: &mut HeaderMap) {
        let name = self.policy;
        let policy = format!("\"{name}\";q={};w={}", self.quota, WINDOW.as_secs());
        let limit = format!(
            "\"{name}\";r={};t={}",
            self.remaining,
            whole_seconds(self.reset)
        );

        for (header, text) in [(POLICY, policy), (LIMIT, limit)] {
            let value = HeaderValue::try_from(text).expect("names of limits are ASCII");
            headers.insert(header, value);
        }
    }
}

/// Returns a time in whole seconds, rounded up: a client that comes back earlier would be refused again.
pub fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// Returns a time in whole milliseconds, rounded up.
pub fn whole_millis(time: Duration) -> u64 {
    let millis = time.as_nanos().div_ceil(1_000_000);

    u64::try_from(millis).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standing_is_told_as_structured_fields() {
        let standing = Standing {
            policy: "mutations",
            quota: 600,
            remaining: 12,
            reset: Duration::from_millis(1_001),
        };
        let mut headers = HeaderMap::new();
        standing.write_to(&mut headers);

        assert_eq!(headers["ratelimit-policy"], "\"mutations\";q=600;w=60");
        assert_eq!(headers["ratelimit"], "\"mutations\";r=12;t=2");
    }

    #[test]
    fn times_are_rounded_up() {
        let just_over = Duration::from_nanos(2_000_000_001);

        assert_eq!(
            (whole_millis(just_over), whole_seconds(just_over)),
            (2_001, 3)
        );
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
        assert_eq!(whole_millis(Duration::ZERO), 0);
    }
}
