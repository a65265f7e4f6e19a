//! What is to break, and when: a list that follows from a seed and from nothing else, so that a run can be made again.
//! It is pure; who carries it out is [`super::strike`].

use std::fmt;
use std::time::Duration;

/// One of the two gateways.
pub(super) type Which = usize;

/// Something that breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// redis-server is killed, and is back after so long, empty.
    RedisKilled(Duration),
    /// redis-server is stopped where it stands.
    RedisStopped(Duration),
    /// Redis throws out whoever listens.
    ListenersKilled,
    /// Redis has no room for a listener that is behind, until one was thrown out for it.
    BufferTiny,
    /// Redis forgets everything that it holds.
    RedisFlushed,
    /// The buyer projector that advances is killed.
    ProjectorKilled(Duration),
    /// It is killed when it has committed a batch and before it has told the gateways.
    ProjectorKilledBetween,
    /// It is stopped where it stands, while the standby goes on telling the tables' place.
    ProjectorStopped(Duration),
    /// The seller projector is killed.
    SellerProjectorKilled(Duration),
    /// nats-server is killed, and is back after so long.
    NatsKilled(Duration),
    /// PostgreSQL is killed, and is back after so long.
    PostgresRestarted(Duration),
    /// Nothing passes between a gateway and a server.
    LinkHeld(Which, Link, Duration),
    /// A gateway is killed.
    GatewayKilled(Which, Duration),
    /// A gateway is told to end.
    GatewayDrained(Which, Duration),
    /// All connections of clients to a gateway are cut after so many bytes.
    ClientsCut(Which, u64),
    /// All that clients and a gateway say to each other is late by the first of these.
    ClientsDelayed(Which, Duration, Duration),
    /// Nothing passes between clients and a gateway; then it goes on, or the connections are reset.
    ClientsHeld(Which, Duration, After),
    /// Slow readers read nothing until the gateway has lost its patience with one.
    ReadersStalled,
}

/// From a gateway to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Redis,
    Nats,
    BuyerDatabase,
}

/// What comes after a time in which nothing passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    GoesOn,
    Reset,
}

/// A fault, and how long after the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) pause: Duration,
    pub(super) fault: Fault,
}

/// What happens in one run: each lane on its own, beside the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) seed: u64,
    pub(super) lanes: [Vec<Step>; 4],
}

/// What breaks one after the other, because it breaks the same things.
const LANES: [&str; 4] = ["Redis", "projectors", "stores", "gateways and clients"];

impl Schedule {
    /// Every kind of fault at least once, but for the longest, in about 40 s.
    pub(super) fn short(seed: u64) -> Self {
        Self::new(seed, Duration::from_secs(32), &[])
    }

    /// The same in about two minutes, and Redis away for 40 s.
    pub(super) fn long(seed: u64) -> Self {
        Self::new(
            seed,
            Duration::from_secs(110),
            &[Fault::RedisKilled(Duration::from_secs(40))],
        )
    }

    /// How many there are.
    pub(super) fn faults(&self) -> usize {
        self.lanes.iter().map(Vec::len).sum()
    }

    /// Each lane in an order of its own; then again, whatever the dice say, until about so much time is full.
    fn new(seed: u64, full: Duration, more_of_redis: &[Fault]) -> Self {
        let mut dice = Dice(seed);
        let lanes = [0, 1, 2, 3].map(|lane| {
            let (mut steps, mut time) = (Vec::new(), Duration::ZERO);
            let mut due = faults_of(lane, &mut dice);
            if lane == 0 {
                due.extend(more_of_redis);
            }
            dice.shuffle(&mut due);
            while !due.is_empty() || time < full {
                let fault = due.pop().unwrap_or_else(|| {
                    let kinds = faults_of(lane, &mut dice);
                    kinds[dice.below(kinds.len())]
                });
                let pause = dice.millis(200, 1_500);
                time += pause + fault.about();
                steps.push(Step { pause, fault });
            }
            steps
        });
        Self { seed, lanes }
    }
}

/// Every kind of a lane, with its particulars drawn.
fn faults_of(lane: usize, dice: &mut Dice) -> Vec<Fault> {
    let seconds = Duration::from_secs;
    match lane {
        0 => vec![
            Fault::RedisKilled(Duration::ZERO),
            Fault::RedisKilled(seconds(5)),
            Fault::RedisStopped(seconds(10)),
            Fault::ListenersKilled,
            Fault::BufferTiny,
            Fault::RedisFlushed,
        ],
        1 => vec![
            Fault::ProjectorKilled(dice.millis(0, 2_000)),
            Fault::ProjectorKilledBetween,
            Fault::ProjectorStopped(dice.millis(3_000, 5_000)),
            Fault::SellerProjectorKilled(dice.millis(0, 2_000)),
        ],
        2 => vec![
            Fault::NatsKilled(dice.millis(500, 3_000)),
            Fault::PostgresRestarted(dice.millis(0, 2_000)),
            Fault::LinkHeld(dice.below(2), Link::Redis, dice.millis(2_000, 5_000)),
            Fault::LinkHeld(dice.below(2), Link::Nats, dice.millis(2_000, 5_000)),
            Fault::LinkHeld(
                dice.below(2),
                Link::BuyerDatabase,
                dice.millis(2_000, 5_000),
            ),
        ],
        _ => {
            let first = dice.below(2);
            vec![
                Fault::GatewayKilled(first, dice.millis(0, 2_000)),
                Fault::GatewayDrained(1 - first, dice.millis(0, 2_000)),
                Fault::ClientsCut(dice.below(2), dice.between(200, 20_000)),
                Fault::ClientsDelayed(
                    dice.below(2),
                    dice.millis(5, 100),
                    dice.millis(1_000, 3_000),
                ),
                Fault::ClientsHeld(dice.below(2), dice.millis(1_000, 4_000), After::GoesOn),
                Fault::ClientsHeld(dice.below(2), dice.millis(1_000, 4_000), After::Reset),
                Fault::ReadersStalled,
            ]
        }
    }
}

impl Fault {
    /// How long it takes, about, with what it takes to be over.
    fn about(self) -> Duration {
        let more = Duration::from_millis(match self {
            Self::RedisKilled(_)
            | Self::RedisStopped(_)
            | Self::LinkHeld(..)
            | Self::ClientsHeld(..) => 300,
            Self::ListenersKilled | Self::RedisFlushed | Self::ClientsDelayed(..) => 50,
            Self::ProjectorKilled(_) | Self::SellerProjectorKilled(_) | Self::NatsKilled(_) => 500,
            Self::BufferTiny | Self::ClientsCut(..) | Self::PostgresRestarted(_) => 1_000,
            Self::ProjectorKilledBetween | Self::ProjectorStopped(_) | Self::GatewayKilled(..) => {
                2_000
            }
            Self::GatewayDrained(..) => 4_000,
            Self::ReadersStalled => 12_000,
        });
        match self {
            Self::RedisKilled(time)
            | Self::RedisStopped(time)
            | Self::ProjectorKilled(time)
            | Self::ProjectorStopped(time)
            | Self::SellerProjectorKilled(time)
            | Self::NatsKilled(time)
            | Self::PostgresRestarted(time)
            | Self::LinkHeld(_, _, time)
            | Self::GatewayKilled(_, time)
            | Self::GatewayDrained(_, time)
            | Self::ClientsDelayed(_, _, time)
            | Self::ClientsHeld(_, time, _) => time + more,
            _ => more,
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, four lanes beside each other:", self.seed)?;
        for (name, steps) in LANES.iter().zip(&self.lanes) {
            writeln!(f, "  {name}")?;
            for Step { pause, fault } in steps {
                writeln!(f, "    after {pause:?} {fault:?}")?;
            }
        }
        Ok(())
    }
}

/// Chance that a seed determines, on every machine and for ever (SplitMix64): a library's may change with its version.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    fn below(&mut self, count: usize) -> usize {
        self.between(0, count as u64 - 1) as usize
    }

    fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[test]
fn a_seed_is_a_schedule() {
    assert_eq!(Schedule::short(7), Schedule::short(7));
    assert_ne!(Schedule::short(7).lanes, Schedule::short(8).lanes);
    let first = Schedule::short(1).to_string();
    assert!(first.starts_with("seed 1, "), "{first}");
}

#[test]
fn every_schedule_has_every_kind_of_fault_and_an_end() {
    let second = Duration::from_secs(1);
    for seed in 0..200 {
        let (short, long) = (Schedule::short(seed), Schedule::long(seed));
        for (schedule, most, away) in [(&short, 50, vec![0, 5]), (&long, 150, vec![0, 5, 40])] {
            let told = schedule.to_string();
            for kind in [
                "RedisStopped(10s)",
                "ListenersKilled",
                "BufferTiny",
                "RedisFlushed",
                "ProjectorKilled(",
                "ProjectorKilledBetween",
                "ProjectorStopped(",
                "SellerProjectorKilled(",
                "NatsKilled(",
                "PostgresRestarted(",
                "Redis, ",
                "Nats, ",
                "BuyerDatabase, ",
                "GatewayKilled(",
                "GatewayDrained(",
                "ClientsCut(",
                "ClientsDelayed(",
                "GoesOn",
                "Reset",
                "ReadersStalled",
            ] {
                assert!(told.contains(kind), "{kind} is missing: {told}");
            }
            for seconds in [0, 5, 40] {
                let fault = Fault::RedisKilled(seconds * second);
                let found = schedule.lanes[0].iter().any(|step| step.fault == fault);
                assert_eq!(found, away.contains(&seconds), "{fault:?}: {told}");
            }
            for lane in &schedule.lanes {
                let time: Duration = lane
                    .iter()
                    .map(|step| step.pause + step.fault.about())
                    .sum();
                assert!(time <= most * second, "{time:?}: {told}");
            }
        }
    }
}
