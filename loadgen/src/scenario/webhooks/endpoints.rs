//! Webhook endpoints that buyers have registered for a run.

mod counts;
mod owners;

pub(super) use counts::Counts;
pub(super) use owners::Owners;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::receiver::{Behaviour, Receiver};
use crate::client::{Http, RESPONSE_TIMEOUT, address, run_over_connections};
use crate::error::BoxError;
use crate::target::Target;

/// Number of connections that endpoints are managed over.
const CONNECTIONS: usize = 16;
/// Time between two reads of the counts.
const COUNTS_INTERVAL: Duration = Duration::from_millis(100);
/// Time between two looks at the receiver, which cost next to nothing.
const CALLS_INTERVAL: Duration = Duration::from_millis(10);
/// Description of every endpoint of loadgen, by which those of an earlier run are recognised.
const DESCRIPTION: &str = "loadgen";

const LIST: &str = "{ webhooks { id description } }";
const REGISTER: &str = "mutation($url: String!, $description: String!) {
  registerWebhook(input: { url: $url, events: [DEAL_CREATED], description: $description }) {
    webhook { id } } }";
const PAUSE: &str = "mutation($id: ID!, $paused: Boolean!) {
  updateWebhook(input: { id: $id, paused: $paused }) { webhook { id } } }";
const DELETE: &str = "mutation($id: ID!) { deleteWebhook(id: $id) { id } }";
const COUNTS: &str = "query($id: ID!) { node(id: $id) { ... on Webhook {
  counts { owed delivered pending dead discarded } } } }";

/// Endpoints of a run, and the receiver that they lead to.
pub(super) struct Endpoints<'a> {
    target: &'a Target,
    address: SocketAddr,
    pub(super) receiver: Receiver,
    endpoints: Vec<Endpoint>,
}

struct Endpoint {
    id: String,
    /// API key of the buyer who owns the endpoint.
    key: String,
    behaviour: Behaviour,
}

impl<'a> Endpoints<'a> {
    /// Registers one endpoint for each of the behaviours. Endpoints of an earlier run, which may
    /// have been interrupted, are deleted first: they would receive the changes of this one too.
    pub(super) async fn register(
        target: &'a Target,
        owners: &Owners,
        behaviours: &[Behaviour],
    ) -> Result<Self, BoxError> {
        let address = address(&target.url)?;
        let receiver = Receiver::start(behaviours).await?;

        let clean = async |http: &mut Http, owner: usize| {
            delete_leftovers(target, http, owners.key(owner)).await
        };
        run_over_connections(address, CONNECTIONS, owners.len(), clean).await?;

        let register = async |http: &mut Http, number: usize| {
            let key = owners.key_for_endpoint(number);
            let variables = json!({ "url": receiver.url(number), "description": DESCRIPTION });
            let request = target.graphql_request(key, REGISTER, &variables);
            let data = http.execute(&request).await?;

            let id = data["registerWebhook"]["webhook"]["id"]
                .as_str()
                .ok_or("the server registered a webhook but returned no id")?;
            Ok(Endpoint {
                id: id.to_owned(),
                key: key.to_owned(),
                behaviour: behaviours[number],
            })
        };
        let endpoints =
            run_over_connections(address, CONNECTIONS, behaviours.len(), register).await?;

        Ok(Self {
            target,
            address,
            receiver,
            endpoints,
        })
    }

    /// Returns the number of endpoints that answer.
    pub(super) fn answering(&self) -> usize {
        self.endpoints
            .iter()
            .filter(|endpoint| endpoint.behaviour == Behaviour::Answers)
            .count()
    }

    /// Pauses or resumes all endpoints at about the same moment.
    pub(super) async fn set_paused(&self, paused: bool) -> Result<(), BoxError> {
        self.execute_for_each(PAUSE, json!({ "paused": paused }))
            .await
            .map(|_| ())
    }

    /// Waits until the answering endpoints have been called the given number of times in total, or
    /// until no call has come for [`RESPONSE_TIMEOUT`].
    pub(super) async fn wait_for_calls(&self, times: u64) {
        let mut answered = self.receiver.answered();
        let mut last_progress = Instant::now();

        while answered < times && last_progress.elapsed() < RESPONSE_TIMEOUT {
            sleep(CALLS_INTERVAL).await;

            // The timeout counts from the last progress: how long a whole run takes depends on the
            // machine.
            let now = self.receiver.answered();
            if now > answered {
                answered = now;
                last_progress = Instant::now();
            }
        }
    }

    /// Waits until the counts of every endpoint are complete, or until none has changed for
    /// [`RESPONSE_TIMEOUT`]. Returns the counts at that time; the caller reports what is wrong with
    /// them.
    pub(super) async fn wait_for_counts(
        &self,
        complete: impl Fn(Behaviour, Counts) -> bool,
    ) -> Result<Vec<Counts>, BoxError> {
        let all_complete = |counts: &[Counts]| {
            self.endpoints
                .iter()
                .zip(counts)
                .all(|(endpoint, counts)| complete(endpoint.behaviour, *counts))
        };
        let mut counts = self.counts().await?;
        let mut last_progress = Instant::now();

        while !all_complete(&counts) && last_progress.elapsed() < RESPONSE_TIMEOUT {
            sleep(COUNTS_INTERVAL).await;

            let now = self.counts().await?;
            if now != counts {
                counts = now;
                last_progress = Instant::now();
            }
        }

        Ok(counts)
    }

    /// Returns the current counts of each endpoint. Deleted endpoints still have counts.
    pub(super) async fn counts(&self) -> Result<Vec<Counts>, BoxError> {
        let mut answers = self.execute_for_each(COUNTS, json!({})).await?;

        answers
            .iter_mut()
            .map(|data| Ok(serde_json::from_value(data["node"]["counts"].take())?))
            .collect()
    }

    /// Deletes the endpoints, and checks the counts from before and after against the number of
    /// changes and of deliveries that arrived. Returns the number of faults by name.
    pub(super) async fn delete_and_check(
        &self,
        changes: u64,
        deliveries: u64,
        before: &[Counts],
    ) -> Result<Vec<(&'static str, u64)>, BoxError> {
        self.execute_for_each(DELETE, json!({})).await?;
        let after = self.counts().await?;
        Ok(counts::faults(changes, deliveries, before, &after))
    }

    /// Executes a GraphQL document for each endpoint, as its owner. The variable `id` is added to
    /// the others.
    async fn execute_for_each(
        &self,
        document: &str,
        variables: Value,
    ) -> Result<Vec<Value>, BoxError> {
        let execute = async |http: &mut Http, number: usize| {
            let endpoint = &self.endpoints[number];
            let mut variables = variables.clone();
            variables["id"] = json!(endpoint.id);

            let request = self
                .target
                .graphql_request(&endpoint.key, document, &variables);
            http.execute(&request).await
        };

        let count = self.endpoints.len();
        run_over_connections(self.address, CONNECTIONS.min(count), count, execute).await
    }
}

/// Deletes the endpoints that an earlier run has left to a buyer.
async fn delete_leftovers(target: &Target, http: &mut Http, key: &str) -> Result<(), BoxError> {
    let request = target.graphql_request(key, LIST, &json!({}));
    let data = http.execute(&request).await?;

    for webhook in data["webhooks"].as_array().into_iter().flatten() {
        // The buyer may be somebody's own, with endpoints that are none of our business.
        if webhook["description"] == DESCRIPTION {
            let variables = json!({ "id": webhook["id"] });
            let request = target.graphql_request(key, DELETE, &variables);
            http.execute(&request).await?;
        }
    }

    Ok(())
}
