//! Random walks through the state machine.

use std::collections::BTreeSet;

use super::*;

/// xorshift64: random enough for a walk, the same walk every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn message(&mut self, protocol: &Protocol) -> String {
        let id = self.roll(6);
        let free = (0..6)
            .find(|id| !protocol.is_active(&id.to_string()))
            .unwrap_or(id);
        let fresh = if self.roll(50) == 0 { id } else { free };
        let text = match self.roll(12) {
            0 => r#"{"type":"ping","payload":{"a":[1,"b"]}}"#.to_owned(),
            1 => r#"{"type":"pong"}"#.to_owned(),
            2..=4 => format!(r#"{{"type":"complete","id":"{id}"}}"#),
            _ => format!(r#"{{"type":"subscribe","id":"{fresh}","payload":{{"query":"{{a}}"}}}}"#),
        };

        if self.roll(60) > 0 {
            return text;
        }

        let mut bytes = text.into_bytes();
        for _ in 0..=self.roll(3) {
            let index = self.roll(bytes.len());
            match self.roll(3) {
                0 => bytes[index] = self.roll(256) as u8,
                1 => bytes.truncate(index.max(1)),
                _ => bytes.insert(index, b"{}[]\",:\\0n"[self.roll(10)]),
            }
        }

        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn step(&mut self, protocol: &mut Protocol) -> Option<Action> {
        let id = self.roll(6).to_string();

        match self.roll(400) {
            0 => protocol.on_binary(),
            1 => protocol.pong_missed(),
            2 => protocol.on_text(r#"{"type":"connection_init"}"#),
            3..20 => protocol.init_accepted(None),
            20..40 => protocol.init_timeout(),
            40..60 => protocol.ping_due(None),
            60..100 => protocol.operation_finished(&id),
            100..140 => protocol.operation_failed(&id, &raw(ERRORS)),
            _ => protocol.on_text(&self.message(protocol)),
        }
    }
}

#[test]
fn protocol_keeps_its_operations_straight_on_random_walks() {
    let mut started = 0;
    for seed in 1..=400 {
        let mut dice = Dice(seed * 0x9e37_79b9);
        let mut protocol = if dice.roll(10) == 0 {
            after(&[])
        } else {
            after(&[INIT, Accepted(None)])
        };
        let mut active = BTreeSet::new();
        for _ in 0..300 {
            let was_closed = protocol.is_closed();
            let action = dice.step(&mut protocol);
            assert!(
                !was_closed || action.is_none(),
                "seed {seed}: {action:?} after the end"
            );
            match action {
                Some(Action::Start { id, .. }) => {
                    started += 1;
                    assert!(
                        active.insert(id.to_string()),
                        "seed {seed}: {id} started twice"
                    );
                }
                Some(Action::Stop { id }) => {
                    assert!(active.remove(&*id), "seed {seed}: {id} was not active")
                }
                Some(Action::Send(frame)) => {
                    let value: Value = serde_json::from_str(frame.as_str()).unwrap();
                    let rejected = value["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED";
                    if ["complete", "error"].contains(&value["type"].as_str().unwrap()) && !rejected
                    {
                        assert!(
                            active.remove(value["id"].as_str().unwrap()),
                            "seed {seed}: {value}"
                        );
                    }
                }
                Some(Action::Close { reason, .. }) => {
                    assert!(reason.len() <= MAX_REASON_BYTES && protocol.is_closed());
                    active.clear();
                }
                Some(Action::Authenticate { .. }) | None => {}
            }
            assert_eq!(protocol.active_operations(), active.len(), "seed {seed}");
            assert!(
                active.len() <= LIMITS.max_operations
                    && active.iter().all(|id| protocol.is_active(id))
            );
        }
    }

    assert!(
        started > 2_000,
        "the walks hardly did anything: {started} operations"
    );
}
