//! Settings that make sense together, and those that do not.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    settings: Settings,
}

fn check(line: &str) -> Result<Config, Vec<String>> {
    let words = std::iter::once("dealwire").chain(line.split_whitespace());
    CommandLine::try_parse_from(words)
        .expect("the flags exist")
        .settings
        .check(true)
}

#[test]
fn settings_default_to_the_embedded_demo_on_loopback() {
    let config = check("").expect("the defaults make sense");
    assert!(matches!(config.mode, Mode::Embedded { .. }));
    assert_eq!(config.roles, Roles::ALL);
    assert_eq!(config.demo, Demo::Loopback);
    assert!(config.listen.ip().is_loopback());
}

#[test]
fn settings_report_every_fault_at_once() {
    let faults = check(
        "--listen nowhere --market Big! --roles gateway,chef --nats-url nats://n --demo --no-demo \
         --webhook-secrets-key short --webhook-allow-net 10.0.0.0/8,home",
    );
    let faults = faults.expect_err("seven faults").join("\n");
    for expected in [
        "--listen must be an IP address and a port such as 127.0.0.1:8080, but is \"nowhere\"",
        "--market must be 1 to 64 lower-case letters, digits, - and _, but is \"Big!\"",
        "unknown role \"chef\"",
        "also set DEALWIRE_REDIS_URL, DEALWIRE_SELLER_DATABASE_URL, DEALWIRE_BUYER_DATABASE_URL",
        "exclude each other",
        "DEALWIRE_WEBHOOK_SECRETS_KEY must be 32 bytes",
        "but one of them is \"home\"",
    ] {
        assert!(faults.contains(expected), "{expected} is not in {faults}");
    }
}

#[test]
fn settings_require_the_webhook_secrets_key_in_production_where_it_is_used() {
    let stores = "--nats-url nats://n --redis-url redis://r --seller-database-url postgres://p/s \
                  --buyer-database-url postgres://p/b";

    let faults = check(stores).expect_err("the key is missing");
    assert!(
        faults
            .iter()
            .any(|fault| fault.contains("DEALWIRE_WEBHOOK_SECRETS_KEY")),
        "{faults:?}"
    );

    check(&format!("{stores} --roles seller,buyer")).expect("projections need no key");
}

#[test]
fn settings_never_print_secrets() {
    let line = "--nats-url nats://u:hush@n --redis-url redis://:hush@r --seller-database-url postgres://u:hush@p/s \
         --buyer-database-url postgres://u:hush@p/b --roles gateway \
         --webhook-secrets-key aHVzaGh1c2hodXNoaHVzaGh1c2hodXNoaHVzaGh1c2g=";
    let config = check(line).expect("production");
    let printed = format!("{config:?}");
    assert!(
        !printed.contains("hush") && !printed.contains("aHVza") && !printed.contains("104, 117")
    );
}

#[test]
fn settings_of_documents_need_files_where_nothing_else_is_executed() {
    let config = check("--trusted-documents a.json --trusted-documents b.json,c.json");
    let documents = config.expect("files alone make sense").documents;
    assert_eq!(documents.trusted.len(), 3);
    assert!(!documents.rules.trusted_only);

    let faults = check("--trusted-documents-only").expect_err("there are no documents");
    assert_eq!(
        faults,
        ["--trusted-documents-only requires --trusted-documents"]
    );
}
