//! Conversion between stored messages and the client library's headers.

use std::borrow::Cow;

use async_nats::{HeaderMap, HeaderName};

use crate::contract::wire::{Headers, Message};

/// Returns a message's CloudEvents headers as the client library's map.
pub(super) fn header_map(message: &Message) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in &message.headers {
        match name {
            // Ours are constants, which the map takes without a copy.
            Cow::Borrowed(name) => map.insert(HeaderName::from_static(name), value.as_str()),
            Cow::Owned(name) => map.insert(name.as_str(), value.as_str()),
        }
    }

    map
}

/// Returns the CloudEvents headers among those of a stored message.
pub(super) fn headers(map: &HeaderMap) -> Headers {
    map.iter()
        .map(|(name, values)| (Cow::<'static, str>::Owned(name.to_string()), values))
        // The server and the write path add headers of their own, which are not the event's.
        .filter(|(name, _)| !name.starts_with("Nats-"))
        .filter_map(|(name, values)| values.first().map(|value| (name, value.to_string())))
        .collect()
}
