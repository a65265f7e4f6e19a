//! Who may import whom, and what stands in one place only.

use std::fs;
use std::path::{Path, PathBuf};

/// A crate and those of ours that it may use.
const MAY_IMPORT: [(&str, &[&str]); 10] = [
    ("backbone", &[]),
    ("seller-core", &["backbone"]),
    ("buyer-core", &["backbone"]),
    ("webhooks", &["backbone", "buyer-core"]),
    ("live", &["backbone", "buyer-core"]),
    ("sockets", &["backbone", "live"]),
    ("listener", &["backbone"]),
    ("documents", &[]),
    (
        "gateway",
        &[
            "backbone",
            "seller-core",
            "buyer-core",
            "webhooks",
            "live",
            "sockets",
            "listener",
            "documents",
        ],
    ),
    ("loadgen", &[]),
];
/// The crates that a market runs on. `loadgen` speaks to servers by itself: it measures from outside.
const MARKET: [&str; 9] = [
    "backbone",
    "seller-core",
    "buyer-core",
    "webhooks",
    "live",
    "sockets",
    "listener",
    "documents",
    "gateway",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is in the workspace")
        .to_owned()
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).expect("a text");
            found.push((path, text));
        }
    }
    found
}

#[test]
fn crates_import_only_what_the_design_allows() {
    for (name, allowed) in MAY_IMPORT {
        let manifest =
            fs::read_to_string(root().join(name).join("Cargo.toml")).expect("a manifest");
        for (other, _) in MAY_IMPORT {
            let imports = manifest
                .lines()
                .any(|line| line.starts_with(&format!("{other}.workspace")));
            assert_eq!(imports, allowed.contains(&other), "{name} and {other}");
        }
    }
}

#[test]
fn servers_are_known_in_one_module_each() {
    for (driver, only) in [
        ("async_nats::", "backbone/src/event_log/jetstream"),
        ("::redis::", "backbone/src/live_bus/redis"),
    ] {
        for name in MARKET {
            for (path, text) in sources(&root().join(name).join("src")) {
                let code = text
                    .lines()
                    .any(|line| !line.trim_start().starts_with("//") && line.contains(driver));
                let module = path.with_extension("");
                let allowed = module.ancestors().any(|folder| folder.ends_with(only))
                    || path.components().any(|part| part.as_os_str() == "testkit");
                assert!(!code || allowed, "{} uses {driver}", path.display());
            }
        }
    }
}

#[test]
fn files_say_what_they_own() {
    for name in MAY_IMPORT.map(|(name, _)| name) {
        for (path, text) in sources(&root().join(name).join("src")) {
            assert!(
                text.starts_with("//!"),
                "{} does not say what it owns",
                path.display()
            );
        }
    }
}

#[test]
fn there_is_one_provider_of_tls() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("a lock file");
    assert!(lock.contains("name = \"ring\""));
    assert!(
        !lock.contains("name = \"aws-lc-rs\""),
        "with two in the tree the first tls:// connection panics"
    );
    gateway::commands::install_tls_provider();
    // Panics if none, or more than one, could be meant.
    let _config = rustls::ClientConfig::builder();
}
