//! W3C Trace Context level 1: the `traceparent` header, read strictly. It refuses `tracestate`, which belongs to
//! tracing vendors, and repairs nothing: an invalid header begins a new trace.

use std::fmt;
use std::str::FromStr;

use crate::random::random_bytes;

/// Where a piece of work stands in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    sampled: bool,
}

/// The text is no `traceparent` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent")]
pub struct NotATraceparent;

/// `00-` trace id `-` span id `-` flags.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;

impl TraceContext {
    /// The beginning of a new, sampled trace.
    pub fn root() -> Self {
        Self {
            trace_id: nonzero_bytes(),
            span_id: nonzero_bytes(),
            sampled: true,
        }
    }

    /// The same trace with a new span: what to send with work that this one caused.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            span_id: nonzero_bytes(),
            ..*self
        }
    }

    /// The trace's id: 32 lower case hex digits, for logs.
    pub fn trace_id(&self) -> String {
        Hex(&self.trace_id).to_string()
    }

    /// Whether whoever began the trace records it.
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }
}

/// Reads a header's value. Of a version newer than `00` it reads what `00` knows, as the specification asks.
impl FromStr for TraceContext {
    type Err = NotATraceparent;

    fn from_str(header: &str) -> Result<Self, NotATraceparent> {
        let bytes = header.as_bytes();
        let known = bytes.get(..LENGTH).ok_or(NotATraceparent)?;
        let [version] = hex(&known[..2])?;
        let rest = &bytes[LENGTH..];
        let well_ended = rest.is_empty() || (version > 0 && rest[0] == b'-');
        let dashed = [2, 35, 52].iter().all(|&at| known[at] == b'-');
        let context = Self {
            trace_id: hex(&known[3..35])?,
            span_id: hex(&known[36..52])?,
            sampled: flags(&known[53..])?,
        };
        let nowhere = context.trace_id == [0; 16] || context.span_id == [0; 8];
        if version == 0xff || !well_ended || !dashed || nowhere {
            return Err(NotATraceparent);
        }
        Ok(context)
    }
}

/// The header's value, in version `00`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace_id, span_id) = (Hex(&self.trace_id), Hex(&self.span_id));
        write!(
            f,
            "00-{trace_id}-{span_id}-{:02x}",
            u8::from(self.sampled) * SAMPLED
        )
    }
}

fn flags(digits: &[u8]) -> Result<bool, NotATraceparent> {
    let [flags] = hex(digits)?;
    // Level 1 defines this bit alone; the others may be set by newer versions and mean nothing here.
    Ok(flags & SAMPLED != 0)
}

/// Lower case only, as the specification demands.
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
    fn the_specification_s_example_is_read_and_written() {
        let context: TraceContext = GIVEN.parse().unwrap();
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(context.is_sampled());
        assert_eq!(context.to_string(), GIVEN);
    }

    #[test]
    fn a_child_keeps_trace_and_sampling_and_has_its_own_span() {
        let unsampled: TraceContext = GIVEN.replace("-01", "-00").parse().unwrap();
        let child = unsampled.child();
        assert_eq!((child.trace_id, child.sampled), (unsampled.trace_id, false));
        assert_ne!(child.span_id, unsampled.span_id);
        assert_eq!(child.to_string().parse(), Ok(child));
        assert_ne!(TraceContext::root().trace_id, TraceContext::root().trace_id);
    }

    #[test]
    fn flags_that_level_1_does_not_define_are_dropped() {
        let context: TraceContext = GIVEN.replace("-01", "-ff").parse().unwrap();
        assert_eq!(context.to_string(), GIVEN);
        let context: TraceContext = GIVEN.replace("-01", "-fe").parse().unwrap();
        assert!(!context.is_sampled());
    }

    #[test]
    fn a_newer_version_is_read_as_far_as_it_is_known() {
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
    fn everything_else_is_refused() {
        let refused = [
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
        for header in refused {
            assert_eq!(
                header.parse::<TraceContext>(),
                Err(NotATraceparent),
                "{header:?}"
            );
        }
    }
}
