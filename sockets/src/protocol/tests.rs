//! Every transition and every close code of the state machine, as tables.

mod random_walk;

use super::*;

/// One input to the state machine.
#[derive(Debug, Clone)]
enum Input<'a> {
    Text(&'a str),
    Binary,
    Oversized,
    InitTimeout,
    Accepted(Option<&'a str>),
    Refused,
    PingDue(Option<&'a str>),
    PongMissed,
    Finished(&'a str),
    Failed(&'a str),
    Close(CloseCode),
}
use Input::{
    Accepted, Binary, Close, Failed, Finished, InitTimeout, Oversized, PingDue, PongMissed,
    Refused, Text,
};

const INIT: Input = Text(r#"{"type":"connection_init"}"#);
const SUBSCRIBE: Input = Text(r#"{"type":"subscribe","id":"1","payload":{"query":"{a}"}}"#);
const COMPLETE: Input = Text(r#"{"type":"complete","id":"1"}"#);
const PING: Input = Text(r#"{"type":"ping"}"#);
const PONG: Input = Text(r#"{"type":"pong"}"#);
const ERRORS: &str = r#"[{"message":"no"}]"#;
const LIMITS: Limits = Limits {
    max_operations: 3,
    max_message_bytes: 1024,
    max_id_bytes: 200,
};

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

impl Protocol {
    fn on_text(&mut self, text: &str) -> Option<Action> {
        let message = Message::decode(text, self.limits.max_id_bytes);
        self.on_message(message)
    }
}

fn feed(protocol: &mut Protocol, input: &Input) -> Option<Action> {
    match input {
        Text(text) => protocol.on_text(text),
        Binary => protocol.on_binary(),
        Oversized => protocol.on_oversized(),
        InitTimeout => protocol.init_timeout(),
        Accepted(payload) => protocol.init_accepted(payload.map(raw).as_deref()),
        Refused => protocol.init_refused(),
        PingDue(payload) => protocol.ping_due(payload.map(raw).as_deref()),
        PongMissed => protocol.pong_missed(),
        Finished(id) => protocol.operation_finished(id),
        Failed(id) => protocol.operation_failed(id, &raw(ERRORS)),
        Close(code) => protocol.close(*code),
    }
}

/// Returns the state of a connection after these inputs.
fn after(inputs: &[Input]) -> Protocol {
    let mut protocol = Protocol::new(LIMITS);
    for input in inputs {
        let _ = feed(&mut protocol, input);
    }
    protocol
}

/// Returns an action as one line of text.
fn describe(action: Option<Action>) -> String {
    match action {
        None => "-".to_owned(),
        Some(Action::Send(frame)) => frame.as_str().to_owned(),
        Some(Action::Authenticate { payload: None }) => "authenticate".to_owned(),
        Some(Action::Authenticate {
            payload: Some(payload),
        }) => {
            format!("authenticate {}", Value::from(payload))
        }
        Some(Action::Start { id, .. }) => format!("start {id}"),
        Some(Action::Stop { id }) => format!("stop {id}"),
        Some(Action::Close { code, reason }) => format!("close {} {reason}", code.code()),
    }
}

#[test]
fn protocol_answers_every_input_in_every_phase() {
    let ack = r#"{"type":"connection_ack"}"#;
    let pong = r#"{"type":"pong"}"#;
    let ping = r#"{"type":"ping"}"#;
    let unauthorized = "close 4401 Unauthorized";
    let twice = "close 4429 Too many initialisation requests";
    let forbidden = "close 4403 Forbidden";
    let late = "close 4408 Connection initialisation timeout";
    let duplicate = "close 4409 Subscriber for 1 already exists";
    let completed = r#"{"id":"1","type":"complete"}"#;
    let failed = r#"{"id":"1","type":"error","payload":[{"message":"no"}]}"#;
    let slow = "close 4290 Too slow: resume from your last position";
    let unknown = "close 4400 Invalid message: unknown type";
    let binary = "close 4400 Invalid message: must be text";
    let large = "close 4400 Invalid message: too large";

    #[rustfmt::skip]
    let table: [(Input, [&str; 5]); 17] = [
        // input            awaiting init  authenticating  acknowledged  one active  closed
        (INIT,              ["authenticate", twice,        twice,        twice,      "-"]),
        (SUBSCRIBE,         [unauthorized, unauthorized,   "start 1",    duplicate,  "-"]),
        (COMPLETE,          ["-",          "-",            "-",          "stop 1",   "-"]),
        (PING,              [pong,         pong,           pong,         pong,       "-"]),
        (PONG,              ["-",          "-",            "-",          "-",        "-"]),
        (Text(r#"{"type":"next"}"#), [unknown, unknown,    unknown,      unknown,    "-"]),
        (Binary,            [binary,       binary,         binary,       binary,     "-"]),
        (Oversized,         [large,        large,          large,        large,      "-"]),
        (InitTimeout,       [late,         "-",            "-",          "-",        "-"]),
        (Accepted(None),    ["-",          ack,            "-",          "-",        "-"]),
        (Refused,           ["-",          forbidden,      "-",          "-",        "-"]),
        (PingDue(None),     [ping,         ping,           ping,         ping,       "-"]),
        (PongMissed,        [slow,         slow,           slow,         slow,       "-"]),
        (Finished("1"),     ["-",          "-",            "-",          completed,  "-"]),
        (Failed("1"),       ["-",          "-",            "-",          failed,     "-"]),
        (Finished("2"),     ["-",          "-",            "-",          "-",        "-"]),
        (Close(CloseCode::Forbidden), [forbidden, forbidden, forbidden,  forbidden,  "-"]),
    ];
    let starts: [&[Input]; 5] = [
        &[],
        &[INIT],
        &[INIT, Accepted(None)],
        &[INIT, Accepted(None), SUBSCRIBE],
        &[INIT, Accepted(None), SUBSCRIBE, PongMissed],
    ];

    for (input, expected) in table {
        for (start, expected) in starts.iter().zip(expected) {
            let mut protocol = after(start);
            let action = feed(&mut protocol, &input);
            let closes = matches!(action, Some(Action::Close { .. }));
            assert_eq!(describe(action), expected, "{input:?} after {start:?}");
            assert!(
                !closes || protocol.is_closed() && protocol.active_operations() == 0,
                "{input:?}"
            );
        }
    }
}

/// Malformed messages with the end of the close reason.
const MALFORMED: &[(&str, &str)] = &[
    ("", "must be a JSON object"),
    ("nonsense", "must be a JSON object"),
    ("null", "must be a JSON object"),
    ("[]", "must be a JSON object"),
    (r#"["ping",null,null]"#, "must be a JSON object"),
    (r#"{"type":"ping"} {}"#, "must be a JSON object"),
    (r#"{"type":"ping","type":"ping"}"#, "must be a JSON object"),
    (r#"{"type":"ping""#, "must be a JSON object"),
    ("{}", "type must be a string"),
    (r#"{"type":null}"#, "type must be a string"),
    (r#"{"type":1}"#, "type must be a string"),
    (r#"{"type":"connection_terminate"}"#, "unknown type"),
    (r#"{"type":""}"#, "unknown type"),
    (
        r#"{"type":"connection_init","payload":[]}"#,
        "payload must be an object or null",
    ),
    (
        r#"{"type":"connection_init","payload":"x"}"#,
        "payload must be an object or null",
    ),
    (
        r#"{"type":"ping","payload":1}"#,
        "payload must be an object or null",
    ),
    (
        r#"{"type":"pong","payload":"x"}"#,
        "payload must be an object or null",
    ),
    (r#"{"type":"complete"}"#, "id must be a non-empty string"),
    (
        r#"{"type":"complete","id":null}"#,
        "id must be a non-empty string",
    ),
    (
        r#"{"type":"complete","id":1}"#,
        "id must be a non-empty string",
    ),
    (
        r#"{"type":"complete","id":""}"#,
        "id must be a non-empty string",
    ),
    (
        r#"{"type":"complete","id":"\ud800"}"#,
        "id must be a non-empty string",
    ),
    (
        r#"{"type":"subscribe","payload":{"query":"{a}"}}"#,
        "id must be a non-empty string",
    ),
    (
        r#"{"type":"subscribe","id":"1"}"#,
        "payload must be an object",
    ),
    (
        r#"{"type":"subscribe","id":"1","payload":null}"#,
        "payload must be an object",
    ),
    (
        r#"{"type":"subscribe","id":"1","payload":["{a}"]}"#,
        "payload must be an object",
    ),
    (
        r#"{"type":"subscribe","id":"1","payload":{}}"#,
        "payload.query must be a string",
    ),
    (
        r#"{"type":"subscribe","id":"1","payload":{"documentId":7}}"#,
        "payload.query must be a string",
    ),
    (
        r#"{"type":"subscribe","id":"1","payload":{"query":1}}"#,
        "payload.query must be a string",
    ),
    (
        r#"{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":[]}}"#,
        "payload.variables must be an object or null",
    ),
    (
        r#"{"type":"subscribe","id":"1","payload":{"query":"{a}","operationName":1}}"#,
        "payload.operationName must be a string or null",
    ),
    (
        r#"{"type":"subscribe","id":"1","payload":{"query":"{a}","extensions":"x"}}"#,
        "payload.extensions must be an object or null",
    ),
];

#[test]
fn protocol_closes_with_4400_after_a_malformed_message() {
    let deep = format!(
        r#"{{"type":"connection_init","payload":{{"a":{}{}}}}}"#,
        "[".repeat(500),
        "]".repeat(500)
    );
    let long = format!(r#"{{"type":"complete","id":"{}"}}"#, "x".repeat(201));
    let generated = [
        (deep.as_str(), "payload must be an object or null"),
        (long.as_str(), "id is too long"),
    ];

    for (text, reason) in MALFORMED.iter().chain(&generated) {
        let mut protocol = after(&[INIT, Accepted(None)]);
        let expected = format!("close 4400 Invalid message: {reason}");
        assert_eq!(describe(protocol.on_text(text)), expected, "{text}");
    }
}

#[test]
fn protocol_tolerates_null_absent_and_unknown_fields() {
    let pong = r#"{"type":"pong"}"#;
    let rows = [
        (
            r#"{"type":"connection_init","payload":null}"#,
            "authenticate",
        ),
        (
            r#"{"type":"connection_init","payload":{"x-api-key":"k"}}"#,
            r#"authenticate {"x-api-key":"k"}"#,
        ),
        (
            " {\"payload\":{},\n\"more\":[1],\"type\":\"connection_init\"}",
            "authenticate {}",
        ),
        (r#"{"type":"ping","payload":null}"#, pong),
        (r#"{"type":"p\u0069ng"}"#, pong),
        (
            r#"{"type":"ping","payload": {"z":123456789012345678901234567890, "a":"\u00e9"}}"#,
            r#"{"type":"pong","payload":{"z":123456789012345678901234567890, "a":"\u00e9"}}"#,
        ),
        (r#"{"type":"pong","payload":null}"#, "-"),
        (r#"{"type":"pong","payload":{"a":1},"id":7}"#, "-"),
    ];

    for (text, expected) in rows {
        assert_eq!(describe(after(&[]).on_text(text)), expected, "{text}");
    }
}

#[test]
fn protocol_passes_the_whole_request_on() {
    let mut protocol = after(&[INIT, Accepted(None)]);
    let text = r#"{"type":"subscribe","id":"a\"b","payload":{"query":"subscription S { x }","operationName":"S",
        "variables":{"after":"p1","filter":{"n":[1,2.5,null]}},"extensions":{"e":1},"docId":"ignored"}}"#;
    let Some(Action::Start { id, request }) = protocol.on_text(text) else {
        panic!("not started")
    };

    assert_eq!(&*id, "a\"b");
    assert_eq!(request.query.as_deref(), Some("subscription S { x }"));
    assert_eq!(request.document_id, None);
    assert_eq!(request.operation_name.as_deref(), Some("S"));
    let variables = serde_json::to_string(&request.variables).unwrap();

    assert_eq!(variables, r#"{"after":"p1","filter":{"n":[1,2.5,null]}}"#);
    assert_eq!(Value::from(request.extensions).to_string(), r#"{"e":1}"#);

    let bare = r#"{"type":"subscribe","id":"2","payload":
        {"query":"","operationName":null,"variables":null,"extensions":null}}"#;
    let Some(Action::Start { request, .. }) = protocol.on_text(bare) else {
        panic!("not started")
    };

    assert!(
        request.operation_name.is_none()
            && request.variables.is_empty()
            && request.extensions.is_empty()
    );
}

#[test]
fn protocol_takes_documents_by_their_id() {
    let rows = [
        (r#""documentId":"d","doc_id":"e","id":"f""#, Some("d")),
        (r#""documentId":null,"doc_id":"e","id":"f""#, Some("e")),
        (r#""doc_id":7,"id":"f""#, Some("f")),
        (r#""extensions":{"persistedQuery":{}}"#, None),
    ];

    for (members, id) in rows {
        let text = format!(r#"{{"type":"subscribe","id":"1","payload":{{{members}}}}}"#);
        let mut protocol = after(&[INIT, Accepted(None)]);
        let Some(Action::Start { request, .. }) = protocol.on_text(&text) else {
            panic!("not started: {text}")
        };
        assert_eq!(request.query, None, "{text}");
        assert_eq!(request.document_id.as_deref(), id, "{text}");
    }
}

#[test]
fn protocol_frees_an_id_after_either_side_completed() {
    for end in [COMPLETE, Finished("1"), Failed("1")] {
        let mut protocol = after(&[INIT, Accepted(None), SUBSCRIBE, end.clone()]);
        assert!(!protocol.is_active("1"), "{end:?}");
        assert_eq!(
            describe(feed(&mut protocol, &COMPLETE)),
            "-",
            "late complete after {end:?}"
        );
        assert_eq!(
            describe(feed(&mut protocol, &SUBSCRIBE)),
            "start 1",
            "after {end:?}"
        );
        assert!(protocol.is_active("1"));
    }
}

#[test]
fn protocol_rejects_one_operation_too_many_and_keeps_the_socket_open() {
    let mut protocol = after(&[INIT, Accepted(None), SUBSCRIBE]);
    let subscribe =
        |id| format!(r#"{{"type":"subscribe","id":"{id}","payload":{{"query":"{{a}}"}}}}"#);

    assert_eq!(describe(protocol.on_text(&subscribe("2"))), "start 2");
    assert_eq!(describe(protocol.on_text(&subscribe("3"))), "start 3");
    let rejection: Value =
        serde_json::from_str(&describe(protocol.on_text(&subscribe("4")))).unwrap();

    assert_eq!(
        (&rejection["id"], &rejection["type"]),
        (&"4".into(), &"error".into())
    );
    assert_eq!(
        rejection["payload"][0]["extensions"]["code"],
        "LIMIT_EXCEEDED"
    );
    assert!(!protocol.is_closed() && !protocol.is_active("4"));
    assert_eq!(protocol.active_operations(), 3);
    assert_eq!(
        describe(feed(&mut protocol, &Finished("2"))),
        r#"{"id":"2","type":"complete"}"#
    );
    assert_eq!(describe(protocol.on_text(&subscribe("4"))), "start 4");
}

#[test]
fn protocol_sends_the_payloads_of_ack_and_ping() {
    let mut protocol = after(&[INIT]);
    let ack = feed(&mut protocol, &Accepted(Some(r#"{"v":1}"#)));

    assert_eq!(
        describe(ack),
        r#"{"type":"connection_ack","payload":{"v":1}}"#
    );
    let ping = feed(&mut protocol, &PingDue(Some(r#"{"position":"p9"}"#)));

    assert_eq!(
        describe(ping),
        r#"{"type":"ping","payload":{"position":"p9"}}"#
    );
}

#[test]
fn frames_escape_ids_and_keep_payloads() {
    for id in ["1", "a\"b\\c", "\n\u{1}\u{7f}é\u{1f980}", "</script>"] {
        let header = frame::next_header(id);
        let payload = r#"{"data":{"x": 1}}"#;
        let next = [header.as_str(), payload, frame::NextHeader::TAIL].concat();
        assert!(next.ends_with(r#","type":"next","payload":{"data":{"x": 1}}}"#));

        let complete = frame::complete(id).as_str().to_owned();
        let error = frame::error(id, &raw(ERRORS)).as_str().to_owned();
        for frame in [next, complete, error] {
            let value: Value = serde_json::from_str(&frame).unwrap();
            assert_eq!(value["id"], id);
        }
    }
}

#[test]
fn close_codes_have_their_documented_numbers_and_reasons() {
    let codes = CloseCode::ALL.map(CloseCode::code);

    assert_eq!(
        codes,
        [4400, 4401, 4403, 4406, 4408, 4409, 4429, 4290, 1012, 1013]
    );
    for code in CloseCode::ALL {
        let expected = format!("close {} {}", code.code(), code.reason());
        assert_eq!(
            describe(after(&[INIT, Accepted(None), SUBSCRIBE]).close(code)),
            expected
        );
        assert!(code.reason().len() <= MAX_REASON_BYTES);
    }
}

#[test]
fn close_reason_is_cut_between_characters_when_too_long() {
    let subscribe = format!(
        r#"{{"type":"subscribe","id":"x{}","payload":{{"query":"{{a}}"}}}}"#,
        "é".repeat(99)
    );
    let mut protocol = after(&[INIT, Accepted(None), Text(&subscribe)]);
    let Some(Action::Close { code, reason }) = protocol.on_text(&subscribe) else {
        panic!("not closed")
    };

    assert_eq!(code, CloseCode::DuplicateSubscriber);
    assert!(
        reason.len() == MAX_REASON_BYTES || reason.len() == MAX_REASON_BYTES - 1,
        "{}",
        reason.len()
    );
    assert!(reason.starts_with("Subscriber for xéé"));
}
