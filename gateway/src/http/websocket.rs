//! Upgrade of an HTTP request to a websocket (RFC 6455, section 4.2).

use std::any::Any;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use listener::Recovered;
use sockets::protocol::SUBPROTOCOL;
use sockets::{Link, Opening};
use tungstenite::handshake::derive_accept_key;

use super::Public;
use crate::auth::key_in;
use crate::error::{Code, Problem};
use crate::origin::Origin;
use crate::sockets::{Credentials, Sockets};

/// The only version of the protocol.
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// Length of a handshake's key: 16 bytes in base64.
const KEY_LENGTH: usize = 24;

/// Returns whether a request asks for a websocket.
pub(super) fn is_requested(headers: &HeaderMap) -> bool {
    has_token(headers, header::UPGRADE, "websocket")
}

/// Accepts a websocket and hands its connection to a shard.
///
/// A key in the headers is used if the client's `connection_init` carries none. A client that does not offer the
/// subprotocol is still upgraded, since only a close frame can tell a browser why it was rejected.
///
/// Messages are compressed if the client offers it and the setting is on.
pub(super) fn upgrade(public: &Public, mut request: Request) -> Response {
    let accept = match check(request.headers()) {
        Ok(key) => derive_accept_key(key.as_bytes()),
        Err(refused) => return refused.into_response(),
    };

    let credentials = Credentials {
        key: key_in(request.headers()),
        origin: Origin::noted(request.extensions()),
    };
    let is_accepted = has_token(
        request.headers(),
        header::SEC_WEBSOCKET_PROTOCOL,
        SUBPROTOCOL,
    );

    let offers = request.headers().get(header::SEC_WEBSOCKET_EXTENSIONS);
    let offers = offers.and_then(|offers| offers.to_str().ok());
    let extensions = offers
        .filter(|_| public.compression)
        .and_then(sockets::accept_compression);

    let upgraded = hyper::upgrade::on(&mut request);
    let terms = Terms {
        credentials,
        is_accepted,
        compresses: extensions.is_some(),
    };
    let opening = open(public.sockets.clone(), upgraded, terms);
    public.services.lifecycle.spawn_detached("upgrade", opening);

    let mut response = (
        StatusCode::SWITCHING_PROTOCOLS,
        [
            (header::CONNECTION, "Upgrade"),
            (header::UPGRADE, "websocket"),
            (header::SEC_WEBSOCKET_ACCEPT, &*accept),
        ],
    )
        .into_response();
    if is_accepted {
        let protocol = HeaderValue::from_static(SUBPROTOCOL);
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    if let Some(extensions) = extensions {
        let extensions = HeaderValue::from_static(extensions);
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_EXTENSIONS, extensions);
    }
    response
}

/// Terms that a websocket is opened on.
struct Terms {
    credentials: Credentials,
    /// True if the client offered our subprotocol.
    is_accepted: bool,
    /// True if messages may be compressed.
    compresses: bool,
}

async fn open(sockets: Sockets, upgraded: OnUpgrade, terms: Terms) {
    // A client that was gone before it read the response.
    let Ok(upgraded) = upgraded.await else { return };

    let (link, read, held) = match listener::recover(upgraded) {
        Ok(Recovered { link, read, slot }) => {
            let held: Box<dyn Any + Send> = Box::new(slot);
            (own(link), read, held)
        }
        Err(upgraded) => (foreign(upgraded), Bytes::new(), Box::new(()) as _),
    };

    sockets.open(Opening {
        link,
        read,
        is_accepted: terms.is_accepted,
        compresses: terms.compresses,
        credentials: terms.credentials,
        held,
    });
}

/// Makes a link of a connection that our listener has accepted.
fn own(link: listener::Link) -> Link {
    match link {
        listener::Link::Plain(stream) => Link::plain(stream),
        listener::Link::Tls(stream) => Link::stream(stream),
    }
}

/// Makes a link of a connection that another listener has accepted.
fn foreign(upgraded: Upgraded) -> Link {
    Link::stream(TokioIo::new(upgraded))
}

/// Reason why a handshake is refused.
enum Refused {
    /// A header is missing or wrong.
    Header(&'static str),
    /// The version of the protocol is another one.
    Version,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Header(message) => Problem::new(Code::BadRequest, message).into_response(),
            Self::Version => {
                let problem = Problem::new(Code::BadRequest, "The websocket version must be 13");
                let mut response = problem.with_status(StatusCode::UPGRADE_REQUIRED);
                // The client learns which version would do (section 4.4).
                response
                    .headers_mut()
                    .insert(header::SEC_WEBSOCKET_VERSION, VERSION);
                response
            }
        }
    }
}

/// Checks the headers of a handshake and returns its key.
fn check(headers: &HeaderMap) -> Result<&HeaderValue, Refused> {
    if !has_token(headers, header::CONNECTION, "upgrade") {
        return Err(Refused::Header(
            "The header Connection must contain upgrade",
        ));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        return Err(Refused::Version);
    }

    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    key.filter(|key| key.len() == KEY_LENGTH)
        .ok_or(Refused::Header(
            "The header Sec-WebSocket-Key must be 16 bytes in base64",
        ))
}

/// Returns whether a header's comma-separated list has a token. Case does not matter.
fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let lists = headers.get_all(name);

    lists
        .iter()
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|entry| entry.trim().eq_ignore_ascii_case(token))
}
