//! A reader's connection to one gateway: a websocket, an event stream, or one pulled page after the other.

use std::collections::VecDeque;
use std::time::Duration;

use backbone::position::Position;
use reqwest::Method;
use serde_json::{Value, json};

use super::plan::{Habit, PAGE, ReaderPlan};
use crate::kit::{Buffer, Client, End, Events, Subscription, Told, ToldPage};

/// Longest that a page may take: longer than the gateway waits for a change, shorter than any test does.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) enum Link {
    Socket(Box<Subscription>),
    /// A stream, with the newest id in it.
    Events(Events, String),
    Pages(Box<Pages>),
}

/// Pages, pulled one after the other.
pub(super) struct Pages {
    client: Client,
    query: String,
    variables: Value,
    /// Position to go on after when all that was pulled is taken.
    position: String,
    pulled: VecDeque<Told>,
}

impl Link {
    pub(super) async fn open(plan: &ReaderPlan, gateway: &str, after: &str) -> Result<Self, End> {
        let key = plan.party.key();
        let query = plan.query();
        let mut variables = plan.variables();

        let buffer = match plan.habit {
            Habit::Socket | Habit::Vanishing(_) | Habit::Conflating => Buffer::Default,
            Habit::Slow => Buffer::Small,
            Habit::Events => {
                let request = Client::new(gateway, Some(key)).request(Method::POST, "/graphql");
                let request = request
                    .header("last-event-id", after)
                    .json(&json!({ "query": query, "variables": variables }));
                let events = Events::try_open(request).await?;
                return Ok(Self::Events(events, after.to_owned()));
            }
            Habit::Pulling => {
                return Ok(Self::Pages(Box::new(Pages {
                    client: Client::new(gateway, Some(key)),
                    query,
                    variables,
                    position: after.to_owned(),
                    pulled: VecDeque::new(),
                })));
            }
        };

        variables["after"] = json!(after);
        let socket = Subscription::try_open((gateway, key, buffer), &query, variables).await?;
        Ok(Self::Socket(Box::new(socket)))
    }

    /// Returns the next change, or how the connection ended.
    pub(super) async fn next(&mut self) -> Result<Told, End> {
        match self {
            Self::Socket(subscription) => subscription.try_next().await,
            Self::Events(events, last) => next_event(events, last).await,
            Self::Pages(pages) => pages.next().await,
        }
    }

    /// Returns the position to resume after.
    pub(super) fn position(&self) -> &str {
        match self {
            Self::Socket(subscription) => subscription
                .position
                .as_deref()
                .expect("it began after one"),
            Self::Events(_, last) => last,
            Self::Pages(pages) => &pages.position,
        }
    }
}

async fn next_event(events: &mut Events, last: &mut String) -> Result<Told, End> {
    loop {
        let mut event = events.next().await.ok_or(End::Broken)?;
        if let Some(id) = event.remove("id") {
            *last = id;
        }
        let Some(data) = event.get("data").filter(|data| !data.is_empty()) else {
            continue;
        };

        refuse_errors(data)?;
        let told = Told::of_response(data);
        assert_eq!(
            told.change["position"],
            json!(last),
            "an event's id is its change's position"
        );
        return Ok(told);
    }
}

impl Pages {
    async fn next(&mut self) -> Result<Told, End> {
        loop {
            if let Some(told) = self.pulled.pop_front() {
                return Ok(told);
            }
            self.pull().await?;
        }
    }

    async fn pull(&mut self) -> Result<(), End> {
        let mut variables = self.variables.clone();
        variables["after"] = json!(self.position);

        let request = self
            .client
            .request(Method::POST, "/graphql")
            .timeout(PAGE_TIMEOUT)
            .json(&json!({ "query": self.query, "variables": variables }));
        let response = request.send().await.map_err(|_| End::Broken)?;
        if response.status() == 503 {
            return Err(End::Later);
        }
        let text = response.text().await.map_err(|_| End::Broken)?;
        refuse_errors(&text)?;

        let page = ToldPage::of_response(&text);
        assert!(page.changes.len() <= PAGE, "{text}");
        // An empty page may lead on, past changes that are not shown; no page leads back.
        let place = |position: &str| Position::decode(position).expect("a position").order();
        let last = page.changes.last().map(|told| &told.change["position"]);
        let last = last.and_then(Value::as_str).unwrap_or(&self.position);
        assert!(place(&page.position) >= place(last), "{text}");

        self.position = page.position;
        self.pulled.extend(page.changes);
        Ok(())
    }
}

/// Fails on a response with errors, unless they say to come again.
fn refuse_errors(response: &str) -> Result<(), End> {
    let response: Value = serde_json::from_str(response).expect("JSON");
    if response["errors"][0]["extensions"]["retryable"] == true {
        return Err(End::Later);
    }

    assert_eq!(response.get("errors"), None, "{response}");
    Ok(())
}
