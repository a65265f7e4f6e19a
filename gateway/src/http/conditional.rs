//! Conditional requests (RFC 9110, section 13): entity tags, and the preconditions that a request makes.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::error::Problem;

/// Entity tag: an opaque text that names one state of a resource (RFC 9110, section 8.8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EntityTag {
    opaque: Vec<u8>,
    is_weak: bool,
}

impl EntityTag {
    /// Builds a strong tag of visible ASCII characters without quotation marks.
    pub(super) fn strong(opaque: impl Into<Vec<u8>>) -> Self {
        Self {
            opaque: opaque.into(),
            is_weak: false,
        }
    }

    /// Value of the header `ETag`.
    ///
    /// # Panics
    /// If the tag holds a character that no tag may have.
    pub(super) fn header(&self) -> HeaderValue {
        let prefix: &[u8] = if self.is_weak { b"W/\"" } else { b"\"" };
        let value = [prefix, &self.opaque, b"\""].concat();

        HeaderValue::from_bytes(&value).expect("an entity tag consists of characters of headers")
    }

    /// Text of the tag; `None` if it is not UTF-8.
    pub(super) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.opaque).ok()
    }

    /// Returns whether the tag is weak, so that the strong comparison never matches it.
    pub(super) fn is_weak(&self) -> bool {
        self.is_weak
    }

    /// Compares by the strong comparison (RFC 9110, section 8.8.3.2).
    fn is_strongly(&self, other: &Self) -> bool {
        !self.is_weak && !other.is_weak && self.opaque == other.opaque
    }

    /// Compares by the weak comparison (RFC 9110, section 8.8.3.2).
    fn is_weakly(&self, other: &Self) -> bool {
        self.opaque == other.opaque
    }
}

/// Value of `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tags {
    /// `*`: any state of a resource that exists.
    Any,
    /// The listed states.
    Listed(Vec<EntityTag>),
}

/// Consequence of the preconditions of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The request is to be performed.
    Proceed,
    /// 304: the client of a `GET` or `HEAD` holds the current state.
    NotModified,
    /// 412: the resource is not in a state that the client has asked for.
    Failed,
}

/// Preconditions of a request. Those over dates are ignored, as they must be where a resource has no date of
/// modification (RFC 9110, sections 13.1.3 and 13.1.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Preconditions {
    /// `If-Match`.
    pub(super) if_match: Option<Tags>,
    /// `If-None-Match`.
    pub(super) if_none_match: Option<Tags>,
}

impl Preconditions {
    /// Reads the headers of a request.
    ///
    /// # Errors
    /// BAD_USER_INPUT for a header that is neither `*` nor a list of entity tags.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self {
            if_match: tags(headers, header::IF_MATCH)?,
            if_none_match: tags(headers, header::IF_NONE_MATCH)?,
        })
    }

    /// Decides about a resource that exists, in the order of RFC 9110, section 13.2.2. `current` is the tag of its
    /// state, if it has one; `is_read` is true for `GET` and `HEAD`.
    pub(super) fn evaluate(&self, current: Option<&EntityTag>, is_read: bool) -> Outcome {
        let matches = |tags: &Tags, compare: fn(&EntityTag, &EntityTag) -> bool| match tags {
            Tags::Any => true,
            Tags::Listed(tags) => {
                current.is_some_and(|current| tags.iter().any(|tag| compare(tag, current)))
            }
        };

        // First, because a change that was decided on another state must not be judged any further.
        if let Some(tags) = &self.if_match
            && !matches(tags, EntityTag::is_strongly)
        {
            return Outcome::Failed;
        }

        match &self.if_none_match {
            Some(tags) if matches(tags, EntityTag::is_weakly) && is_read => Outcome::NotModified,
            Some(tags) if matches(tags, EntityTag::is_weakly) => Outcome::Failed,
            _ => Outcome::Proceed,
        }
    }
}

/// Reads a header that is `*` or a list of tags, over any number of lines.
fn tags(headers: &HeaderMap, name: HeaderName) -> Result<Option<Tags>, Problem> {
    let lines: Vec<&[u8]> = headers
        .get_all(&name)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if lines.is_empty() {
        return Ok(None);
    }

    let value = lines.join(&b","[..]);
    let tags = parse(&value).ok_or_else(|| {
        let name = match name {
            header::IF_MATCH => "If-Match",
            _ => "If-None-Match",
        };
        Problem::input(
            name,
            "must be * or a list of entity tags in quotation marks",
        )
    })?;

    Ok(Some(tags))
}

/// Parses `*` or a list of entity tags; empty elements are allowed (RFC 9110, section 5.6.1.2).
fn parse(value: &[u8]) -> Option<Tags> {
    if value.trim_ascii() == b"*" {
        return Some(Tags::Any);
    }

    let mut tags = Vec::new();
    let mut rest = value.trim_ascii();
    while !rest.is_empty() {
        let (tag, after) = next_tag(rest)?;
        tags.extend(tag);

        rest = after.trim_ascii_start();
        match rest.split_first() {
            Some((b',', after)) => rest = after.trim_ascii_start(),
            None => {}
            Some(_) => return None,
        }
    }

    // A list of empty elements alone is not one of the grammar.
    (!tags.is_empty()).then_some(Tags::Listed(tags))
}

/// Splits off the tag that a text begins with; none for an empty element of the list.
fn next_tag(text: &[u8]) -> Option<(Option<EntityTag>, &[u8])> {
    if text.first() == Some(&b',') {
        return Some((None, text));
    }

    let weak = text.strip_prefix(b"W/");
    let quoted = weak.unwrap_or(text).strip_prefix(b"\"")?;
    let end = quoted.iter().position(|byte| *byte == b'"')?;
    let opaque = &quoted[..end];
    // Visible characters and those beyond ASCII: there is no escape, so a backslash is one of them.
    if !opaque
        .iter()
        .all(|byte| matches!(byte, 0x21..=0x7e | 0x80..))
    {
        return None;
    }

    let tag = EntityTag {
        opaque: opaque.to_owned(),
        is_weak: weak.is_some(),
    };
    Some((Some(tag), &quoted[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preconditions(lines: &[(HeaderName, &'static str)]) -> Result<Preconditions, Problem> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_static(value));
        }
        Preconditions::read(&headers)
    }

    #[test]
    fn preconditions_are_decided_in_the_order_of_the_standard() {
        use Outcome::{Failed, NotModified, Proceed};
        let if_match = || header::IF_MATCH;
        let if_none = || header::IF_NONE_MATCH;
        let table = [
            (vec![], Proceed, Proceed),
            (vec![(if_match(), "\"7\"")], Proceed, Proceed),
            (vec![(if_match(), "W/\"7\"")], Failed, Failed),
            (vec![(if_match(), "\"6\"")], Failed, Failed),
            (vec![(if_match(), "\"6\" ,, \"7\"")], Proceed, Proceed),
            (
                vec![(if_match(), "\"6\""), (if_match(), "\"7\"")],
                Proceed,
                Proceed,
            ),
            (vec![(if_match(), " * ")], Proceed, Proceed),
            (vec![(if_none(), "\"7\"")], NotModified, Failed),
            (vec![(if_none(), "W/\"7\"")], NotModified, Failed),
            (vec![(if_none(), "\"a,b\", W/\"7\"")], NotModified, Failed),
            (vec![(if_none(), "*")], NotModified, Failed),
            (vec![(if_none(), "\"6\"")], Proceed, Proceed),
            (
                vec![(if_match(), "\"6\""), (if_none(), "\"7\"")],
                Failed,
                Failed,
            ),
            (
                vec![(if_match(), "\"7\""), (if_none(), "\"7\"")],
                NotModified,
                Failed,
            ),
        ];

        let current = EntityTag::strong("7");
        for (lines, read, write) in table {
            let preconditions = preconditions(&lines).expect("the headers are well-formed");
            assert_eq!(
                preconditions.evaluate(Some(&current), true),
                read,
                "{lines:?}"
            );
            assert_eq!(
                preconditions.evaluate(Some(&current), false),
                write,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn preconditions_over_a_resource_without_a_tag_know_only_the_star() {
        let outcome = |name, value| {
            let preconditions = preconditions(&[(name, value)]).expect("well-formed");
            preconditions.evaluate(None, false)
        };

        assert_eq!(outcome(header::IF_MATCH, "*"), Outcome::Proceed);
        assert_eq!(outcome(header::IF_MATCH, "\"7\""), Outcome::Failed);
        assert_eq!(outcome(header::IF_NONE_MATCH, "*"), Outcome::Failed);
        assert_eq!(outcome(header::IF_NONE_MATCH, "\"7\""), Outcome::Proceed);
    }

    #[test]
    fn preconditions_that_are_malformed_are_refused_with_their_header() {
        for value in [
            "7",
            "\"7",
            "\"7\" \"8\"",
            "*, \"7\"",
            "w/\"7\"",
            "\"a b\"",
            "",
            ",",
            "\"7\"x",
        ] {
            let refused = preconditions(&[(header::IF_MATCH, value)]).expect_err(value);
            assert_eq!(refused.fields[0].path, "If-Match", "{value}");
        }
    }
}
