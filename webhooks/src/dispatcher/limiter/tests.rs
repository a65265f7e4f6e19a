//! The queue of due endpoints, the share of each, and the rate.

use std::num::NonZeroU32;

use uuid::Uuid;

use super::*;

fn webhook(number: usize) -> WebhookId {
    WebhookId(Uuid::from_u128(number as u128))
}

fn limiter(per_endpoint: u32, rate: Option<u32>) -> Limiter {
    let limits = Limits {
        in_flight: 256,
        per_endpoint,
        rate: rate.and_then(NonZeroU32::new),
    };
    Limiter::new(limits, Instant::now())
}

/// Returns the requested claims as (endpoint, busy, room).
fn requested(limiter: &mut Limiter, room: usize, now: Instant) -> Vec<(u128, u32, u32)> {
    limiter
        .claim_requests(room, now)
        .iter()
        .map(|request| (request.webhook.0.as_u128(), request.busy, request.room))
        .collect()
}

#[test]
fn limiter_requests_each_endpoint_once_and_up_to_its_room() {
    let mut limiter = limiter(4, None);
    let now = Instant::now();
    for number in [1, 2, 1] {
        limiter.mark_due(webhook(number));
    }

    assert_eq!(requested(&mut limiter, 256, now), [(1, 0, 4), (2, 0, 4)]);
    assert!(!limiter.has_due());

    limiter.claimed(webhook(1), 4, true);
    limiter.claimed(webhook(2), 1, false);
    assert_eq!(
        requested(&mut limiter, 256, now),
        [],
        "the first has no room, the second nothing more"
    );

    limiter.mark_due(webhook(2));
    limiter.finished(webhook(1));
    assert_eq!(requested(&mut limiter, 256, now), [(2, 1, 3), (1, 3, 1)]);

    limiter.claimed(webhook(1), 1, false);
    limiter.finished(webhook(1));
    assert_eq!(
        requested(&mut limiter, 256, now),
        [],
        "everything it had is claimed"
    );
}

#[test]
fn limiter_leaves_room_beside_many_endpoints_that_hang() {
    let mut limiter = limiter(8, None);
    let now = Instant::now();
    let mut free = 256;
    for number in 0..60 {
        limiter.mark_due(webhook(number));
        for (_, _, room) in requested(&mut limiter, free, now) {
            free -= room as usize;
            limiter.claimed(webhook(number), room, true);
        }
    }

    assert!((1..16).contains(&free), "sixty of them leave {free} calls");

    limiter.mark_due(webhook(99));
    let (last, _, room) = requested(&mut limiter, free, now)
        .pop()
        .expect("there is room");
    assert_eq!((last, room), (99, 1));
}

#[test]
fn limiter_keeps_endpoints_that_do_not_fit_in_their_order() {
    let mut limiter = limiter(8, None);
    let now = Instant::now();
    for number in 0..5 {
        limiter.mark_due(webhook(number));
    }

    assert_eq!(requested(&mut limiter, 2, now), [(0, 0, 1), (1, 0, 1)]);
    assert_eq!(requested(&mut limiter, 0, now), []);
    assert_eq!(
        requested(&mut limiter, 9, now),
        [(2, 0, 1), (3, 0, 1), (4, 0, 1)]
    );
}

#[test]
fn limiter_keeps_to_the_rate_over_any_time() {
    let mut limiter = limiter(8, Some(3));
    let start = Instant::now();
    let mut calls = 0;
    for tenth in 0..100 {
        let now = start + Duration::from_millis(100 * tenth);
        limiter.mark_due(webhook(1));
        for (_, _, room) in requested(&mut limiter, 256, now) {
            limiter.claimed(webhook(1), room, false);
            for _ in 0..room {
                limiter.finished(webhook(1));
            }
            calls += room;
        }
    }

    assert!(
        (30..=33).contains(&calls),
        "three a second, and one second's worth saved up: {calls}"
    );
}

#[test]
fn limiter_forgets_endpoints_with_nothing_under_way() {
    let mut limiter = limiter(8, None);
    let now = Instant::now();
    for number in [1, 2] {
        limiter.mark_due(webhook(number));
    }

    limiter.claim_requests(256, now);
    limiter.claimed(webhook(1), 1, false);
    limiter.claim_requests(256, now + FORGET * 2);
    assert_eq!(
        limiter.endpoints.keys().copied().collect::<Vec<_>>(),
        [webhook(1)]
    );
}
