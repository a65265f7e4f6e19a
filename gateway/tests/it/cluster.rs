//! A market on a cluster of three NATS servers that replicate its log.
//!
//! The servers must be of version 2.11 or later, which replicated logs require: the nextest profile `nats`, in which
//! `scripts/test --full` runs these tests, uses the newest. The profile `default` leaves them out.

use async_nats::jetstream::stream::{Config, DiscardPolicy, Info};
use backbone::testkit::{Market, NatsCluster, Services, wait_for, wait_until};

use crate::kit::{Process, seed};
use crate::load::{Load, PATIENCE, Plan, Truth};

// Goal: a market whose log is replicated survives the loss of any one node.
// Method: beside writers and readers, kill the node that leads the log, and start it again; three times, then each node once.
// Proves: mutations go on with another leader, and acknowledged mutations, tables and pushes equal the log.
#[tokio::test(flavor = "multi_thread")]
async fn replicated_log_goes_on_without_any_one_node() {
    let cluster = NatsCluster::start().await;
    let services = Services::shared_or_private().await;
    let market = Market {
        nats_url: cluster.urls(),
        ..services.market().await
    };
    create_stream(&market).await;
    seed(&market).await;
    let process = Process::with_role(&market, "gateway,seller,buyer,webhooks", &[]);
    process.ready_within(PATIENCE).await;
    let mut load = Load::start(Plan::small(&process.url())).await;

    for _ in 0..3 {
        load.see(50).await;
        let leader = leader(&market).await;
        lose(&cluster, leader, &market, &load).await;
    }
    for number in 0..3 {
        lose(&cluster, number, &market, &load).await;
    }

    load.stop_writing().await;
    load.finish(&Truth::of(&market).await).await;
}

/// Kills a node, lets the market work without it, and waits until it has caught up after its return.
async fn lose(cluster: &NatsCluster, number: usize, market: &Market, load: &Load) {
    cluster.node(number).kill();
    load.see(50).await;

    cluster.node(number).restart().await;
    wait_until(PATIENCE, "all nodes hold the log", async || {
        let Some(info) = info(market).await else {
            return false;
        };
        let Some(nodes) = info.cluster else {
            return false;
        };
        nodes.leader.is_some()
            && nodes.replicas.len() == 2
            && nodes.replicas.iter().all(|node| node.current)
    })
    .await;
}

/// Creates the stream with three replicas, as an operator does.
async fn create_stream(market: &Market) {
    let name = market.market.to_uppercase();
    let kinds = ["opened", "deal.*.*", "access.*.*", "decision.*"];
    let config = Config {
        name,
        subjects: kinds.map(|kind| format!("{}.{kind}", market.market)).into(),
        discard: DiscardPolicy::New,
        deny_delete: true,
        deny_purge: true,
        num_replicas: 3,
        ..Config::default()
    };

    let created = "the cluster has a leader that creates the stream";
    wait_until(PATIENCE, created, async || {
        let Ok(client) = async_nats::connect(hosts(market)).await else {
            return false;
        };
        let context = async_nats::jetstream::new(client);
        context.create_stream(config.clone()).await.is_ok()
    })
    .await;
}

/// Returns the number of the node that leads the log.
async fn leader(market: &Market) -> usize {
    let name = wait_for(PATIENCE, "the log has a leader", async || {
        info(market).await?.cluster?.leader
    })
    .await;
    NatsCluster::number(&name)
}

/// Reads what the cluster says about the stream; `None` if it does not answer.
async fn info(market: &Market) -> Option<Info> {
    let client = async_nats::connect(hosts(market)).await.ok()?;
    let context = async_nats::jetstream::new(client);

    let stream = context.get_stream(market.market.to_uppercase()).await;
    Some(stream.ok()?.cached_info().clone())
}

fn hosts(market: &Market) -> Vec<String> {
    market.nats_url.split(',').map(str::to_owned).collect()
}
