//! The whole schedule, receivers' wishes, the breaker and the end of patience.

use super::super::outcome::ErrorClass;
use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const FRESH: Standing = Standing {
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
        answer: String::new(),
    }
}

/// A call that was answered with a failure.
fn answered(status: u16, retry_after: Option<RetryAfter>) -> Outcome {
    Outcome {
        retry_after,
        ..outcome(Some(status), Some(ErrorClass::Status))
    }
}

/// With a jitter of half a wait more, so that it shows where there is one.
fn verdict(outcome: &Outcome, standing: Standing) -> Verdict {
    judge(outcome, &standing, NOW, |wait| wait * 3 / 2)
}

fn failing(held_for: Option<Duration>) -> Effect {
    Effect::Failing {
        held_until: held_for.map(|held| after(NOW, held)),
    }
}

#[test]
fn eight_tries_are_spread_over_more_than_a_day() {
    let hour = 3_600;
    let waits = [5, 300, 1_800, 2 * hour, 5 * hour, 10 * hour, 10 * hour];
    for (tries, wait) in (0..).zip(waits) {
        let verdict = verdict(&answered(500, None), Standing { tries, ..FRESH });
        assert_eq!(
            verdict.delivery,
            Next::Again(after(NOW, seconds(wait) * 3 / 2)),
            "after {tries}"
        );
        assert_eq!(verdict.endpoint, failing(None), "after {tries}");
    }
    for tries in [7, 8, u32::MAX] {
        assert_eq!(
            verdict(&answered(500, None), Standing { tries, ..FRESH }).delivery,
            Next::Dead,
            "{tries}"
        );
    }
}

#[test]
fn a_success_clears_the_endpoint_whatever_it_was() {
    for standing in [
        FRESH,
        Standing {
            tries: 7,
            failures: 400,
            failing_since: ago(DAY * 9),
        },
    ] {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(
                verdict(&outcome(Some(status), None), standing),
                Verdict {
                    delivery: Next::Delivered,
                    endpoint: Effect::Fine
                }
            );
        }
    }
}

#[test]
fn every_failure_of_the_customer_spends_a_try_and_none_of_ours_does() {
    for class in ErrorClass::ALL {
        let verdict = verdict(
            &outcome(None, Some(class)),
            Standing {
                tries: 7,
                failures: 99,
                ..FRESH
            },
        );
        let expected = if class.is_ours() {
            Verdict {
                delivery: Next::Postponed(after(NOW, seconds(5))),
                endpoint: Effect::Untouched,
            }
        } else {
            Verdict {
                delivery: Next::Dead,
                endpoint: failing(Some(seconds(60))),
            }
        };
        assert_eq!(verdict, expected, "{class:?}");
    }
}

#[test]
fn gone_is_gone() {
    for error in [ErrorClass::Status, ErrorClass::Timeout] {
        let gone = Outcome {
            retry_after: Some(RetryAfter::In(DAY)),
            ..outcome(Some(410), Some(error))
        };
        let expected = Verdict {
            delivery: Next::Dead,
            endpoint: Effect::Disabled {
                reason: "it answered 410 Gone",
            },
        };
        assert_eq!(verdict(&gone, FRESH), expected);
    }
}

#[test]
fn a_wish_to_wait_holds_the_endpoint_and_only_lengthens_the_delivery_s_wait() {
    let at = |wait: Duration| RetryAfter::At(after(NOW, wait));
    let past = RetryAfter::At(ago(DAY).unwrap());
    for (wish, held) in [
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
            let verdict = verdict(&answered(status, Some(wish)), FRESH);
            let wait = held.max(seconds(5) * 3 / 2);
            assert_eq!(
                verdict.delivery,
                Next::Again(after(NOW, wait)),
                "{status} {wish:?}"
            );
            assert_eq!(verdict.endpoint, failing(Some(held)), "{status} {wish:?}");
        }
        for status in [301, 400, 404, 500, 502] {
            let verdict = verdict(&answered(status, Some(wish)), FRESH);
            let expected = Verdict {
                delivery: Next::Again(after(NOW, seconds(5) * 3 / 2)),
                endpoint: failing(None),
            };
            assert_eq!(verdict, expected, "{status} {wish:?}");
        }
    }
    for status in [429, 503] {
        let verdict = verdict(&answered(status, None), FRESH);
        assert_eq!(
            verdict.delivery,
            Next::Again(after(NOW, seconds(5) * 3 / 2)),
            "no wish, no obedience"
        );
    }
}

#[test]
fn a_wish_to_wait_does_not_outlive_the_last_try() {
    let wish = Some(RetryAfter::In(seconds(300)));
    let verdict = verdict(&answered(429, wish), Standing { tries: 7, ..FRESH });
    assert_eq!(
        verdict,
        Verdict {
            delivery: Next::Dead,
            endpoint: failing(Some(seconds(300)))
        }
    );
}

#[test]
fn the_tenth_failure_in_a_row_opens_the_breaker() {
    for (failures, held) in [
        (0, None),
        (8, None),
        (9, Some(seconds(60))),
        (10, Some(seconds(60))),
        (u32::MAX, Some(seconds(60))),
    ] {
        let verdict = verdict(
            &answered(500, None),
            Standing {
                failures,
                failing_since: ago(DAY),
                ..FRESH
            },
        );
        assert_eq!(verdict.endpoint, failing(held), "{failures} before");
        assert!(
            matches!(verdict.delivery, Next::Again(_)),
            "the delivery goes by its own schedule"
        );
    }
    for (wish, held) in [(30, 60), (90, 90)] {
        let wish = Some(RetryAfter::In(seconds(wish)));
        let verdict = verdict(
            &answered(503, wish),
            Standing {
                failures: 9,
                ..FRESH
            },
        );
        assert_eq!(
            verdict.endpoint,
            failing(Some(seconds(held))),
            "the longer of the two"
        );
    }
}

#[test]
fn five_days_of_failures_disable_an_endpoint() {
    let five_days = DAY * 5;
    for (since, disabled) in [
        (None, false),
        (ago(Duration::ZERO), false),
        (ago(five_days - Duration::from_micros(1)), false),
        (ago(five_days), true),
        (ago(five_days * 2), true),
    ] {
        let standing = Standing {
            tries: 2,
            failures: 50,
            failing_since: since,
        };
        let verdict = verdict(&answered(500, Some(RetryAfter::In(DAY))), standing);
        let expected = if disabled {
            Effect::Disabled {
                reason: "every call has failed for 5 days",
            }
        } else {
            failing(Some(seconds(60)))
        };
        assert_eq!(verdict.endpoint, expected, "{since:?}");
        assert!(
            matches!(verdict.delivery, Next::Again(_)),
            "and what it is owed waits for it"
        );
    }
}
