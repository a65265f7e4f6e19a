//! Upgrade to this version and rollback from it, one process after the other, beside the last release.
//!
//! `DEALWIRE_TEST_PREVIOUS` is the path of that release's binary, which `scripts/test --full` builds. The nextest profile
//! `default` leaves these tests out; without the variable they fail.

use std::process::Stdio;

use backbone::testkit::{Market, Services};
use tokio::process::Command;

use crate::kit::{BINARY, Party, Process, seed_with};
use crate::load::{Filter, Habit, Load, MID_PRICED, Plan, ReaderPlan, Subject, Truth, WriterPlan};

/// Acknowledged mutations, and changes pushed to each reader, in each state of the market.
const STEP: u64 = 60;

/// Everything but the gateway.
const PROJECTORS: &str = "seller,buyer,webhooks";

/// A market with two gateways and two processes that project, each of either version.
struct Mixed {
    market: Market,
    gateways: [Process; 2],
    projectors: [Process; 2],
    // The servers end with the market, after its processes.
    _services: Services,
}

// Goal: an upgrade, and a rollback after it, lose nothing and show nothing twice.
// Method: beside writers and readers, the processes of the last release are replaced by this version one by one, and back;
// with one of each, either version projects while the other hangs.
// Proves: acknowledged mutations, tables and pushes equal the log, and the tables equal a replay by this version.
#[tokio::test(flavor = "multi_thread")]
async fn market_is_upgraded_and_rolled_back_under_load() {
    let previous = previous();
    let mut market = Mixed::start(&previous).await;
    let mut load = Load::start(market.plan()).await;
    market.work(&load).await;

    for binary in [BINARY, previous.as_str()] {
        // The projections first: they must apply what a gateway of the other version appends.
        market.projectors[0].replace(binary).await;
        market.work(&load).await;
        market.gateways[0].replace(binary).await;
        market.work(&load).await;
        for hung in &market.projectors {
            hung.pause().await;
            market.work(&load).await;
            hung.resume().await;
        }

        market.gateways[1].replace(binary).await;
        market.projectors[1].replace(binary).await;
        market.work(&load).await;
    }

    load.stop_writing().await;
    load.finish(&Truth::of(&market.market).await).await;
    market.verify().await;
}

// Goal: each version finds what the other one wrote.
// Method: writers and readers use a gateway of each version; one after the other is killed, so that mutations which it left
// unanswered are repeated with their keys at the other one.
// Proves: each mutation is made once, and readers that resume there miss nothing.
#[tokio::test(flavor = "multi_thread")]
async fn gateways_of_two_versions_serve_each_others_clients() {
    let previous = previous();
    let mut market = Mixed::start(&previous).await;
    market.gateways[0].replace(BINARY).await;
    market.projectors[0].replace(BINARY).await;
    let mut load = Load::start(market.plan()).await;

    for _ in 0..2 {
        for which in 0..2 {
            market.work(&load).await;
            market.gateways[which].kill().await;
            market.work(&load).await;
            market.gateways[which].start();
            market.gateways[which].ready().await;
        }
    }

    load.stop_writing().await;
    load.finish(&Truth::of(&market.market).await).await;
    market.verify().await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "only the run knows where it has built the last release"
)]
fn previous() -> String {
    std::env::var("DEALWIRE_TEST_PREVIOUS").expect(
        "DEALWIRE_TEST_PREVIOUS must be the path of the last release's binary; scripts/test --full builds and sets it",
    )
}

impl Mixed {
    /// Starts a new market whose processes are all of one build.
    async fn start(binary: &str) -> Self {
        let services = Services::private().await;
        let market = services.market().await;
        seed_with(binary, &market).await;

        let started = Self {
            gateways: ["gateway"; 2].map(|role| Process::of_build(binary, &market, role)),
            projectors: [PROJECTORS; 2].map(|role| Process::of_build(binary, &market, role)),
            market,
            _services: services,
        };
        for process in started.gateways.iter().chain(&started.projectors) {
            process.ready().await;
        }
        started
    }

    /// Writers at both gateways, and readers of each kind that move on to the other when theirs ends.
    fn plan(&self) -> Plan {
        let gateways: Vec<String> = self.gateways.iter().map(Process::url).collect();
        let mut turned = gateways.clone();
        turned.rotate_left(1);

        let writer = WriterPlan {
            seller: Party::Seller,
            pace: None,
        };
        let mut readers = Vec::new();
        for order in [&gateways, &turned] {
            let reader = |filter, habit| ReaderPlan::filtered(Party::Buyer, filter, habit, order);
            readers.extend([
                reader(Filter::All, Habit::Socket),
                reader(Filter::All, Habit::Events),
                reader(Filter::All, Habit::Pulling),
                reader(MID_PRICED, Habit::Socket),
                reader(Filter::All, Habit::Conflating),
            ]);
            readers.push(ReaderPlan {
                subject: Subject::Access,
                ..ReaderPlan::new(Party::OtherBuyer, Habit::Socket, order)
            });
        }

        Plan {
            gateways,
            writers: vec![writer; 3],
            readers,
            access_changes_after: Some(40),
        }
    }

    /// Lets mutations be acknowledged and changes be pushed.
    async fn work(&self, load: &Load) {
        load.run_for(STEP).await;
        load.see(STEP as usize).await;
    }

    /// Compares the tables with a replay of the log by this version.
    async fn verify(&self) {
        let output = Command::new(BINARY)
            .arg("verify")
            .envs(self.market.environment())
            .env("DEALWIRE_LOG", "error")
            .stdin(Stdio::null())
            .output()
            .await
            .expect("the binary runs");

        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(output.status.success(), "{told}");
    }
}
