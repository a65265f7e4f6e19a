//! Compression of responses, as the client's `Accept-Encoding` asks.

use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, NotForContentType, Predicate, SizeAbove};

/// Smallest response that is compressed, in bytes. A smaller one fits into one packet either way.
const LEAST_BYTES: u16 = 1_024;

/// Returns the layer that compresses responses by Zstandard, Brotli or gzip. Event streams stay as they are, because a
/// compressor would hold events back until it has enough of them.
pub(super) fn layer() -> CompressionLayer<And<SizeAbove, NotForContentType>> {
    let rule = SizeAbove::new(LEAST_BYTES).and(NotForContentType::SSE);

    // JSON becomes about as short at the lowest level, for a fraction of the time.
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(rule)
}
