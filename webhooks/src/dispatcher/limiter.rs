//! Which endpoints are to be claimed for, and for how many deliveries there is room: pure but for the time handed in.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use backbone::ids::WebhookId;
use tokio::time::Instant;

use super::Limits;
use crate::claim::Wish;

/// An endpoint gets at most this part of the room that is left, so that many that hang leave some to the others.
const SHARE: usize = 16;
/// How often endpoints are forgotten of which there is nothing to know.
const TIDY: Duration = Duration::from_secs(1);

/// The endpoints that something is under way for, or is to be.
pub(super) struct Rooms {
    limits: Limits,
    endpoints: HashMap<WebhookId, Endpoint>,
    /// To be claimed for, in the order in which that came up.
    due: VecDeque<WebhookId>,
    queued: HashSet<WebhookId>,
    tidied: Instant,
}

struct Endpoint {
    /// Calls under way, and failed ones that are not recorded yet.
    busy: u32,
    /// It had more due than there was room for.
    more: bool,
    pace: Pace,
}

/// A bucket of calls that may be made, a second's worth at most.
struct Pace {
    left: f64,
    at: Instant,
}

impl Rooms {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        let (endpoints, due, queued) = (HashMap::new(), VecDeque::new(), HashSet::new());
        Self {
            limits,
            endpoints,
            due,
            queued,
            tidied: now,
        }
    }

    /// An endpoint may have something due.
    pub(super) fn add(&mut self, webhook: WebhookId) {
        if self.queued.insert(webhook) {
            self.due.push_back(webhook);
        }
    }

    pub(super) fn is_anything_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Takes those that are to be claimed for now, as far as `free` calls go. One without room of its own is left out:
    /// it comes up again when a call of it ends, or with the next look. No other claim is under way.
    pub(super) fn wishes(&mut self, mut free: usize, now: Instant) -> Vec<Wish> {
        self.tidy(now);
        let mut wishes = Vec::new();
        while free > 0 {
            let Some(webhook) = self.due.pop_front() else {
                break;
            };
            self.queued.remove(&webhook);
            let endpoint = self
                .endpoints
                .entry(webhook)
                .or_insert_with(|| Endpoint::new(self.limits, now));
            let share = (free / SHARE).clamp(1, self.limits.per_endpoint as usize) as u32;
            let room = share
                .saturating_sub(endpoint.busy)
                .min(endpoint.pace.calls(self.limits, now));
            if room > 0 {
                free -= room as usize;
                wishes.push(Wish {
                    webhook,
                    busy: endpoint.busy,
                    room,
                });
            }
        }
        wishes
    }

    /// What was claimed for a wish: as many as could be, or all there was.
    pub(super) fn claimed(&mut self, webhook: WebhookId, count: u32, more: bool) {
        let Some(endpoint) = self.endpoints.get_mut(&webhook) else {
            return;
        };
        endpoint.busy += count;
        endpoint.more = more;
        endpoint.pace.left -= f64::from(count);
        if more {
            self.add(webhook);
        }
    }

    /// A call of an endpoint is over, and recorded if it failed.
    pub(super) fn over(&mut self, webhook: WebhookId) {
        let Some(endpoint) = self.endpoints.get_mut(&webhook) else {
            return;
        };
        endpoint.busy = endpoint.busy.saturating_sub(1);
        if endpoint.more {
            self.add(webhook);
        }
    }

    /// Forgets endpoints that nothing is known of but what a new one would be given.
    fn tidy(&mut self, now: Instant) {
        if now.saturating_duration_since(self.tidied) < TIDY {
            return;
        }
        self.tidied = now;
        let limits = self.limits;
        self.endpoints.retain(|_, endpoint| {
            endpoint.busy > 0
                || limits
                    .rate
                    .is_some_and(|rate| endpoint.pace.calls(limits, now) < rate.get())
        });
    }
}

impl Endpoint {
    fn new(limits: Limits, now: Instant) -> Self {
        let left = limits.rate.map_or(0.0, |rate| f64::from(rate.get()));
        Self {
            busy: 0,
            more: false,
            pace: Pace { left, at: now },
        }
    }
}

impl Pace {
    /// How many calls may be made now.
    fn calls(&mut self, limits: Limits, now: Instant) -> u32 {
        let Some(rate) = limits.rate.map(|rate| f64::from(rate.get())) else {
            return u32::MAX;
        };
        let since = now.saturating_duration_since(self.at);
        self.left = (self.left + since.as_secs_f64() * rate).min(rate);
        self.at = now;
        self.left.max(0.0) as u32
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use uuid::Uuid;

    use super::*;

    fn webhook(number: usize) -> WebhookId {
        WebhookId(Uuid::from_u128(number as u128))
    }

    fn rooms(per_endpoint: u32, rate: Option<u32>) -> Rooms {
        let limits = Limits {
            in_flight: 256,
            per_endpoint,
            rate: rate.and_then(NonZeroU32::new),
        };
        Rooms::new(limits, Instant::now())
    }

    /// What is wished for, as (endpoint, busy, room).
    fn wished(rooms: &mut Rooms, free: usize, now: Instant) -> Vec<(u128, u32, u32)> {
        let wishes = rooms.wishes(free, now);
        wishes
            .iter()
            .map(|wish| (wish.webhook.0.as_u128(), wish.busy, wish.room))
            .collect()
    }

    #[test]
    fn each_is_claimed_for_once_and_as_far_as_it_has_room() {
        let (mut rooms, now) = (rooms(4, None), Instant::now());
        for number in [1, 2, 1] {
            rooms.add(webhook(number));
        }
        assert_eq!(wished(&mut rooms, 256, now), [(1, 0, 4), (2, 0, 4)]);
        assert!(!rooms.is_anything_due());
        rooms.claimed(webhook(1), 4, true);
        rooms.claimed(webhook(2), 1, false);
        assert_eq!(
            wished(&mut rooms, 256, now),
            [],
            "the first has no room, the second nothing more"
        );
        rooms.add(webhook(2));
        rooms.over(webhook(1));
        assert_eq!(wished(&mut rooms, 256, now), [(2, 1, 3), (1, 3, 1)]);
        rooms.claimed(webhook(1), 1, false);
        rooms.over(webhook(1));
        assert_eq!(
            wished(&mut rooms, 256, now),
            [],
            "what it had is all claimed"
        );
    }

    #[test]
    fn many_that_hang_leave_something_to_the_others() {
        let (mut rooms, now) = (rooms(8, None), Instant::now());
        let mut free = 256;
        for number in 0..60 {
            rooms.add(webhook(number));
            for (_, _, room) in wished(&mut rooms, free, now) {
                free -= room as usize;
                rooms.claimed(webhook(number), room, true);
            }
        }
        assert!((1..16).contains(&free), "sixty of them leave {free} calls");
        rooms.add(webhook(99));
        let (last, _, room) = wished(&mut rooms, free, now).pop().expect("there is room");
        assert_eq!((last, room), (99, 1));
    }

    #[test]
    fn what_does_not_fit_stays_in_its_order() {
        let (mut rooms, now) = (rooms(8, None), Instant::now());
        (0..5).for_each(|number| rooms.add(webhook(number)));
        assert_eq!(wished(&mut rooms, 2, now), [(0, 0, 1), (1, 0, 1)]);
        assert_eq!(wished(&mut rooms, 0, now), []);
        assert_eq!(
            wished(&mut rooms, 9, now),
            [(2, 0, 1), (3, 0, 1), (4, 0, 1)]
        );
    }

    #[test]
    fn a_pace_is_kept_over_any_time() {
        let (mut rooms, start) = (rooms(8, Some(3)), Instant::now());
        let mut calls = 0;
        for tenth in 0..100 {
            let now = start + Duration::from_millis(100 * tenth);
            rooms.add(webhook(1));
            for (_, _, room) in wished(&mut rooms, 256, now) {
                rooms.claimed(webhook(1), room, false);
                (0..room).for_each(|_| rooms.over(webhook(1)));
                calls += room;
            }
        }
        assert!(
            (30..=33).contains(&calls),
            "three a second and what a second saves: {calls}"
        );
    }

    #[test]
    fn who_has_nothing_under_way_is_forgotten() {
        let (mut rooms, now) = (rooms(8, None), Instant::now());
        [1, 2]
            .into_iter()
            .for_each(|number| rooms.add(webhook(number)));
        rooms.wishes(256, now);
        rooms.claimed(webhook(1), 1, false);
        rooms.wishes(256, now + TIDY * 2);
        assert_eq!(
            rooms.endpoints.keys().copied().collect::<Vec<_>>(),
            [webhook(1)]
        );
    }
}
