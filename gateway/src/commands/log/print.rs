//! Events as text for operators.

use std::fmt::Write;

use backbone::event_log::Record;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Characters that a terminal would act on rather than show.
const REPLACEMENT: char = '\u{fffd}';

/// Returns an event in one line.
pub(super) fn summary(record: &Record) -> String {
    let sequence = record.sequence;
    let subject = printable(&record.subject);

    match &record.event {
        Ok(event) => {
            let revision = event.fact.revision();
            let kind = event.fact.event_type();
            let time = event.time;
            format!(
                "{sequence} {time} {kind} {subject} revision {revision} id {}",
                event.id
            )
        }
        Err(why) => format!(
            "{sequence} {subject} cannot be decoded: {}",
            printable(&why.to_string())
        ),
    }
}

/// Returns an event with its headers and its body.
pub(super) fn details(record: &Record) -> String {
    let mut text = format!(
        "sequence: {}\nsubject: {}\n",
        record.sequence,
        printable(&record.subject)
    );
    if let Err(why) = &record.event {
        let why = printable(&why.to_string());
        writeln!(text, "cannot be decoded: {why}").expect("a string takes all text");
    }

    for (name, value) in &record.message.headers {
        let name = printable(name);
        let value = printable(value);
        writeln!(text, "{name}: {value}").expect("a string takes all text");
    }

    text + "\n" + &body(&record.message.body)
}

/// Returns a body as JSON over several lines, as text if it is none, or in Base64.
fn body(bytes: &[u8]) -> String {
    if let Ok(json) = serde_json::from_slice::<Value>(bytes) {
        return format!("{json:#}");
    }

    match std::str::from_utf8(bytes) {
        Ok(text) => printable(text),
        Err(_) => format!("base64: {}", STANDARD.encode(bytes)),
    }
}

/// Replaces control characters: what cannot be decoded may hold any, and a terminal obeys them.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { REPLACEMENT } else { c })
        .collect()
}
