//! Settlement of single outcomes and of batches.

use uuid::Uuid;

use super::*;
use crate::outcome::{ErrorClass, Outcome, RetryAfter};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const WEBHOOK: WebhookId = WebhookId(Uuid::from_u128(1));
const DEAL: DealId = DealId(Uuid::from_u128(2));

fn outcome(status: u16) -> Outcome {
    let error = (!(200..300).contains(&status)).then_some(ErrorClass::Status);
    Outcome {
        status: Some(status),
        error,
        retry_after: None,
        duration: Duration::ZERO,
        response_body: String::new(),
    }
}

fn call(number: u128, outcome: Outcome) -> CompletedCall {
    CompletedCall {
        delivery: DeliveryId(Uuid::from_u128(number)),
        webhook: WEBHOOK,
        lease: Uuid::nil(),
        at: NOW,
        outcome,
    }
}

fn leased(
    number: u128,
    tries: i32,
    failures: i32,
    held_until: Option<Timestamp>,
) -> LeasedDelivery {
    let failing_since =
        (failures > 0).then_some(Timestamp::from_micros(NOW.as_micros() - 1_000_000));
    LeasedDelivery {
        id: DeliveryId(Uuid::from_u128(number)),
        webhook_id: WEBHOOK,
        deal_id: Some(DEAL),
        replay: false,
        tries,
        attempts: 3,
        endpoint: EndpointHealth {
            failures,
            failing_since,
            held_until,
            disabled: None,
        },
    }
}

fn settled(leased: Vec<LeasedDelivery>, calls: &[CompletedCall]) -> Settlement<'_> {
    settle(leased, calls, NOW, |wait| wait)
}

#[test]
fn settlement_takes_outcomes_one_after_the_other() {
    let calls = [
        call(1, outcome(500)),
        call(2, outcome(500)),
        call(3, outcome(500)),
    ];
    let batch = |failures| {
        (1..=3)
            .map(|number| leased(number, 0, failures, None))
            .collect()
    };

    let after = settled(batch(7), &calls);
    let endpoint = after.endpoints[&WEBHOOK];
    let minute = Timestamp::from_micros(NOW.as_micros() + 60_000_000);
    assert_eq!(
        (endpoint.failures, endpoint.held_until),
        (10, Some(minute)),
        "the tenth opens the breaker"
    );
    assert_eq!(after.summary.retried, 3);
    assert_eq!(
        settled(batch(6), &calls).endpoints[&WEBHOOK].held_until,
        None
    );

    let calls = [
        call(1, outcome(500)),
        call(2, outcome(200)),
        call(3, outcome(500)),
    ];
    let after = settled(batch(7), &calls);
    let endpoint = after.endpoints[&WEBHOOK];
    assert_eq!((endpoint.failures, endpoint.failing_since), (1, Some(NOW)));
    assert!(after.summary.due.is_empty(), "its breaker was never open");
}

#[test]
fn settlement_of_a_success_ends_the_breaker_s_hold_and_not_the_receiver_s() {
    let later = Some(Timestamp::from_micros(NOW.as_micros() + 9));
    let success = [call(1, outcome(200))];
    let probed = settled(vec![leased(1, 0, 10, later)], &success);
    assert_eq!(
        (
            probed.endpoints[&WEBHOOK].held_until,
            probed.summary.due.len()
        ),
        (None, 1)
    );

    let requested = settled(vec![leased(1, 0, 1, later)], &success);
    assert_eq!(
        (
            requested.endpoints[&WEBHOOK].held_until,
            requested.endpoints[&WEBHOOK].failures
        ),
        (later, 0)
    );

    let healthy = settled(vec![leased(1, 0, 0, None)], &success);
    assert!(
        healthy.endpoints.is_empty(),
        "a healthy endpoint does not change"
    );
}

#[test]
fn settlement_drops_outcomes_whose_lease_is_lost() {
    let gone = Outcome {
        retry_after: Some(RetryAfter::In(Duration::from_secs(9))),
        ..outcome(410)
    };
    let calls = [call(1, gone), call(2, outcome(200))];
    let after = settled(vec![leased(2, 0, 0, None)], &calls);
    assert_eq!((after.summary.lost, after.summary.delivered), (1, 1));
    assert_eq!((after.deliveries.len(), after.attempts.len()), (1, 1));
    assert!(after.endpoints.is_empty());
}

#[test]
fn settlement_advances_a_lane_only_past_its_finished_head() {
    let lanes = |delivery: LeasedDelivery, status| {
        let calls = [call(1, outcome(status))];
        settled(vec![delivery], &calls).lanes
    };

    assert_eq!(lanes(leased(1, 0, 0, None), 200), [(WEBHOOK, DEAL)]);
    assert_eq!(lanes(leased(1, 7, 0, None), 500), [(WEBHOOK, DEAL)], "dead");
    assert_eq!(lanes(leased(1, 0, 0, None), 500), []);
    assert_eq!(
        lanes(
            LeasedDelivery {
                replay: true,
                ..leased(1, 0, 0, None)
            },
            200
        ),
        []
    );
    assert_eq!(
        lanes(
            LeasedDelivery {
                deal_id: None,
                ..leased(1, 0, 0, None)
            },
            200
        ),
        []
    );
}

#[test]
fn settlement_of_an_operator_s_failure_uses_up_nothing() {
    let operator_failure = Outcome {
        status: None,
        error: Some(ErrorClass::NoNameServer),
        ..outcome(200)
    };
    let calls = [call(1, operator_failure)];
    let after = settled(vec![leased(1, 4, 2, None)], &calls);
    let row = &after.deliveries[0];
    assert_eq!(
        (row.state, row.tries, row.attempts),
        (DeliveryState::Pending, 4, 3)
    );
    assert!(row.due_at > Some(NOW) && after.attempts.is_empty() && after.endpoints.is_empty());
    assert_eq!(after.summary.postponed, 1);
}
