//! Client of graphql-sse: one response and its events.

use std::collections::HashMap;

use reqwest::{RequestBuilder, Response};
use tokio::time::timeout;

use super::{DEADLINE, End};

/// Open event stream of one response.
pub(crate) struct Events {
    response: Response,
    /// Text received after the last event that was returned.
    text: String,
}

impl Events {
    /// Sends a request and opens its event stream.
    pub(crate) async fn open(request: RequestBuilder) -> Self {
        Self::try_open(request)
            .await
            .expect("the gateway opens the stream")
    }

    /// Sends a request and opens its event stream, or returns how the attempt ended.
    pub(crate) async fn try_open(request: RequestBuilder) -> Result<Self, End> {
        let request = request.header("accept", "text/event-stream");
        let response = request.send().await.map_err(|_| End::Broken)?;

        if response.status() == 503 {
            return Err(End::Later);
        }

        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");

        Ok(Self {
            response,
            text: String::new(),
        })
    }

    /// Returns the fields of the next event, or `None` at the end of the stream. Skips comments.
    pub(crate) async fn next(&mut self) -> Option<HashMap<String, String>> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |line: &str| {
                    let (name, value) = line.split_once(':')?;
                    Some((name.to_owned(), value.trim_start().to_owned()))
                };
                let fields: HashMap<_, _> = event.lines().filter_map(field).collect();
                self.text = rest.to_owned();

                // A comment is a line without a field name.
                if fields.keys().any(|name| !name.is_empty()) {
                    return Some(fields);
                }
                continue;
            }

            let chunk = timeout(DEADLINE, self.response.chunk())
                .await
                .expect("an event arrives in time");
            // A gateway that is killed leaves the response unfinished, which ends the stream as
            // well.
            let chunk = chunk.ok().flatten()?;

            self.text.push_str(
                std::str::from_utf8(&chunk)
                    .expect("the events of tests are ASCII, which no chunk can split"),
            );
        }
    }
}
