//! One request with its response, for the watch of their connection.

mod request_body;
mod response_body;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode, Version};
use axum::response::Response;
use hyper::body::{Body as _, Incoming};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::watch::Watch;

pub use request_body::BodyError;
pub(crate) use request_body::RequestBody;
pub(crate) use response_body::ResponseBody;

/// Guard of one request. Its body and its response hold it, so it ends when both have been sent or dropped.
pub(crate) struct Exchange {
    watch: Arc<Watch>,
    late: AtomicBool,
    _running: TaskTrackerToken,
}

impl Exchange {
    /// Begins with a complete request head.
    pub(crate) fn begin(watch: Arc<Watch>, running: TaskTrackerToken) -> Arc<Self> {
        watch.request_begins();
        Arc::new(Self {
            watch,
            late: AtomicBool::new(false),
            _running: running,
        })
    }

    /// Returns the body as a handler gets it.
    pub(crate) fn request_body(self: &Arc<Self>, body: Incoming) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        let limit = self.watch.limits().request_body;
        Body::new(RequestBody::new(body, Arc::clone(self), limit))
    }

    /// Returns the response as the client gets it.
    pub(crate) fn respond(
        self: Arc<Self>,
        mut response: Response,
        version: Version,
    ) -> Response<ResponseBody> {
        if self.is_late() {
            // The handler has seen an error and answers in its own words; only the status is this crate's.
            let status = response.status();
            if status.is_client_error() || status.is_server_error() {
                *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
            }
            // HTTP/2 has no such header: its client is told by a frame.
            if version < Version::HTTP_2 {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
        }

        let framed = version == Version::HTTP_2;
        response.map(|body| ResponseBody::new(body, self, framed))
    }

    /// Takes note that the request body did not arrive in time.
    fn body_is_late(&self) {
        // Set and read by the same task, or before and after messages between tasks, which order it.
        self.late.store(true, Ordering::Relaxed);
        self.watch.close();
    }

    /// Returns whether the request body did not arrive in time.
    pub(crate) fn is_late(&self) -> bool {
        self.late.load(Ordering::Relaxed)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.watch.request_ends();
    }
}
