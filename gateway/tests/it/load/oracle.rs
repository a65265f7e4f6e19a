//! What should have been: the log, read from its first event to its head when all writing is over, and everything
//! that follows from it. It knows nothing of how pushes are made.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backbone::checkpoint::Tables;
use backbone::clock::Clock;
use backbone::contract::{Event, Fact};
use backbone::event_log::EventLog;
use backbone::lifecycle::Lifecycle;
use backbone::position::{Epoch, Position};
use backbone::telemetry::Metrics;
use backbone::testkit::{Market, wait_for};
use serde_json::{Value, json};
use uuid::Uuid;

use super::compare::Audience;
use super::due::{due, pair_of};
use super::plan::ReaderPlan;
use super::reader::Reader;
use super::writer::{Ledger, Written};
use crate::kit::{Client, DEADLINE, End, Party};

/// The log.
pub(crate) struct Truth {
    epoch: Epoch,
    /// The event at place n is the one of index n - 1.
    events: Vec<Event>,
}

/// What a load came to.
pub(crate) struct Report {
    readers: usize,
    changes: usize,
    pushes: usize,
    ends: HashMap<String, usize>,
}

impl Truth {
    /// Of a market on servers.
    pub(crate) async fn of(market: &Market) -> Self {
        let log = EventLog::jetstream(
            &market.nats_url,
            &market.market,
            Tables::none(),
            Clock::system(),
            &Metrics::new(),
        );
        Self::read(&log.expect("a URL of NATS")).await
    }

    /// Of an embedded market whose process has ended.
    pub(crate) async fn of_folder(folder: &Path) -> Self {
        let (lifecycle, file) = (Lifecycle::new(), folder.join("market-log.sqlite"));
        let log = EventLog::sqlite(
            &file,
            "market",
            Tables::none(),
            Clock::system(),
            &lifecycle,
            &Metrics::new(),
        )
        .await;
        let truth = Self::read(&log.expect("the log can be opened")).await;
        lifecycle
            .finish(Duration::ZERO)
            .await
            .expect("the log ends well");
        truth
    }

    async fn read(log: &EventLog) -> Self {
        let epoch = wait_for(DEADLINE, "the log is there", async || {
            log.epoch().await.ok()
        })
        .await;
        let head = log.head().await.expect("the log's head");
        let mut tail = log.tail(0).await.expect("the log's tail");
        let mut events = Vec::new();
        while (events.len() as u64) < head {
            let records = tail.batch(1_000).await.expect("the log goes on");
            events.extend(
                records
                    .into_iter()
                    .map(|record| record.event.expect("an event of today")),
            );
        }
        Self { epoch, events }
    }

    fn numbered(&self) -> impl Iterator<Item = (u64, &Event)> {
        self.events
            .iter()
            .zip(1..)
            .map(|(event, sequence)| (sequence, event))
    }

    /// Every subject's revisions, and every deal's versions, rise by exactly one.
    pub(super) fn check_order(&self) {
        let (mut revisions, mut versions) = (HashMap::new(), HashMap::new());
        for (sequence, event) in self.numbered() {
            let before = revisions
                .insert(event.subject, event.fact.revision())
                .unwrap_or(0);
            assert_eq!(
                event.fact.revision(),
                before + 1,
                "{} at {sequence}",
                event.subject
            );
            if let Fact::Deal(fact) = &event.fact {
                let before = versions
                    .insert(fact.deal.id, fact.deal.version)
                    .unwrap_or(0);
                assert_eq!(
                    fact.deal.version,
                    before + 1,
                    "{} at {sequence}",
                    event.subject
                );
            }
        }
    }

    /// Every acknowledged mutation stands where its answer says, and nobody else wrote.
    pub(super) fn check_acknowledged(&self, ledger: &Ledger) {
        let written = ledger.deals.lock().clone();
        let mut places = HashSet::new();
        for mutation in &written {
            assert_eq!(mutation.position.epoch, self.epoch);
            let index = usize::try_from(mutation.position.sequence).expect("a small number") - 1;
            let stands = self.events.get(index).map(|event| &event.fact);
            let Some(Fact::Deal(fact)) = stands else {
                panic!("{mutation:?} was lost: {stands:?}")
            };
            let found = Written {
                position: mutation.position,
                deal: fact.deal.id.0,
                version: u64::from(fact.deal.version),
                name: fact.deal.name.clone(),
                status: fact.deal.status.as_str().to_owned(),
                total_price: fact.deal.total_price.get(),
            };
            assert_eq!(&found, mutation);
            assert!(places.insert(index), "{mutation:?} shares its place");
        }
        self.check_creations(&written);
        // Whatever of these deals has no acknowledgement would be a mutation made twice.
        let deals: HashSet<Uuid> = written.iter().map(|mutation| mutation.deal).collect();
        let stored = self
            .deals()
            .filter(|(_, deal)| deals.contains(&deal.id.0))
            .count();
        assert_eq!(
            stored,
            written.len(),
            "mutations of deals are in the log once"
        );
        let pair = (Party::Seller.id(), Party::OtherBuyer.id());
        let access = self
            .events
            .iter()
            .filter(|event| pair_of(event) == Some(pair))
            .count();
        assert_eq!(
            access as u64,
            ledger.access.load(Ordering::SeqCst),
            "grants are in the log once"
        );
    }

    /// Checks that every deal was created once. Whoever repeated a creation that had happened made a second deal, whose id no answer
    /// may ever have told: only its name gives it away.
    fn check_creations(&self, written: &[Written]) {
        let mut created: HashMap<&str, usize> = HashMap::new();
        for (_, deal) in self.deals().filter(|(_, deal)| deal.version == 1) {
            *created.entry(&deal.name).or_default() += 1;
        }

        for mutation in written.iter().filter(|mutation| mutation.version == 1) {
            let count = created.get(mutation.name.as_str());
            assert_eq!(count, Some(&1), "creations of {mutation:?}");
        }
    }

    fn deals(&self) -> impl Iterator<Item = (u64, &backbone::contract::Deal)> {
        self.numbered()
            .filter_map(|(sequence, event)| match &event.fact {
                Fact::Deal(fact) => Some((sequence, &fact.deal)),
                _ => None,
            })
    }

    /// The place of the last change that a reader is to be shown.
    pub(super) fn last_for(&self, plan: &ReaderPlan, begin: Position) -> u64 {
        due(&self.events, plan, begin.sequence)
            .last()
            .map_or(begin.sequence, |due| due.sequence)
    }

    /// Checks that each reader was shown what was due to it, as it reads.
    pub(super) fn check_readers(&self, begin: Position, readers: &[Arc<Reader>]) -> Report {
        let mut audiences = HashMap::new();
        let mut pushes = 0;
        let mut ends = HashMap::new();
        for reader in readers {
            let plan = reader.plan();
            let audience = audiences
                .entry((plan.party, plan.subject))
                .or_insert_with(|| Audience::of(plan, &self.events, begin));
            pushes += audience.check(reader);
            for (_, end) in reader.ends() {
                *ends.entry(name(end)).or_default() += 1;
            }
        }

        let changes = self.events.len() - usize::try_from(begin.sequence).expect("a small number");
        Report {
            readers: readers.len(),
            changes,
            pushes,
            ends,
        }
    }

    /// Both sides' tables, as every gateway shows them to every party, hold the last event of each deal.
    pub(super) async fn check_tables(&self, gateways: &[String]) {
        let head = Position::end_of(self.epoch, self.events.len() as u64).encode();
        for gateway in gateways {
            for party in [
                Party::Seller,
                Party::OtherSeller,
                Party::Buyer,
                Party::OtherBuyer,
            ] {
                let held = wait_for(
                    DEADLINE,
                    "the tables have reached the log's head",
                    async || tables(gateway, party, &head).await,
                )
                .await;
                let wrong: Vec<_> = held
                    .symmetric_difference(&self.visible_to(party))
                    .cloned()
                    .collect();
                assert!(
                    wrong.is_empty(),
                    "{party:?}'s deals differ from the log: {wrong:?}"
                );
            }
        }
    }

    /// What a party may query at the end.
    fn visible_to(&self, party: Party) -> HashSet<Row> {
        let mut open = HashSet::from([party.id()]);
        for event in &self.events {
            match (&event.fact, pair_of(event)) {
                (Fact::Access(fact), Some((seller, buyer))) if buyer == party.id() => {
                    if fact.granted {
                        open.insert(seller)
                    } else {
                        open.remove(&seller)
                    };
                }
                _ => {}
            }
        }
        let last: HashMap<Uuid, &backbone::contract::Deal> =
            self.deals().map(|(_, deal)| (deal.id.0, deal)).collect();
        let visible = last
            .into_values()
            .filter(|deal| open.contains(&deal.seller_id.0));
        visible
            .map(|deal| Row {
                id: deal.id.0,
                version: u64::from(deal.version),
                name: deal.name.clone(),
                status: deal.status.as_str().to_owned(),
            })
            .collect()
    }
}

/// A deal as far as tables are compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Row {
    id: Uuid,
    version: u64,
    name: String,
    status: String,
}

/// All of a party's deals, page by page; `None` when the tables have not come to a position.
async fn tables(gateway: &str, party: Party, position: &str) -> Option<HashSet<Row>> {
    let (client, field) = (Client::new(gateway, Some(party.key())), party.deals_field());
    let query = format!(
        "query($at: Position, $after: String) {{ {field}(first: 100, after: $after, minPosition: $at) {{
            nodes {{ id version name status }} pageInfo {{ hasNextPage endCursor }} }} }}"
    );
    let (mut rows, mut after) = (HashSet::new(), Value::Null);
    loop {
        let answer = client
            .execute(&query, json!({ "at": position, "after": after }))
            .await;
        let page = answer.body["data"][field].as_object()?;
        for node in page["nodes"].as_array().expect("nodes") {
            let text = |field: &str| node[field].as_str().expect("a text").to_owned();
            let row = Row {
                id: text("id").parse().expect("a UUID"),
                version: node["version"].as_u64().expect("a version"),
                name: text("name"),
                status: text("status"),
            };
            assert!(rows.insert(row), "a deal is on two pages");
        }
        if page["pageInfo"]["hasNextPage"] != true {
            return Some(rows);
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

fn name(end: End) -> String {
    match end {
        End::Closed(code) => format!("closed with {code}"),
        End::Later => "told to come later".to_owned(),
        End::Broken => "broken or refused".to_owned(),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} clients × {} changes: each exactly once, in order",
            self.readers, self.changes
        )
    }
}

impl Report {
    /// How much was pushed, and how connections ended.
    pub(crate) fn details(&self) -> String {
        let mut ends: Vec<_> = self
            .ends
            .iter()
            .map(|(end, count)| format!("{count} {end}"))
            .collect();
        ends.sort();
        format!("{} pushes; connections: {}", self.pushes, ends.join(", "))
    }
}
