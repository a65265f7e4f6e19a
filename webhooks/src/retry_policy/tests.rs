//! The schedule of tries, `Retry-After`, the breaker and the disabling of endpoints.

use super::*;
use crate::outcome::ErrorClass;

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const FRESH: FailureHistory = FailureHistory {
    tries: 0,
    failures: 0,
    failing_since: None,
};
const DAY: Duration = Duration::from_hours(24);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ago(time: Duration) -> Option<Timestamp> {
    Some(Timestamp::from_micros(
        NOW.as_micros() - i64::try_from(time.as_micros()).unwrap(),
    ))
}

fn outcome(status: Option<u16>, error: Option<ErrorClass>) -> Outcome {
    Outcome {
        status,
        error,
        retry_after: None,
        duration: seconds(1),
        response_body: String::new(),
    }
}

/// Call that was answered with a failure.
fn answered(status: u16, retry_after: Option<RetryAfter>) -> Outcome {
    Outcome {
        retry_after,
        ..outcome(Some(status), Some(ErrorClass::Status))
    }
}

/// Evaluates with a jitter that adds half a wait, so that jittered waits are easy to tell.
fn decide(outcome: &Outcome, history: FailureHistory) -> Decision {
    evaluate(outcome, &history, NOW, |wait| wait * 3 / 2)
}

fn failing(held_for: Option<Duration>) -> EndpointDecision {
    EndpointDecision::Failing {
        held_until: held_for.map(|held| after(NOW, held)),
    }
}

#[test]
fn schedule_spreads_eight_tries_over_more_than_a_day() {
    let hour = 3_600;
    let waits = [5, 300, 1_800, 2 * hour, 5 * hour, 10 * hour, 10 * hour];
    for (tries, wait) in (0..).zip(waits) {
        let decision = decide(&answered(500, None), FailureHistory { tries, ..FRESH });
        assert_eq!(
            decision.delivery,
            DeliveryDecision::Retry(after(NOW, seconds(wait) * 3 / 2)),
            "after {tries}"
        );
        assert_eq!(decision.endpoint, failing(None), "after {tries}");
    }

    for tries in [7, 8, u32::MAX] {
        assert_eq!(
            decide(&answered(500, None), FailureHistory { tries, ..FRESH }).delivery,
            DeliveryDecision::Dead,
            "{tries}"
        );
    }
}

#[test]
fn success_clears_the_endpoint_s_failures() {
    for history in [
        FRESH,
        FailureHistory {
            tries: 7,
            failures: 400,
            failing_since: ago(DAY * 9),
        },
    ] {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(
                decide(&outcome(Some(status), None), history),
                Decision {
                    delivery: DeliveryDecision::Delivered,
                    endpoint: EndpointDecision::Healthy
                }
            );
        }
    }
}

#[test]
fn failure_uses_up_a_try_unless_it_is_the_operator_s() {
    for class in ErrorClass::ALL {
        let decision = decide(
            &outcome(None, Some(class)),
            FailureHistory {
                tries: 7,
                failures: 99,
                ..FRESH
            },
        );
        let expected = if class.is_operator_failure() {
            Decision {
                delivery: DeliveryDecision::Postponed(after(NOW, seconds(5))),
                endpoint: EndpointDecision::Unchanged,
            }
        } else {
            Decision {
                delivery: DeliveryDecision::Dead,
                endpoint: failing(Some(seconds(90))),
            }
        };
        assert_eq!(decision, expected, "{class:?}");
    }
}

#[test]
fn gone_endpoint_is_disabled_and_the_delivery_dead() {
    for error in [ErrorClass::Status, ErrorClass::Timeout] {
        let gone = Outcome {
            retry_after: Some(RetryAfter::In(DAY)),
            ..outcome(Some(410), Some(error))
        };
        let expected = Decision {
            delivery: DeliveryDecision::Dead,
            endpoint: EndpointDecision::Disabled {
                reason: "the endpoint answered 410 Gone",
            },
        };
        assert_eq!(decide(&gone, FRESH), expected);
    }
}

#[test]
fn retry_after_holds_the_endpoint_and_only_lengthens_the_delivery_s_wait() {
    let at = |wait: Duration| RetryAfter::At(after(NOW, wait));
    let past = RetryAfter::At(ago(DAY).unwrap());
    for (retry_after, held) in [
        (RetryAfter::In(seconds(1)), seconds(1)),
        (RetryAfter::In(seconds(300)), seconds(300)),
        (at(seconds(300)), seconds(300)),
        (RetryAfter::In(DAY), DAY),
        (RetryAfter::In(DAY + seconds(1)), DAY),
        (RetryAfter::In(Duration::MAX), DAY),
        (at(DAY * 30), DAY),
        (RetryAfter::At(Timestamp::from_micros(i64::MAX)), DAY),
        (RetryAfter::In(Duration::ZERO), Duration::ZERO),
        (past, Duration::ZERO),
    ] {
        for status in [429, 503] {
            let decision = decide(&answered(status, Some(retry_after)), FRESH);
            let wait = held.max(seconds(5) * 3 / 2);
            assert_eq!(
                decision.delivery,
                DeliveryDecision::Retry(after(NOW, wait)),
                "{status} {retry_after:?}"
            );
            assert_eq!(
                decision.endpoint,
                failing(Some(held)),
                "{status} {retry_after:?}"
            );
        }
        for status in [301, 400, 404, 500, 502] {
            let decision = decide(&answered(status, Some(retry_after)), FRESH);
            let expected = Decision {
                delivery: DeliveryDecision::Retry(after(NOW, seconds(5) * 3 / 2)),
                endpoint: failing(None),
            };
            assert_eq!(decision, expected, "{status} {retry_after:?}");
        }
    }

    for status in [429, 503] {
        let decision = decide(&answered(status, None), FRESH);
        assert_eq!(
            decision.delivery,
            DeliveryDecision::Retry(after(NOW, seconds(5) * 3 / 2)),
            "without the header the schedule applies"
        );
    }
}

#[test]
fn retry_after_does_not_add_a_try_after_the_last() {
    let retry_after = Some(RetryAfter::In(seconds(300)));
    let decision = decide(
        &answered(429, retry_after),
        FailureHistory { tries: 7, ..FRESH },
    );
    assert_eq!(
        decision,
        Decision {
            delivery: DeliveryDecision::Dead,
            endpoint: failing(Some(seconds(300)))
        }
    );
}

#[test]
fn breaker_opens_with_the_tenth_failure_in_a_row() {
    for (failures, held) in [
        (0, None),
        (8, None),
        (9, Some(seconds(60) * 3 / 2)),
        (10, Some(seconds(120) * 3 / 2)),
        (14, Some(seconds(1_920) * 3 / 2)),
        (15, Some(seconds(3_600) * 3 / 2)),
        (60, Some(seconds(3_600) * 3 / 2)),
        (u32::MAX, Some(seconds(3_600) * 3 / 2)),
    ] {
        let decision = decide(
            &answered(500, None),
            FailureHistory {
                failures,
                failing_since: ago(DAY),
                ..FRESH
            },
        );
        assert_eq!(decision.endpoint, failing(held), "{failures} before");
        assert!(
            matches!(decision.delivery, DeliveryDecision::Retry(_)),
            "the delivery follows its own schedule"
        );
    }

    for (seconds_asked, held) in [(30, 90), (120, 120)] {
        let retry_after = Some(RetryAfter::In(seconds(seconds_asked)));
        let decision = decide(
            &answered(503, retry_after),
            FailureHistory {
                failures: 9,
                ..FRESH
            },
        );
        assert_eq!(
            decision.endpoint,
            failing(Some(seconds(held))),
            "the longer of the two"
        );
    }
}

#[test]
fn breaker_holds_at_most_twice_as_long_as_the_endpoint_has_failed() {
    for (failing_since, held) in [
        (None, 60),
        (ago(Duration::ZERO), 60),
        (ago(seconds(15)), 60),
        (ago(seconds(31)), 62),
        (ago(seconds(500)), 1_000),
        (ago(seconds(1_801)), 3_600),
        // Later than now, as the clock of another host may tell.
        (Some(after(NOW, DAY)), 60),
    ] {
        let history = FailureHistory {
            failures: 40,
            failing_since,
            ..FRESH
        };
        let decision = decide(&answered(500, None), history);
        assert_eq!(
            decision.endpoint,
            failing(Some(seconds(held) * 3 / 2)),
            "{failing_since:?}"
        );
    }
}

#[test]
fn endpoint_is_disabled_after_five_days_of_failures() {
    let five_days = DAY * 5;
    for (since, disabled) in [
        (None, false),
        (ago(Duration::ZERO), false),
        (ago(five_days - Duration::from_micros(1)), false),
        (ago(five_days), true),
        (ago(five_days * 2), true),
    ] {
        let history = FailureHistory {
            tries: 2,
            failures: 9,
            failing_since: since,
        };
        let decision = decide(&answered(500, Some(RetryAfter::In(DAY))), history);
        let expected = if disabled {
            EndpointDecision::Disabled {
                reason: "every call failed for 5 days",
            }
        } else {
            failing(Some(seconds(90)))
        };
        assert_eq!(decision.endpoint, expected, "{since:?}");
        assert!(
            matches!(decision.delivery, DeliveryDecision::Retry(_)),
            "its deliveries stay pending"
        );
    }
}
