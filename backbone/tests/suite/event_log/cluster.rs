//! The log with three replicas on a cluster, which must be of version 2.11 or later. The nextest profile `nats`, in which
//! `scripts/test --full` runs these tests, uses the newest servers; the profile `default` leaves them out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use backbone::testkit::{NatsCluster, wait_for, wait_until};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::jetstream::{assert_holds_once, write_until_told};
use crate::logs::{ELECTION, TestLog, jetstream, opened, replicated_stream};

#[tokio::test]
async fn log_lets_exactly_one_of_64_writers_with_one_expectation_succeed() {
    super::log_lets_exactly_one_of_64_writers_with_one_expectation_succeed(
        TestLog::replicated().await,
    )
    .await;
}

#[tokio::test]
async fn log_has_all_five_thousand_events_of_32_writers_in_one_order() {
    super::log_has_all_five_thousand_events_of_32_writers_in_one_order(TestLog::replicated().await)
        .await;
}

#[tokio::test]
async fn log_keeps_every_acknowledged_append_once_when_its_leaders_are_killed() {
    // Goal: an acknowledged event is never lost and never stored twice when a leader is lost.
    // Method: eight writers append while the node that leads the log is killed and restarted, three times.
    // Proven: appends go on without the node, and the log has every acknowledged event once.
    let (cluster, urls) = replicated_stream().await;
    let log = jetstream(&urls);
    opened(&log).await;
    let stop = CancellationToken::new();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut writers = JoinSet::new();
    for number in 1..=8 {
        writers.spawn(write_until_told(
            log.clone(),
            number,
            stop.clone(),
            acknowledged.clone(),
            true,
        ));
    }
    let progress = async || {
        let goal = acknowledged.load(Ordering::SeqCst) + 100;
        wait_until(ELECTION, "the writers make progress", async || {
            acknowledged.load(Ordering::SeqCst) >= goal
        })
        .await;
    };

    for _ in 0..3 {
        progress().await;
        let leader = leader(&urls).await;
        cluster.node(leader).kill();
        progress().await;
        cluster.node(leader).restart().await;
        wait_until(ELECTION, "every replica holds the log", async || {
            replicas(&urls).await == Some(3)
        })
        .await;
    }

    stop.cancel();
    let written = writers.join_all().await;
    opened(&log).await;
    assert_holds_once(&log, &written).await;
}

/// Number of the node that leads the log.
async fn leader(urls: &str) -> usize {
    let name = wait_for(ELECTION, "the log has a leader", async || {
        cluster_info(urls).await?.leader
    })
    .await;
    NatsCluster::number(&name)
}

/// Replicas that hold all of the log, the leader included; `None` if the cluster does not answer.
async fn replicas(urls: &str) -> Option<usize> {
    let info = cluster_info(urls).await?;
    let following = info.replicas.iter().filter(|node| node.current).count();
    Some(following + usize::from(info.leader.is_some()))
}

async fn cluster_info(urls: &str) -> Option<async_nats::jetstream::stream::ClusterInfo> {
    let hosts: Vec<&str> = urls.split(',').collect();
    let client = async_nats::connect(hosts).await.ok()?;
    let mut stream = async_nats::jetstream::new(client)
        .get_stream("MARKET")
        .await
        .ok()?;
    stream.info().await.ok()?.cluster.clone()
}
