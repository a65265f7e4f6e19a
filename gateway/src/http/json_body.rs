//! Bodies of requests: JSON in UTF-8, compressed or not, bounded before and after decompression.

use std::io::{self, Read};

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use brotli_decompressor::Decompressor;
use flate2::read::MultiGzDecoder;

use super::MAX_BODY;
use super::accept::{is_utf8_name, split};
use crate::error::{Code, Problem};

/// Content encodings of requests that are read, as `Accept-Encoding` lists them.
pub(super) const ENCODINGS: &str = "gzip, zstd, br";

/// Size of the buffer that a decoder of Brotli reads through, in bytes.
const BROTLI_BUFFER: usize = 4 << 10;

/// Largest window of a Zstandard frame, as the logarithm of its bytes: 8 MiB, which every encoder of the web keeps to (RFC
/// 9659, section 3).
const ZSTD_WINDOW_LOG: u32 = 23;

/// Reason why a body is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFault {
    /// The media type is not JSON in UTF-8.
    MediaType,
    /// The content encoding is unknown, or there are several.
    Encoding,
    /// The body is larger than [`MAX_BODY`], as it was sent or after decompression.
    TooLarge,
    /// The body ended early.
    Unreadable,
    /// The body is not what its encoding says.
    Undecodable,
}

impl From<BodyFault> for Problem {
    fn from(fault: BodyFault) -> Self {
        let unsupported = Code::UnsupportedMediaType;
        match fault {
            BodyFault::MediaType => Self::new(
                unsupported,
                "The Content-Type must be application/json in UTF-8",
            ),
            BodyFault::Encoding => {
                let message = format!("The Content-Encoding must be one of {ENCODINGS}, or absent");
                Self::new(unsupported, message)
            }
            BodyFault::TooLarge => {
                let message = format!("The body must be at most {MAX_BODY} bytes, decompressed");
                Self::new(Code::PayloadTooLarge, message)
            }
            BodyFault::Unreadable => Self::new(Code::BadRequest, "The body could not be read"),
            BodyFault::Undecodable => Self::new(
                Code::BadRequest,
                "The body could not be decompressed as its Content-Encoding says",
            ),
        }
    }
}

/// Content encoding of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Not compressed.
    Identity,
    Gzip,
    Zstd,
    Brotli,
}

/// Checks that a request declares JSON in UTF-8, and returns its encoding.
///
/// # Errors
/// [`BodyFault::MediaType`] and [`BodyFault::Encoding`].
pub(super) fn check_headers(headers: &HeaderMap) -> Result<Encoding, BodyFault> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !is_json(content_type) {
        return Err(BodyFault::MediaType);
    }

    let lines = headers.get_all(header::CONTENT_ENCODING);
    let mut encodings = lines
        .iter()
        .flat_map(|line| line.to_str().unwrap_or("unreadable").split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));

    // Several would be applied one after the other: each multiplies what a short body can become.
    match (encodings.next(), encodings.next()) {
        (None, _) => Ok(Encoding::Identity),
        (Some(name), None) => named(name).ok_or(BodyFault::Encoding),
        (Some(_), Some(_)) => Err(BodyFault::Encoding),
    }
}

/// Returns whether a content type is JSON in UTF-8. JSON has no other charset (RFC 8259, section 8.1), but clients may name
/// one.
fn is_json(content_type: &str) -> bool {
    let mut parts = split(content_type, ';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let is_utf8 = parts
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
        .all(|(_, charset)| is_utf8_name(charset.trim().trim_matches('"')));

    essence.eq_ignore_ascii_case("application/json") && is_utf8
}

fn named(name: &str) -> Option<Encoding> {
    let encodings = [
        ("gzip", Encoding::Gzip),
        // An old name (RFC 9110, section 8.4.1.3).
        ("x-gzip", Encoding::Gzip),
        ("zstd", Encoding::Zstd),
        ("br", Encoding::Brotli),
    ];
    let found = encodings
        .iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known));

    found.map(|(_, encoding)| *encoding)
}

/// Returns a body, decompressed.
///
/// # Errors
/// Those faults that concern the body itself.
pub(super) fn decode(
    encoding: Encoding,
    body: Result<Bytes, BytesRejection>,
) -> Result<Bytes, BodyFault> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => BodyFault::TooLarge,
        _ => BodyFault::Unreadable,
    })?;

    let sent = &body[..];
    match encoding {
        Encoding::Identity => Ok(body),
        Encoding::Gzip => inflate(MultiGzDecoder::new(sent)),
        Encoding::Brotli => inflate(Decompressor::new(sent, BROTLI_BUFFER)),
        Encoding::Zstd => {
            let decoder = zstd_decoder(sent).map_err(|_| BodyFault::Undecodable)?;
            inflate(decoder)
        }
    }
}

fn zstd_decoder(sent: &[u8]) -> io::Result<impl Read> {
    let mut decoder = zstd::Decoder::with_buffer(sent)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;

    Ok(decoder)
}

/// Reads what a decoder gives, up to the limit. No more than a buffer beyond it is decompressed.
fn inflate(decoder: impl Read) -> Result<Bytes, BodyFault> {
    let mut inflated = Vec::new();
    // One byte beyond the limit tells a body that is too large from one that just fits.
    let mut bounded = decoder.take(MAX_BODY as u64 + 1);
    bounded
        .read_to_end(&mut inflated)
        .map_err(|_| BodyFault::Undecodable)?;

    if inflated.len() > MAX_BODY {
        return Err(BodyFault::TooLarge);
    }
    Ok(inflated.into())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(content_type: &'static str, encodings: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        for encoding in encodings {
            let encoding = HeaderValue::from_static(encoding);
            headers.append(header::CONTENT_ENCODING, encoding);
        }
        headers
    }

    #[test]
    fn json_in_utf8_is_read_under_every_spelling() {
        for (content_type, is_read) in [
            ("application/json", true),
            ("Application/JSON;charset=utf-8", true),
            ("application/json; charset=\"UTF-8\"; version=1", true),
            ("application/json; Charset=utf8", true),
            ("application/json; charset=utf-16", false),
            ("application/json; charset=iso-8859-1", false),
            ("application/jsonp", false),
            ("text/plain", false),
            ("", false),
        ] {
            let checked = check_headers(&headers(content_type, &[]));
            let expected = if is_read {
                Ok(Encoding::Identity)
            } else {
                Err(BodyFault::MediaType)
            };
            assert_eq!(checked, expected, "{content_type:?}");
        }
    }

    #[test]
    fn one_encoding_is_read_under_every_spelling() {
        let table: [(&[&'static str], Option<Encoding>); 10] = [
            (&["gzip"], Some(Encoding::Gzip)),
            (&["X-GZip"], Some(Encoding::Gzip)),
            (&["zstd"], Some(Encoding::Zstd)),
            (&["BR"], Some(Encoding::Brotli)),
            (&["identity"], Some(Encoding::Identity)),
            (&["", " identity , br"], Some(Encoding::Brotli)),
            (&["deflate"], None),
            (&["gzip, br"], None),
            (&["gzip", "gzip"], None),
            (&["x"], None),
        ];

        for (encodings, expected) in table {
            let checked = check_headers(&headers("application/json", encodings));
            assert_eq!(checked.ok(), expected, "{encodings:?}");
        }
    }
}
