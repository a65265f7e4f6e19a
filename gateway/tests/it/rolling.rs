//! Upgrade to this version and rollback from it, one process after the other, beside the last release.
//!
//! `DEALWIRE_TEST_PREVIOUS` is the path of that release's binary, which `scripts/test --full` builds, and
//! `DEALWIRE_TEST_PREVIOUS_VERSION` its version. The nextest profile `default` leaves these tests out; without the
//! variables they fail.

use std::process::Stdio;

use backbone::testkit::{Market, Services};
use tokio::process::Command;

use crate::kit::{BINARY, Party, Process, dealwire, seed_with};
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
// with one of each, either version projects while the other hangs. Version 0.1.0 cannot be started again beside newer
// tables, which later ones can: there it is shown that it refuses, and that this version goes on.
// Proves: acknowledged mutations, tables and pushes equal the log, and the tables equal a replay by this version.
#[tokio::test(flavor = "multi_thread")]
async fn market_is_upgraded_and_rolled_back_under_load() {
    let previous = Previous::given();
    let mut market = Mixed::start(&previous.binary).await;
    let mut load = Load::start(market.plan()).await;
    market.work(&load).await;

    market.replace_all(BINARY, &load).await;
    if previous.starts_beside_newer_tables() {
        market.replace_all(&previous.binary, &load).await;
    } else {
        previous.assert_refused(&market.market).await;
        market.work(&load).await;
    }

    load.stop_writing().await;
    load.finish(&Truth::of(&market.market).await).await;
    market.verify().await;
}

// Goal: each version finds what the other one wrote.
// Method: writers and readers use a gateway of each version; that of this version is killed and started again, and at last
// that of the last release is killed. Mutations that they left unanswered are repeated with their keys at the other one.
// Proves: each mutation is made once, and readers that resume there miss nothing.
#[tokio::test(flavor = "multi_thread")]
async fn gateways_of_two_versions_serve_each_others_clients() {
    let previous = Previous::given();
    let mut market = Mixed::start(&previous.binary).await;
    market.gateways[0].replace(BINARY).await;
    market.projectors[0].replace(BINARY).await;
    let mut load = Load::start(market.plan()).await;

    for _ in 0..3 {
        market.work(&load).await;
        market.gateways[0].kill().await;
        market.work(&load).await;
        market.gateways[0].start();
        market.gateways[0].ready().await;
    }
    market.gateways[1].kill().await;
    market.work(&load).await;
    market.gateways[1].start_as(BINARY);
    market.gateways[1].ready().await;
    market.work(&load).await;

    load.stop_writing().await;
    load.finish(&Truth::of(&market.market).await).await;
    market.verify().await;
}

/// The last release.
struct Previous {
    binary: String,
    version: String,
}

impl Previous {
    /// The release that the run was given.
    fn given() -> Self {
        Self {
            binary: setting("DEALWIRE_TEST_PREVIOUS"),
            version: setting("DEALWIRE_TEST_PREVIOUS_VERSION"),
        }
    }

    /// Whether it can be started where a newer version has migrated the tables.
    fn starts_beside_newer_tables(&self) -> bool {
        self.version != "0.1.0"
    }

    /// Checks that it says why it does not start there.
    async fn assert_refused(&self, market: &Market) {
        let output = Command::new(&self.binary)
            .arg("migrate")
            .envs(market.environment())
            .stdin(Stdio::null())
            .output()
            .await
            .expect("the binary runs");

        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{told}");
        assert!(
            told.contains("was previously applied but is missing"),
            "{told}"
        );
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "only the run knows where it has built the last release"
)]
fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: DEALWIRE_TEST_PREVIOUS is the binary of the last release and DEALWIRE_TEST_PREVIOUS_VERSION \
             its version; scripts/test --full builds the one and sets both"
        )
    })
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

    /// Replaces every process by one of another build, one by one under load.
    async fn replace_all(&mut self, binary: &str, load: &Load) {
        // A projector first: it must apply what gateways of the other version append.
        self.projectors[0].replace(binary).await;
        self.work(load).await;
        self.gateways[0].replace(binary).await;
        self.work(load).await;
        for hung in &self.projectors {
            hung.pause().await;
            self.work(load).await;
            hung.resume().await;
        }

        self.gateways[1].replace(binary).await;
        self.projectors[1].replace(binary).await;
        self.work(load).await;
    }

    /// Lets mutations be acknowledged and changes be pushed.
    async fn work(&self, load: &Load) {
        load.run_for(STEP).await;
        load.see(STEP as usize).await;
    }

    /// Compares the tables with a replay of the log by this version.
    async fn verify(&self) {
        dealwire(&self.market.environment(), &["verify"])
            .await
            .done();
    }
}
