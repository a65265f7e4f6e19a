//! The stream's configuration: how a new one is made, and what makes an existing one unfit.

use std::time::Duration;

use async_nats::jetstream::stream::{
    Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType,
};

/// First version whose replicated streams never accept two publishes with one expectation
/// (nats-server issue 4320).
const REPLICAS_SAFE_FROM: (i64, i64) = (2, 11);
/// First version in which a stream with `max_bytes` never drops its oldest message for one that it
/// should have refused (nats-server issue 4771, fixed within 2.10).
const MAX_BYTES_SAFE_FROM: (i64, i64) = (2, 11);

/// Kinds of subjects of a market, below its name. Only these are bound, so that a message that is
/// none of the market's never gets into the stream.
const KINDS: [&str; 4] = ["opened", "deal.*.*", "access.*.*", "decision.*"];

/// Returns the subjects that a market's stream binds.
pub(super) fn subjects(market: &str) -> Vec<String> {
    KINDS
        .iter()
        .map(|kind| format!("{market}.{kind}"))
        .collect()
}

/// Returns the configuration of a new stream.
pub(super) fn config(name: &str, market: &str, replicas: usize) -> Config {
    Config {
        name: name.to_owned(),
        subjects: subjects(market),
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        // A full log refuses events; it never forgets one.
        discard: DiscardPolicy::New,
        deny_delete: true,
        deny_purge: true,
        num_replicas: replicas,
        duplicate_window: Duration::from_secs(120),
        ..Config::default()
    }
}

/// Returns whether a stream binds other subjects than a market's, as those of version 0.1.0 do.
pub(super) fn binds_others(config: &Config, market: &str) -> bool {
    config.subjects != subjects(market)
}

/// Returns a subject of the market that a stream does not bind: events under it would not be stored.
pub(super) fn unbound(config: &Config, market: &str) -> Option<String> {
    let all = format!("{market}.>");
    if config.subjects.contains(&all) {
        return None;
    }

    subjects(market)
        .into_iter()
        .find(|subject| !config.subjects.contains(subject))
}

/// Returns why a stream would lose events that it has acknowledged, or acknowledge events that it
/// should refuse, by the name of the setting. `is_from` says whether the server has a version or a
/// later one.
pub(super) fn fault(config: &Config, is_from: impl Fn((i64, i64)) -> bool) -> Option<&'static str> {
    losses(config)
        .into_iter()
        .chain(lies(config))
        .chain(versions(config, is_from))
        .find_map(|(found, why)| found.then_some(why))
}

/// Settings by which a stream forgets what it has stored.
fn losses(config: &Config) -> [(bool, &'static str); 8] {
    [
        (
            config.max_age != Duration::ZERO,
            "loses old events: unset max_age",
        ),
        (
            config.allow_message_ttl,
            "loses events that name their own end: unset allow_msg_ttl",
        ),
        (
            config.max_messages_per_subject > 0,
            "loses old events: unset max_msgs_per_subject",
        ),
        (
            config.discard != DiscardPolicy::New,
            "loses old events: set discard to new",
        ),
        (
            config.retention != RetentionPolicy::Limits,
            "loses old events: set retention to limits",
        ),
        (
            config.storage != StorageType::File,
            "loses all events at a restart: set storage to file",
        ),
        (
            !config.deny_delete,
            "lets anybody delete events: set deny_delete",
        ),
        (
            !config.deny_purge,
            "lets anybody delete all events: set deny_purge",
        ),
    ]
}

/// Settings by which a stream answers or stores something other than it was sent.
fn lies(config: &Config) -> [(bool, &'static str); 5] {
    let has_sources = config.sources.as_ref().is_some_and(|all| !all.is_empty());
    [
        (
            config.persist_mode == Some(PersistenceMode::Async),
            "acknowledges events before they are stored: unset persist_mode",
        ),
        (
            config.no_ack,
            "does not say whether an event was stored: unset no_ack",
        ),
        (
            config.sealed,
            "takes no events any more, because it is sealed",
        ),
        (
            config.mirror.is_some() || has_sources,
            "takes events from other streams: unset mirror and sources",
        ),
        (
            config.subject_transform.is_some(),
            "stores events under other subjects: unset subject_transform",
        ),
    ]
}

/// Settings that are safe only from some version of the server on.
fn versions(config: &Config, is_from: impl Fn((i64, i64)) -> bool) -> [(bool, &'static str); 2] {
    [
        (
            config.max_bytes > 0 && !is_from(MAX_BYTES_SAFE_FROM),
            "may lose old events: unset max_bytes, which is safe from version 2.11",
        ),
        (
            config.num_replicas > 1 && !is_from(REPLICAS_SAFE_FROM),
            "has replicas, which may accept conflicting events before version 2.11",
        ),
    ]
}
