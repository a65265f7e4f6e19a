//! Export and import: the same messages at the same sequences, or nothing.

use std::io::Cursor;

use backbone::clock::Clock;
use backbone::contract::wire::Message;
use backbone::event_log::{EventLog, ImportError, ImportFile, LogImport, NatsAccess, Record};
use backbone::testkit::NatsServer;

use crate::deals::event;
use crate::logs::{
    MARKET, TestLog, jetstream, on_both_backends, opened, read, sqlite, store, tail,
};

/// Name of the file in which [`sqlite`] looks for the log.
const FILE: &str = "log.db";

on_both_backends! {
    exported_log_is_the_same_after_an_import,
    import_goes_on_where_it_stopped,
    log_that_was_reopened_keeps_all_its_epochs,
    import_refuses_what_is_not_the_whole_log,
    import_refuses_a_log_that_holds_something_else,
}

async fn exported_log_is_the_same_after_an_import(test: TestLog) {
    let text = exported(&filled(&test, 40).await).await;

    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    import_to_sqlite(&folder, &text).await.expect("it is whole");
    let embedded = sqlite(&folder).await;
    assert_same(&test.log, &embedded).await;

    let nats = NatsServer::start().await;
    import_to_jetstream(&nats, &text)
        .await
        .expect("it is whole");
    let production = jetstream(&nats.url());
    opened(&production).await;
    assert_same(&test.log, &production).await;

    for log in [&embedded, &production] {
        let next = store(log, &event(1, 2), 2).await;
        assert_eq!(next, 42, "the subject goes on after its last event");
    }
}

async fn import_goes_on_where_it_stopped(test: TestLog) {
    let text = exported(&filled(&test, 40).await).await;
    let part = first_messages(&text, 7);
    let nats = NatsServer::start().await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");

    for (text, written) in [(&part, 7), (&text, 34), (&text, 0)] {
        let done = import_to_sqlite(&folder, text).await;
        assert_eq!(done.expect("it is whole"), written);

        let done = import_to_jetstream(&nats, text).await;
        assert_eq!(done.expect("it is whole"), written);
    }

    assert_same(&test.log, &sqlite(&folder).await).await;
}

async fn log_that_was_reopened_keeps_all_its_epochs(test: TestLog) {
    filled(&test, 5).await;
    let before = test.log.epochs().await.expect("the log is up");
    let sequence = test.log.reopen(&Clock::system()).await;
    assert_eq!(sequence.expect("the log is up"), 7);

    // The handle stays one of the epoch before.
    let test = test.reopen().await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let nats = NatsServer::start().await;
    let text = exported(&test.log).await;
    import_to_sqlite(&folder, &text).await.expect("it is whole");
    import_to_jetstream(&nats, &text)
        .await
        .expect("it is whole");

    for log in [sqlite(&folder).await, jetstream(&nats.url())] {
        opened(&log).await;
        let epochs = log.epochs().await.expect("the log is up");
        assert_eq!(epochs.len(), 2);
        assert_eq!(epochs[0], before[0]);
        assert_eq!(log.epoch().await.expect("the log is up"), epochs[1]);
        assert_eq!(store(&log, &event(1, 2), 2).await, 8);
    }
}

async fn import_refuses_what_is_not_the_whole_log(test: TestLog) {
    let text = exported(&filled(&test, 5).await).await;
    let lines: Vec<&str> = text.lines().collect();
    let without = |line: usize| {
        let kept = lines.iter().enumerate().filter(|(at, _)| *at != line);
        kept.map(|(_, line)| format!("{line}\n"))
            .collect::<String>()
    };

    let epoch = test.log.epoch().await.expect("the log is up").0;
    let epoch = format!("\"epoch\":{epoch},");
    let faults = [
        (without(0), "line 1 of the file"),
        (without(1), "line 2 of the file: its sequence is 2, not 1"),
        (without(4), "line 5 of the file: its sequence is 5, not 4"),
        (
            without(6),
            "ends after message 5, but its header announces 6",
        ),
        (
            text.replacen(&epoch, "\"epoch\":5,", 1),
            "names epoch 5, which is not the last one",
        ),
        (
            text.replacen("\"sequence\":3", "\"sequence\":\"3\"", 1),
            "line 4 of the file",
        ),
        (
            text.replacen("\"market\":\"market\"", "\"market\":\"other\"", 1),
            "of market other",
        ),
    ];
    for (text, expected) in faults {
        let refused = check(&text).err().expect("something is missing");
        assert!(refused.to_string().contains(expected), "{refused}");
        assert!(matches!(refused, ImportError::Refused(_)), "{refused}");
    }
}

async fn import_refuses_a_log_that_holds_something_else(test: TestLog) {
    let text = exported(&filled(&test, 5).await).await;
    let nats = NatsServer::start().await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");

    // Logs of their own, with an epoch of their own.
    let embedded = sqlite(&folder).await;
    let production = jetstream(&nats.url());
    opened(&production).await;

    for refused in [
        import_to_sqlite(&folder, &text).await,
        import_to_jetstream(&nats, &text).await,
    ] {
        let refused = refused.expect_err("they hold something else").to_string();
        assert!(refused.contains("its message 1 differs"), "{refused}");
    }

    for log in [&embedded, &production] {
        assert_eq!(log.head().await.expect("the log is up"), 1);
    }

    let short = first_messages(&text, 3);
    import_to_jetstream(&NatsServer::start().await, &short)
        .await
        .expect("it is whole by itself");
    let refused = import_to_own(&test, &short).await;
    let refused = refused.expect_err("the log has more").to_string();
    assert!(refused.contains("more than the 3 in the file"), "{refused}");
}

/// Appends this many events, and, where a fault can, a message that cannot be decoded.
async fn filled(test: &TestLog, count: u128) -> EventLog {
    for number in 1..=count {
        store(&test.log, &event(number, 1), 0).await;
    }

    test.log.clone()
}

async fn exported(log: &EventLog) -> String {
    let mut out = Vec::new();
    let header = log.export(&mut out, |_| {}).await.expect("the log is up");
    assert_eq!(header.market, MARKET);
    assert_eq!(header.count, log.head().await.expect("the log is up"));

    String::from_utf8(out).expect("lines of JSON")
}

/// The export of a log that ends after this many messages.
fn first_messages(text: &str, count: usize) -> String {
    let all = text.lines().count() - 1;
    let header = format!("\"count\":{all}");
    let shorter = text.replacen(&header, &format!("\"count\":{count}"), 1);

    let lines = shorter.lines().take(count + 1);
    lines.map(|line| format!("{line}\n")).collect()
}

fn check(text: &str) -> Result<ImportFile<Cursor<String>>, ImportError> {
    ImportFile::check(Cursor::new(text.to_owned()), MARKET)
}

async fn import_to_sqlite(folder: &tempfile::TempDir, text: &str) -> Result<u64, ImportError> {
    let mut file = check(text)?;
    let log = LogImport::sqlite(&folder.path().join(FILE)).await?;
    log.run(&mut file, |_| {}).await
}

async fn import_to_jetstream(nats: &NatsServer, text: &str) -> Result<u64, ImportError> {
    let mut file = check(text)?;
    let log =
        LogImport::jetstream(&nats.url(), &NatsAccess::default(), MARKET, Clock::system()).await?;
    log.run(&mut file, |_| {}).await
}

/// Imports into the log that the test wrote itself.
async fn import_to_own(test: &TestLog, text: &str) -> Result<u64, ImportError> {
    let mut file = check(text)?;
    let log = match test.place() {
        Ok(file) => LogImport::sqlite(&file).await?,
        Err(url) => {
            LogImport::jetstream(&url, &NatsAccess::default(), MARKET, Clock::system()).await?
        }
    };
    log.run(&mut file, |_| {}).await
}

async fn assert_same(a: &EventLog, b: &EventLog) {
    assert_eq!(a.epoch().await.unwrap(), b.epoch().await.unwrap());
    let [a, b] = [all(a).await, all(b).await];
    assert_eq!(a.len(), b.len());

    for (a, b) in a.iter().zip(&b) {
        assert_eq!((a.sequence, &a.subject), (b.sequence, &b.subject));
        assert_eq!(a.message, b.message);
    }
}

async fn all(log: &EventLog) -> Vec<Record> {
    let head = log.head().await.expect("the log is up");
    read(&mut tail(log, 0).await, head as usize).await
}

#[tokio::test]
async fn message_that_cannot_be_decoded_is_exported_and_imported_as_it_is() {
    let test = TestLog::sqlite().await;
    let headers = [("ce-id".into(), "not a UUID".to_owned())];
    let message = Message {
        headers: headers.into(),
        body: bytes::Bytes::from_static(&[0xff, 0, b'\n']),
    };
    test.insert(2, &("deal.nobody".to_owned(), message.clone()))
        .await;
    let same_again = ("deal.nobody".to_owned(), message);
    test.insert(3, &same_again).await;
    store(&test.log, &event(1, 1), 0).await;

    let text = exported(&test.log).await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    import_to_sqlite(&folder, &text).await.expect("it is whole");
    assert_same(&test.log, &sqlite(&folder).await).await;

    let nats = NatsServer::start().await;
    import_to_jetstream(&nats, &text)
        .await
        .expect("it is whole");
    let production = jetstream(&nats.url());
    opened(&production).await;
    assert_same(&test.log, &production).await;
}
