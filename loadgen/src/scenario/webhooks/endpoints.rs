//! Endpoints that buyers have registered for a run, and what is owed to them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::receiver::{Manner, Receiver};
use crate::client::{Http, PATIENCE, address, in_shares};
use crate::{Failed, Target};

/// Endpoints that a buyer may have.
const PER_BUYER: usize = 20;
/// Connections that endpoints are managed over.
const CONNECTIONS: usize = 16;
/// Between looks at what is owed.
const LOOK: Duration = Duration::from_millis(100);
/// By which those of ours are known that an earlier run has left.
const OURS: &str = "loadgen";

const LIST: &str = "{ webhooks { id description } }";
const REGISTER: &str = "mutation($url: String!, $ours: String!) {
  registerWebhook(input: { url: $url, events: [DEAL_CREATED], description: $ours }) { webhook { id } } }";
const PAUSE: &str = "mutation($id: ID!, $paused: Boolean!) {
  updateWebhook(input: { id: $id, paused: $paused }) { webhook { id } } }";
const DELETE: &str = "mutation($id: ID!) { deleteWebhook(id: $id) { id } }";
const COUNTS: &str = "query($id: ID!) { node(id: $id) { ... on Webhook { counts { owed delivered pending dead discarded } } } }";

/// Buyers who own endpoints.
pub(super) struct Owners(Vec<String>);

/// The endpoints of a run.
pub(super) struct Endpoints<'a> {
    target: &'a Target,
    at: SocketAddr,
    pub(super) receiver: Receiver,
    all: Vec<Endpoint>,
}

struct Endpoint {
    id: String,
    key: String,
    manner: Manner,
}

/// What an endpoint is owed, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Counts {
    pub(super) owed: u64,
    pub(super) delivered: u64,
    pub(super) pending: u64,
    pub(super) dead: u64,
    pub(super) discarded: u64,
}

impl Counts {
    pub(super) fn add_up(&self) -> bool {
        self.owed == self.delivered + self.pending + self.dead + self.discarded
    }
}

impl Owners {
    /// Enough of them for so many endpoints, who see the deals of the target's seller: an administrator makes them, or
    /// the target's buyer does for few.
    pub(super) async fn of(target: &Target, endpoints: usize) -> Result<Self, Failed> {
        if target.admin_key.is_none() && endpoints <= PER_BUYER {
            return Ok(Self(vec![target.buyer_key.clone()]));
        }
        let (admin, seller) = (target.admin()?, target.seller().await?);
        Self::named(&admin, "loadgen endpoints", endpoints, seller).await
    }

    /// As many of such a name, who see the deals of a seller.
    pub(super) async fn named(
        admin: &crate::accounts::Admin<'_>,
        name: &str,
        endpoints: usize,
        seller: Uuid,
    ) -> Result<Self, Failed> {
        Ok(Self(
            admin
                .buyers(name, endpoints.div_ceil(PER_BUYER), seller)
                .await?,
        ))
    }
}

impl<'a> Endpoints<'a> {
    /// Registers an endpoint of each of these manners. What an earlier run has left to the same owners goes first.
    pub(super) async fn register(
        target: &'a Target,
        owners: &Owners,
        manners: &[Manner],
    ) -> Result<Self, Failed> {
        let (at, receiver) = (address(&target.url)?, Receiver::start(manners).await?);
        let sweep =
            async |http: &mut Http, owner: usize| sweep(target, http, &owners.0[owner]).await;
        in_shares(at, CONNECTIONS, owners.0.len(), sweep).await?;
        let register = async |http: &mut Http, number: usize| {
            let key = &owners.0[number / PER_BUYER];
            let variables = json!({ "url": receiver.url(number), "ours": OURS });
            let data = http.ask(&target.request(key, REGISTER, &variables)).await?;
            let id = data["registerWebhook"]["webhook"]["id"]
                .as_str()
                .ok_or("an endpoint without an id")?;
            Ok(Endpoint {
                id: id.to_owned(),
                key: key.clone(),
                manner: manners[number],
            })
        };
        let all = in_shares(at, CONNECTIONS, manners.len(), register).await?;
        Ok(Self {
            target,
            at,
            receiver,
            all,
        })
    }

    /// Those that answer.
    pub(super) fn answering(&self) -> usize {
        self.all
            .iter()
            .filter(|endpoint| endpoint.manner == Manner::Answers)
            .count()
    }

    /// Pauses all at about one moment, or lets them be called again.
    pub(super) async fn pause(&self, paused: bool) -> Result<(), Failed> {
        self.each(PAUSE, json!({ "paused": paused }))
            .await
            .map(|_| ())
    }

    /// Waits until the endpoints that answer have been called so often, or nothing has come for too long.
    pub(super) async fn called(&self, times: u64) {
        let (mut came, mut moved) = (self.receiver.answered(), Instant::now());
        while came < times && moved.elapsed() < PATIENCE {
            sleep(LOOK / 10).await;
            let now = self.receiver.answered();
            if now > came {
                (came, moved) = (now, Instant::now());
            }
        }
    }

    /// Waits until each has counts as they should be, or none has moved for too long: how they stand then.
    pub(super) async fn settled(
        &self,
        settled: impl Fn(Manner, Counts) -> bool,
    ) -> Result<Vec<Counts>, Failed> {
        let (mut counts, mut moved) = (self.counts().await?, Instant::now());
        let every = |counts: &[Counts]| {
            self.all
                .iter()
                .zip(counts)
                .all(|(endpoint, counts)| settled(endpoint.manner, *counts))
        };
        while !every(&counts) && moved.elapsed() < PATIENCE {
            sleep(LOOK).await;
            let now = self.counts().await?;
            if now != counts {
                (counts, moved) = (now, Instant::now());
            }
        }
        Ok(counts)
    }

    /// How each stands; those that were deleted too.
    pub(super) async fn counts(&self) -> Result<Vec<Counts>, Failed> {
        let mut answers = self.each(COUNTS, json!({})).await?;
        answers
            .iter_mut()
            .map(|data| Ok(serde_json::from_value(data["node"]["counts"].take())?))
            .collect()
    }

    /// Deletes all, and holds what was counted before and is counted then against what was made and what came: what is
    /// wrong with it, by name.
    pub(super) async fn end(
        &self,
        changes: u64,
        deliveries: u64,
        counts: &[Counts],
    ) -> Result<Vec<(&'static str, u64)>, Failed> {
        self.each(DELETE, json!({})).await?;
        let deleted = self.counts().await?;
        let wrong = |is: &dyn Fn(&Counts) -> bool| {
            counts
                .iter()
                .chain(&deleted)
                .filter(|counts| is(counts))
                .count() as u64
        };
        let delivered: u64 = counts.iter().map(|counts| counts.delivered).sum();
        Ok(vec![
            (
                "counts that do not add up",
                wrong(&|counts| !counts.add_up()),
            ),
            (
                "counts of another number owed than was made",
                wrong(&|counts| counts.owed != changes),
            ),
            (
                "deliveries counted as delivered that did not come, or the reverse",
                delivered.abs_diff(deliveries),
            ),
            (
                "deliveries pending at deleted endpoints",
                deleted.iter().map(|counts| counts.pending).sum(),
            ),
        ])
    }

    /// Asks something of each, as its owner.
    async fn each(&self, query: &str, variables: Value) -> Result<Vec<Value>, Failed> {
        let ask = async |http: &mut Http, number: usize| {
            let (Endpoint { id, key, .. }, mut variables) = (&self.all[number], variables.clone());
            variables["id"] = json!(id);
            http.ask(&self.target.request(key, query, &variables)).await
        };
        in_shares(
            self.at,
            CONNECTIONS.min(self.all.len()),
            self.all.len(),
            ask,
        )
        .await
    }
}

/// Deletes what an earlier run has left.
async fn sweep(target: &Target, http: &mut Http, key: &str) -> Result<(), Failed> {
    let left = http.ask(&target.request(key, LIST, &json!({}))).await?;
    for webhook in left["webhooks"].as_array().into_iter().flatten() {
        if webhook["description"] == OURS {
            http.ask(&target.request(key, DELETE, &json!({ "id": webhook["id"] })))
                .await?;
        }
    }
    Ok(())
}
