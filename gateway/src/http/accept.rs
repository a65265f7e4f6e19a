//! Negotiation of the response's media type by the header `Accept` (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, header};

/// Media type of GraphQL over HTTP, with which the status carries meaning.
const GRAPHQL_RESPONSE: MediaType = MediaType::new("application", "graphql-response+json");
/// Media type of clients that are older than that.
const JSON: MediaType = MediaType::new("application", "json");
/// Media type of event streams.
const EVENT_STREAM: MediaType = MediaType::new("text", "event-stream");

/// Highest weight: a `q` of 1, in thousandths.
const FULL_WEIGHT: u16 = 1_000;

/// Media type of a response that holds one result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResultType {
    /// `application/graphql-response+json`.
    GraphqlResponse,
    /// `application/json`.
    Json,
}

/// Media types that a client accepts, as far as the GraphQL endpoint has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// Preferred type of a single result; `None` if the client accepts neither.
    pub(super) result: Option<ResultType>,
    /// True if the client accepts event streams, and says so by name: `*/*` is sent by clients that wait for the end of
    /// every response, which a stream has not.
    pub(super) stream: bool,
}

impl Accepted {
    /// Reads the headers of a request. Without `Accept`, any media type is accepted. Parts of the list that are malformed
    /// are ignored.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let Some(ranges) = ranges(headers) else {
            return Self {
                result: Some(ResultType::Json),
                stream: false,
            };
        };

        let stream = preference(&ranges, EVENT_STREAM);
        Self {
            result: result_type(&ranges),
            stream: stream.is_some_and(|stream| stream.precision > Precision::Any),
        }
    }

    /// Returns whether the endpoint has no response that the client accepts.
    pub(super) fn is_nothing(self) -> bool {
        self.result.is_none() && !self.stream
    }
}

/// Returns whether a client accepts `application/json`.
pub(super) fn accepts_json(headers: &HeaderMap) -> bool {
    ranges(headers).is_none_or(|ranges| preference(&ranges, JSON).is_some())
}

/// Reads the media ranges that a client accepts; `None` if it accepts any.
fn ranges(headers: &HeaderMap) -> Option<Vec<Range<'_>>> {
    let lines = headers.get_all(header::ACCEPT);
    let is_absent = lines
        .iter()
        .all(|line| line.as_bytes().trim_ascii().is_empty());
    if is_absent {
        return None;
    }

    let elements = lines
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| split(line, ','));
    Some(elements.filter_map(Range::parse).collect())
}

/// Returns the type of a single result that a client prefers. Equal wishes go to the one that it names more exactly, and
/// then to `application/graphql-response+json` if both are named. Clients that name neither get JSON, which all know.
fn result_type(ranges: &[Range]) -> Option<ResultType> {
    let graphql = preference(ranges, GRAPHQL_RESPONSE);
    let json = preference(ranges, JSON);

    match (graphql, json) {
        (None, None) => None,
        (Some(_), None) => Some(ResultType::GraphqlResponse),
        (None, Some(_)) => Some(ResultType::Json),
        (Some(graphql), Some(json)) => {
            let is_named = graphql.precision == Precision::Exact;
            if graphql > json || (graphql == json && is_named) {
                Some(ResultType::GraphqlResponse)
            } else {
                Some(ResultType::Json)
            }
        }
    }
}

/// Type and subtype that a response can have.
#[derive(Clone, Copy)]
struct MediaType {
    kind: &'static str,
    subtype: &'static str,
}

impl MediaType {
    const fn new(kind: &'static str, subtype: &'static str) -> Self {
        Self { kind, subtype }
    }
}

/// Exactness of a media range, from the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    /// `*/*`.
    Any,
    /// `application/*`.
    Kind,
    /// A type and its subtype.
    Exact,
}

/// Wish for a media type; a greater one is preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Preference {
    /// Weight, 1 to 1000.
    weight: u16,
    precision: Precision,
}

/// Returns how much a client wants a media type; `None` if it does not accept it. The most precise range that matches
/// decides, also against a less precise one of greater weight.
fn preference(ranges: &[Range], media_type: MediaType) -> Option<Preference> {
    let matching = ranges
        .iter()
        .filter_map(|range| Some((range.precision_for(media_type)?, range.weight)));
    let (precision, weight) = matching.max()?;

    (weight > 0).then_some(Preference { weight, precision })
}

/// One element of the list: a media range with its weight.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    /// Weight in thousandths; 0 means "not acceptable".
    weight: u16,
    /// False if a parameter asks for a charset other than UTF-8, which no response has.
    is_utf8: bool,
}

impl<'a> Range<'a> {
    fn parse(element: &'a str) -> Option<Self> {
        let mut parts = split(element, ';').map(str::trim);
        let (kind, subtype) = match parts.next()? {
            // Sent by old Java clients for "anything".
            "*" => ("*", "*"),
            range => range.split_once('/')?,
        };

        let mut weight = FULL_WEIGHT;
        let mut is_utf8 = true;
        for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
            let name = name.trim();
            let value = value.trim().trim_matches('"');
            if name.eq_ignore_ascii_case("q") {
                weight = parse_weight(value)?;
            } else if name.eq_ignore_ascii_case("charset") {
                is_utf8 = is_utf8_name(value);
            }
            // The types of this endpoint have no other parameters, so others select nothing.
        }

        Some(Self {
            kind,
            subtype,
            weight,
            is_utf8,
        })
    }

    /// Returns how exactly the range names a media type; `None` if it does not cover it.
    fn precision_for(&self, media_type: MediaType) -> Option<Precision> {
        let has_kind = self.kind.eq_ignore_ascii_case(media_type.kind);
        let has_subtype = self.subtype.eq_ignore_ascii_case(media_type.subtype);

        match (self.kind, self.subtype) {
            _ if !self.is_utf8 => None,
            ("*", "*") => Some(Precision::Any),
            (_, "*") if has_kind => Some(Precision::Kind),
            _ if has_kind && has_subtype => Some(Precision::Exact),
            _ => None,
        }
    }
}

/// Parses a weight (RFC 9110, section 12.4.2). More digits than the grammar allows are rounded, and a leading zero may be
/// absent, as some clients have it.
fn parse_weight(value: &str) -> Option<u16> {
    let weight: f32 = value.parse().ok()?;

    (0.0..=1.0)
        .contains(&weight)
        .then(|| (weight * f32::from(FULL_WEIGHT)).round() as u16)
}

/// Returns whether a charset is UTF-8, or a part of it.
pub(super) fn is_utf8_name(charset: &str) -> bool {
    ["utf-8", "utf8", "us-ascii"]
        .iter()
        .any(|name| charset.eq_ignore_ascii_case(name))
}

/// Splits a header's value at a separator, but not inside of quoted strings.
pub(super) fn split(value: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let mut is_escaped = false;

    value.split(move |character: char| {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        character == separator && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const GRAPHQL: Option<ResultType> = Some(ResultType::GraphqlResponse);
    const PLAIN: Option<ResultType> = Some(ResultType::Json);

    fn accepted(lines: &[&'static str]) -> (Option<ResultType>, bool) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::ACCEPT, HeaderValue::from_static(line));
        }

        let accepted = Accepted::of(&headers);
        (accepted.result, accepted.stream)
    }

    #[test]
    fn accept_is_read_as_a_list_of_weighted_ranges() {
        let table: [(&[&str], Option<ResultType>, bool); 30] = [
            // Nothing, anything.
            (&[], PLAIN, false),
            (&["", " "], PLAIN, false),
            (&["*/*"], PLAIN, false),
            (&["application/*"], PLAIN, false),
            (&["text/html, *; q=.2, */*; q=.2"], PLAIN, false),
            (&["text/html,application/xml;q=0.9,*/*;q=0.8"], PLAIN, false),
            // By name.
            (&["application/json"], PLAIN, false),
            (&["application/graphql-response+json"], GRAPHQL, false),
            (&["Application/GraphQL-Response+JSON"], GRAPHQL, false),
            (&["application/json; charset=UTF-8"], PLAIN, false),
            (&["application/json;charset=\"utf-8\";q=0.5"], PLAIN, false),
            (&["application/json;odata=verbose"], PLAIN, false),
            (&["application/json;charset=iso-8859-1"], None, false),
            (&["application/graphql-response+json-seq"], None, false),
            (&["text/html"], None, false),
            (&["garbage"], None, false),
            // Weights.
            (&["application/json;q=0"], None, false),
            (&["application/json;q=0, */*"], GRAPHQL, false),
            (&["application/json;q=0.9, */*;q=0.1"], PLAIN, false),
            (&["application/json;q=0.5,*/*"], GRAPHQL, false),
            (
                &["application/graphql-response+json, application/json"],
                GRAPHQL,
                false,
            ),
            (
                &["application/json, application/graphql-response+json"],
                GRAPHQL,
                false,
            ),
            (
                &["application/json, application/graphql-response+json;Q=0.999"],
                PLAIN,
                false,
            ),
            (
                &["application/json;q=2, application/graphql-response+json"],
                GRAPHQL,
                false,
            ),
            // Several lines are one list, and quoted separators are none.
            (
                &[
                    "application/json;q=0.1",
                    "application/graphql-response+json",
                ],
                GRAPHQL,
                false,
            ),
            (&["text/plain;a=\",application/json,\\\",\""], None, false),
            // Event streams.
            (&["text/event-stream"], None, true),
            (&["TEXT/*"], None, true),
            (&["text/event-stream;q=0, */*"], PLAIN, false),
            (
                &[
                    "application/graphql-response+json, application/graphql+json, application/json, \
                   text/event-stream, multipart/mixed",
                ],
                GRAPHQL,
                true,
            ),
        ];

        for (lines, result, stream) in table {
            assert_eq!(accepted(lines), (result, stream), "{lines:?}");
        }
    }

    #[test]
    fn accept_of_nothing_that_exists_is_recognised() {
        let accepted = |line: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(line));
            Accepted::of(&headers)
        };

        assert!(accepted("image/png").is_nothing());
        assert!(!accepted("text/event-stream").is_nothing());
        assert!(!accepted("application/json").is_nothing());
    }

    #[test]
    fn json_is_decided_by_the_most_exact_range() {
        let table: [(&[&str], bool); 15] = [
            (&[], true),
            (&[""], true),
            (&["*/*"], true),
            (&["application/*"], true),
            (&["Application/JSON; charset=utf-8"], true),
            (&["text/html, application/xml;q=0.9, */*;q=0.8"], true),
            (&["text/html", "application/json;q=0.1"], true),
            (&["application/json;q=0.1, */*;q=0"], true),
            (&["application/json;q=0, */*"], false),
            (&["application/*;Q=0.000, */*"], false),
            (&["application/problem+json"], false),
            (&["text/html"], false),
            (&["*/*;q=0"], false),
            (&["application/json;q=2"], false),
            (&["nonsense"], false),
        ];

        for (lines, expected) in table {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(
                    header::ACCEPT,
                    HeaderValue::from_str(line).expect("a value"),
                );
            }
            assert_eq!(accepts_json(&headers), expected, "{lines:?}");
        }
    }
}
