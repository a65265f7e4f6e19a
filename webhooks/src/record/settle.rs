//! What the outcomes of one recording make of deliveries and endpoints: pure, one outcome after the other in the order
//! in which they came.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use backbone::ids::{DealId, DeliveryId, WebhookId};
use backbone::time::Timestamp;
use sqlx::FromRow;

use super::{Ended, Recorded};
use crate::DeliveryState;
use crate::outcome::Outcome;
use crate::retry_policy::{BREAKER, Effect, Next, Standing, judge};
use buyer_core::outbox::counts::CountDeltas;

/// A delivery that is still ours, with its endpoint, as both were before.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Held {
    pub(super) id: DeliveryId,
    pub(super) webhook_id: WebhookId,
    pub(super) deal_id: Option<DealId>,
    pub(super) replay: bool,
    pub(super) tries: i32,
    pub(super) attempts: i32,
    #[sqlx(flatten)]
    pub(super) endpoint: Endpoint,
}

/// How an endpoint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub(super) struct Endpoint {
    pub(super) failures: i32,
    pub(super) failing_since: Option<Timestamp>,
    pub(super) held_until: Option<Timestamp>,
    /// Why it is not to be called any more.
    #[sqlx(skip)]
    pub(super) disabled: Option<&'static str>,
}

/// What becomes of a delivery.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settlement {
    pub(super) id: DeliveryId,
    pub(super) state: DeliveryState,
    pub(super) tries: i32,
    pub(super) attempts: i32,
    pub(super) due_at: Option<Timestamp>,
}

/// An attempt to be kept.
#[derive(Debug)]
pub(super) struct Made<'a> {
    pub(super) delivery: DeliveryId,
    pub(super) number: i32,
    pub(super) at: Timestamp,
    pub(super) outcome: &'a Outcome,
}

/// Everything to be written.
#[derive(Debug, Default)]
pub(super) struct Settled<'a> {
    pub(super) deliveries: Vec<Settlement>,
    pub(super) attempts: Vec<Made<'a>>,
    pub(super) deltas: CountDeltas,
    /// Those that are not as they were.
    pub(super) endpoints: BTreeMap<WebhookId, Endpoint>,
    /// What is done with a deal lets the next of that deal go.
    pub(super) lanes: Vec<(WebhookId, DealId)>,
    pub(super) recorded: Recorded,
}

/// Settles those of the outcomes whose deliveries are still held.
pub(super) fn settle(
    held: Vec<Held>,
    ended: &[Ended],
    now: Timestamp,
    jitter: impl Fn(Duration) -> Duration,
) -> Settled<'_> {
    let before: BTreeMap<WebhookId, Endpoint> = held
        .iter()
        .map(|held| (held.webhook_id, held.endpoint))
        .collect();
    let mut held: HashMap<DeliveryId, Held> =
        held.into_iter().map(|held| (held.id, held)).collect();
    let mut endpoints = before.clone();
    let mut settled = Settled::default();
    for Ended {
        delivery,
        at,
        outcome,
        ..
    } in ended
    {
        let Some(held) = held.remove(delivery) else {
            settled.recorded.lost += 1;
            continue;
        };
        let endpoint = endpoints
            .get_mut(&held.webhook_id)
            .expect("it came with its delivery");
        let standing = Standing {
            tries: held.tries.unsigned_abs(),
            failures: endpoint.failures.unsigned_abs(),
            failing_since: endpoint.failing_since,
        };
        let verdict = judge(outcome, &standing, now, &jitter);
        if endpoint.take(verdict.endpoint, now) {
            settled.recorded.due.insert(held.webhook_id);
        }
        if !matches!(verdict.delivery, Next::Postponed(_)) {
            settled.attempts.push(Made {
                delivery: *delivery,
                number: held.attempts + 1,
                at: *at,
                outcome,
            });
        }
        settled.take(&held, verdict.delivery);
    }
    endpoints.retain(|webhook, after| before[webhook] != *after);
    settled.endpoints = endpoints;
    settled
}

impl Endpoint {
    /// Tells whether it may be called again, with whatever waits.
    fn take(&mut self, effect: Effect, now: Timestamp) -> bool {
        match effect {
            Effect::Untouched => false,
            Effect::Fine => {
                let was_open = self.failures.unsigned_abs() >= BREAKER;
                // A wish to be left alone is not taken back by a call that was under way when it was made.
                let held_until = if was_open { None } else { self.held_until };
                *self = Self {
                    failures: 0,
                    failing_since: None,
                    held_until,
                    ..*self
                };
                was_open
            }
            Effect::Failing { held_until } => {
                self.failures = self.failures.saturating_add(1);
                self.failing_since = self.failing_since.or(Some(now));
                self.held_until = self.held_until.max(held_until);
                false
            }
            Effect::Disabled { reason } => {
                self.disabled = Some(reason);
                false
            }
        }
    }
}

impl Settled<'_> {
    fn take(&mut self, held: &Held, next: Next) {
        let Held {
            id,
            webhook_id,
            tries,
            attempts,
            ..
        } = *held;
        let counted = match next {
            Next::Delivered => &mut self.recorded.delivered,
            Next::Again(_) => &mut self.recorded.again,
            Next::Dead => &mut self.recorded.dead,
            Next::Postponed(_) => &mut self.recorded.postponed,
        };
        *counted += 1;
        let (state, tries, attempts, due_at) = match next {
            Next::Delivered => (DeliveryState::Delivered, tries, attempts + 1, None),
            Next::Again(at) => (DeliveryState::Pending, tries + 1, attempts + 1, Some(at)),
            Next::Dead => (DeliveryState::Dead, tries + 1, attempts + 1, None),
            Next::Postponed(at) => (DeliveryState::Pending, tries, attempts, Some(at)),
        };
        self.deliveries.push(Settlement {
            id,
            state,
            tries,
            attempts,
            due_at,
        });
        if state != DeliveryState::Pending {
            self.deltas
                .transfer(webhook_id, DeliveryState::Pending, state, 1);
            let lane = held.deal_id.filter(|_| !held.replay);
            self.lanes.extend(lane.map(|deal| (webhook_id, deal)));
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::outcome::{ErrorClass, RetryAfter};

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const WEBHOOK: WebhookId = WebhookId(Uuid::from_u128(1));
    const DEAL: DealId = DealId(Uuid::from_u128(2));

    fn outcome(status: u16) -> Outcome {
        let error = (!(200..300).contains(&status)).then_some(ErrorClass::Status);
        let (duration, answer) = (Duration::ZERO, String::new());
        Outcome {
            status: Some(status),
            error,
            retry_after: None,
            duration,
            answer,
        }
    }

    fn ended(number: u128, outcome: Outcome) -> Ended {
        let delivery = DeliveryId(Uuid::from_u128(number));
        Ended {
            delivery,
            webhook: WEBHOOK,
            lease: Uuid::nil(),
            at: NOW,
            outcome,
        }
    }

    fn held(number: u128, tries: i32, failures: i32, held_until: Option<Timestamp>) -> Held {
        let failing_since =
            (failures > 0).then_some(Timestamp::from_micros(NOW.as_micros() - 1_000_000));
        Held {
            id: DeliveryId(Uuid::from_u128(number)),
            webhook_id: WEBHOOK,
            deal_id: Some(DEAL),
            replay: false,
            tries,
            attempts: 3,
            endpoint: Endpoint {
                failures,
                failing_since,
                held_until,
                disabled: None,
            },
        }
    }

    fn settled(held: Vec<Held>, ended: &[Ended]) -> Settled<'_> {
        settle(held, ended, NOW, |wait| wait)
    }

    #[test]
    fn outcomes_count_one_after_the_other() {
        let all = [
            ended(1, outcome(500)),
            ended(2, outcome(500)),
            ended(3, outcome(500)),
        ];
        let of = |failures| {
            (1..=3)
                .map(|number| held(number, 0, failures, None))
                .collect()
        };
        let after = settled(of(7), &all);
        let endpoint = after.endpoints[&WEBHOOK];
        let minute = Timestamp::from_micros(NOW.as_micros() + 60_000_000);
        assert_eq!(
            (endpoint.failures, endpoint.held_until),
            (10, Some(minute)),
            "the tenth opens the breaker"
        );
        assert_eq!(after.recorded.again, 3);
        assert_eq!(settled(of(6), &all).endpoints[&WEBHOOK].held_until, None);
        let all = [
            ended(1, outcome(500)),
            ended(2, outcome(200)),
            ended(3, outcome(500)),
        ];
        let after = settled(of(7), &all);
        let endpoint = after.endpoints[&WEBHOOK];
        assert_eq!((endpoint.failures, endpoint.failing_since), (1, Some(NOW)));
        assert!(
            after.recorded.due.is_empty(),
            "it was never closed to calls"
        );
    }

    #[test]
    fn a_success_opens_what_the_breaker_closed_and_not_what_the_endpoint_asked_for() {
        let later = Some(Timestamp::from_micros(NOW.as_micros() + 9));
        let success = [ended(1, outcome(200))];
        let probed = settled(vec![held(1, 0, 10, later)], &success);
        assert_eq!(
            (
                probed.endpoints[&WEBHOOK].held_until,
                probed.recorded.due.len()
            ),
            (None, 1)
        );
        let asked = settled(vec![held(1, 0, 1, later)], &success);
        assert_eq!(
            (
                asked.endpoints[&WEBHOOK].held_until,
                asked.endpoints[&WEBHOOK].failures
            ),
            (later, 0)
        );
        let well = settled(vec![held(1, 0, 0, None)], &success);
        assert!(
            well.endpoints.is_empty(),
            "nothing changes for one that works"
        );
    }

    #[test]
    fn what_is_not_held_any_more_counts_for_nothing() {
        let gone = Outcome {
            retry_after: Some(RetryAfter::In(Duration::from_secs(9))),
            ..outcome(410)
        };
        let all = [ended(1, gone), ended(2, outcome(200))];
        let after = settled(vec![held(2, 0, 0, None)], &all);
        assert_eq!((after.recorded.lost, after.recorded.delivered), (1, 1));
        assert_eq!((after.deliveries.len(), after.attempts.len()), (1, 1));
        assert!(after.endpoints.is_empty());
    }

    #[test]
    fn only_what_is_finished_in_its_order_lets_the_next_go() {
        let lanes = |held: Held, status| {
            let ended = [ended(1, outcome(status))];
            settled(vec![held], &ended).lanes
        };
        assert_eq!(lanes(held(1, 0, 0, None), 200), [(WEBHOOK, DEAL)]);
        assert_eq!(lanes(held(1, 7, 0, None), 500), [(WEBHOOK, DEAL)], "dead");
        assert_eq!(lanes(held(1, 0, 0, None), 500), []);
        assert_eq!(
            lanes(
                Held {
                    replay: true,
                    ..held(1, 0, 0, None)
                },
                200
            ),
            []
        );
        assert_eq!(
            lanes(
                Held {
                    deal_id: None,
                    ..held(1, 0, 0, None)
                },
                200
            ),
            []
        );
    }

    #[test]
    fn our_own_trouble_spends_nothing() {
        let ours = Outcome {
            status: None,
            error: Some(ErrorClass::NoNameServer),
            ..outcome(200)
        };
        let all = [ended(1, ours)];
        let after = settled(vec![held(1, 4, 2, None)], &all);
        let row = &after.deliveries[0];
        assert_eq!(
            (row.state, row.tries, row.attempts),
            (DeliveryState::Pending, 4, 3)
        );
        assert!(row.due_at > Some(NOW) && after.attempts.is_empty() && after.endpoints.is_empty());
        assert_eq!(after.recorded.postponed, 1);
    }
}
