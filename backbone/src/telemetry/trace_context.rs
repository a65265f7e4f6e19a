//! W3C Trace Context level 1: the `traceparent` header, parsed strictly. An invalid header begins a
//! new trace. `tracestate`, which belongs to tracing vendors, is not supported.

use std::fmt;
use std::str::FromStr;

use crate::random::random_bytes;

/// Position of a piece of work in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    sampled: bool,
}

/// Error of parsing a text that is not a `traceparent` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a W3C traceparent header")]
pub struct NotATraceparent;

/// Length of `00-` trace id `-` span id `-` flags, in bytes.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;

impl TraceContext {
    /// Begins a new, sampled trace.
    pub fn root() -> Self {
        Self {
            trace_id: nonzero_bytes(),
            span_id: nonzero_bytes(),
            sampled: true,
        }
    }

    /// Returns the same trace with a new span, to send with work that this one causes.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            span_id: nonzero_bytes(),
            ..*self
        }
    }

    /// Returns the trace's id as 32 lower-case hexadecimal digits.
    pub fn trace_id(&self) -> String {
        Hex(&self.trace_id).to_string()
    }

    /// Returns whether the caller that began the trace records it.
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }
}

/// Parses the header's value. Of a version newer than `00`, the part that `00` defines is read, as
/// section 3.2.3 of the specification requires.
impl FromStr for TraceContext {
    type Err = NotATraceparent;

    fn from_str(header: &str) -> Result<Self, NotATraceparent> {
        let bytes = header.as_bytes();
        let known = bytes.get(..LENGTH).ok_or(NotATraceparent)?;

        // Version 00 ends after the flags; a later one may go on, after a dash.
        let [version] = hex(&known[..2])?;
        let rest = &bytes[LENGTH..];
        let ends_well = rest.is_empty() || (version > 0 && rest[0] == b'-');
        let dashed = [2, 35, 52].iter().all(|&at| known[at] == b'-');

        let context = Self {
            trace_id: hex(&known[3..35])?,
            span_id: hex(&known[36..52])?,
            sampled: flags(&known[53..])?,
        };

        // The specification forbids version ff and ids of zeros only.
        let zeros = context.trace_id == [0; 16] || context.span_id == [0; 8];
        if version == 0xff || !ends_well || !dashed || zeros {
            return Err(NotATraceparent);
        }

        Ok(context)
    }
}

/// Writes the header's value, in version `00`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace_id = Hex(&self.trace_id);
        let span_id = Hex(&self.span_id);
        write!(
            f,
            "00-{trace_id}-{span_id}-{:02x}",
            u8::from(self.sampled) * SAMPLED
        )
    }
}

fn flags(digits: &[u8]) -> Result<bool, NotATraceparent> {
    let [flags] = hex(digits)?;
    // Level 1 defines only this bit. Newer versions may set others, which are ignored.
    Ok(flags & SAMPLED != 0)
}

/// Decodes lower-case hexadecimal digits; the specification forbids upper case.
fn hex<const N: usize>(digits: &[u8]) -> Result<[u8; N], NotATraceparent> {
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }

    Ok(bytes)
}

fn nibble(digit: u8) -> Result<u8, NotATraceparent> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NotATraceparent),
    }
}

fn nonzero_bytes<const N: usize>() -> [u8; N] {
    loop {
        let bytes = random_bytes();
        // All zeros means "absent" in the specification.
        if bytes != [0; N] {
            return bytes;
        }
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn trace_context_parses_and_writes_the_example_of_the_specification() {
        let context: TraceContext = GIVEN.parse().unwrap();
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(context.is_sampled());
        assert_eq!(context.to_string(), GIVEN);
    }

    #[test]
    fn trace_context_of_a_child_keeps_trace_and_sampling_and_has_its_own_span() {
        let unsampled: TraceContext = GIVEN.replace("-01", "-00").parse().unwrap();
        let child = unsampled.child();
        assert_eq!((child.trace_id, child.sampled), (unsampled.trace_id, false));
        assert_ne!(child.span_id, unsampled.span_id);
        assert_eq!(child.to_string().parse(), Ok(child));
        assert_ne!(TraceContext::root().trace_id, TraceContext::root().trace_id);
    }

    #[test]
    fn trace_context_drops_flags_that_level_1_does_not_define() {
        let context: TraceContext = GIVEN.replace("-01", "-ff").parse().unwrap();
        assert_eq!(context.to_string(), GIVEN);
        let context: TraceContext = GIVEN.replace("-01", "-fe").parse().unwrap();
        assert!(!context.is_sampled());
    }

    #[test]
    fn trace_context_of_a_newer_version_is_read_as_far_as_it_is_known() {
        for newer in [
            GIVEN.replacen("00", "cc", 1),
            GIVEN.replacen("00", "cc", 1) + "-what-the-future-brings",
        ] {
            assert_eq!(
                newer
                    .parse::<TraceContext>()
                    .map(|context| context.to_string()),
                Ok(GIVEN.to_owned())
            );
        }
    }

    #[test]
    fn trace_context_rejects_everything_else() {
        let invalid = [
            String::new(),
            "00".to_owned(),
            GIVEN.to_uppercase(),
            GIVEN.replace("-01", ""),
            GIVEN.replace("-01", "-1"),
            GIVEN.replace("-01", "-0x"),
            GIVEN.replace("-01", "-01-"),
            GIVEN.replace("-01", "-01-more"),
            GIVEN.replace('-', "_"),
            GIVEN.replacen("00", "ff", 1),
            GIVEN.replacen("00", "0", 1),
            GIVEN.replacen("00", "cc", 1) + ".what-the-future-brings",
            GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GIVEN.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GIVEN.replace("4bf92f35", "4bf92f3g"),
            format!(" {GIVEN}"),
            format!("{GIVEN} "),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0é".to_owned(),
        ];

        for header in invalid {
            assert_eq!(
                header.parse::<TraceContext>(),
                Err(NotATraceparent),
                "{header:?}"
            );
        }
    }
}
