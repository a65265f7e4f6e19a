//! Media types of REST: what a client accepts (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::refused::Refused;

/// Type and subtype of every response that is not an error.
const JSON: (&str, &str) = ("application", "json");

/// Checks that the client accepts JSON.
///
/// # Errors
/// 406 if it does not.
pub(super) fn check_accept(headers: &HeaderMap) -> Result<(), Refused> {
    if accepts_json(headers) {
        Ok(())
    } else {
        Err(Refused::not_acceptable())
    }
}

/// Returns whether JSON is acceptable: the most exact range that covers it has a weight above zero.
fn accepts_json(headers: &HeaderMap) -> bool {
    let ranges = elements(headers, &header::ACCEPT);
    if ranges.is_empty() {
        return true;
    }

    let weights = ranges.iter().filter_map(|range| weight(range));
    weights.max().is_some_and(|(_, weight)| weight > 0)
}

/// Returns how exactly a range covers JSON, from 0, and its weight in thousandths; `None` if it does not cover it.
fn weight(range: &str) -> Option<(u8, u16)> {
    let mut parts = range.split(';');
    let exactness = match media_type(parts.next()?)? {
        ("*", "*") => 0,
        (kind, "*") if kind.eq_ignore_ascii_case(JSON.0) => 1,
        range if is_json(range) => 2,
        _ => return None,
    };

    let weight = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
        .map_or(Some(1.0), |(_, value)| value.trim().parse().ok());
    let weight: f32 = weight.filter(|weight| (0.0..=1.0).contains(weight))?;

    Some((exactness, (weight * 1000.0).round() as u16))
}

fn media_type(text: &str) -> Option<(&str, &str)> {
    text.trim().split_once('/')
}

fn is_json((kind, subtype): (&str, &str)) -> bool {
    kind.eq_ignore_ascii_case(JSON.0) && subtype.eq_ignore_ascii_case(JSON.1)
}

/// Returns the elements of a list over any number of lines, without empty ones.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    headers
        .get_all(name)
        .iter()
        .map(HeaderValue::to_str)
        .filter_map(Result::ok)
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|element| !element.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_static(line));
        }
        headers
    }

    #[test]
    fn accept_is_decided_by_the_most_exact_range() {
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

        for (lines, accepted) in table {
            let headers = headers(header::ACCEPT, lines);
            assert_eq!(accepts_json(&headers), accepted, "{lines:?}");
        }
    }
}
