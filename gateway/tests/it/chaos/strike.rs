//! Carries out faults, and shows of each that it was there: a fault that did not happen would be a test passed for
//! nothing.

use std::time::Duration;

use backbone::lifecycle::Lifecycle;
use backbone::live_bus::{BusEvent, BusReceiver, LiveBus};
use backbone::telemetry::Metrics;
use backbone::testkit::{Direction, Proxy, wait_until};
use buyer_core::notification::Notification;
use tokio::time::{sleep, timeout};

use super::market::{Gateway, Market};
use super::schedule::{After, Fault, Link, Step, Which};
use crate::kit::{End, Process};
use crate::load::{Load, PATIENCE};

/// What Redis logs of a listener that it throws out for being behind.
const THROWN_OUT: &str = "overcoming of output buffer limits";
const BUFFER: &str = "client-output-buffer-limit";
/// Sockets that a gateway closed because they took nothing.
const LOST_PATIENCE: &str = "dealwire_sockets_closed_total{code=\"4290\"}";
/// Which projector advances may just have changed, and then another try shows it.
const TRIES: usize = 5;

/// The schedule's clock: how long something lasts.
async fn last(time: Duration) {
    sleep(time).await;
}

impl Market {
    /// Carries out a lane of faults, one after the other.
    pub(super) async fn suffer(&self, lane: &[Step], load: &Load) {
        for Step { pause, fault } in lane {
            last(*pause).await;
            self.strike(*fault, load).await;
        }
    }

    async fn strike(&self, fault: Fault, load: &Load) {
        match fault {
            Fault::RedisKilled(away) => self.kill_redis(away).await,
            Fault::RedisStopped(time) => self.stop_redis(time).await,
            Fault::ListenersKilled => self.kill_listeners().await,
            Fault::BufferTiny => self.throw_out_listeners(load).await,
            Fault::RedisFlushed => self.flush_redis().await,
            Fault::ProjectorKilled(away) => {
                let active = self.active().await;
                kill(&mut *self.projectors[active].process.lock().await, away).await;
            }
            Fault::ProjectorKilledBetween => self.kill_between_commit_and_publish().await,
            Fault::ProjectorStopped(time) => self.stop_projector(time).await,
            Fault::SellerProjectorKilled(away) => {
                kill(&mut *self.seller_projector.lock().await, away).await;
            }
            Fault::NatsKilled(away) => self.kill_nats(away).await,
            Fault::PostgresRestarted(away) => self.restart_postgres(away).await,
            Fault::LinkHeld(which, link, time) => self.hold_link(which, link, time).await,
            Fault::GatewayKilled(which, away) => {
                let mut process = self.gateways[which].process.lock().await;
                kill(&mut process, away).await;
                process.ready_within(PATIENCE).await;
            }
            Fault::GatewayDrained(which, away) => self.gateways[which].drain(away, load).await,
            Fault::ClientsCut(which, bytes) => self.gateways[which].cut_clients(bytes, load).await,
            Fault::ClientsDelayed(which, delay, time) => {
                self.gateways[which].delay_clients(delay, time).await;
            }
            Fault::ClientsHeld(which, time, after) => {
                self.gateways[which].hold_clients(time, after).await
            }
            Fault::ReadersStalled => self.stall_readers(load).await,
        }
    }

    async fn kill_redis(&self, away: Duration) {
        let _broken = self.calm.read().await;
        self.services.redis().kill();
        last(away).await;
        self.services.redis().restart().await;
    }

    async fn stop_redis(&self, time: Duration) {
        let _broken = self.calm.read().await;
        self.services.redis().pause();
        last(time).await;
        self.services.redis().resume();
    }

    async fn kill_listeners(&self) {
        let _broken = self.calm.read().await;
        wait_until(
            PATIENCE,
            "somebody listens, and is thrown out",
            async || {
                self.services
                    .redis()
                    .command(&["CLIENT", "KILL", "TYPE", "pubsub"])
                    .await
                    != ":0"
            },
        )
        .await;
    }

    async fn throw_out_listeners(&self, load: &Load) {
        let _broken = self.calm.read().await;
        let redis = self.services.redis();
        let thrown_out = || redis.log().matches(THROWN_OUT).count();
        let before = thrown_out();
        redis
            .command(&["CONFIG", "SET", BUFFER, "pubsub 1024 0 0"])
            .await;
        wait_until(
            PATIENCE,
            "a listener is thrown out for being behind",
            async || {
                load.heavy_change().await;
                thrown_out() > before
            },
        )
        .await;
        redis
            .command(&["CONFIG", "SET", BUFFER, "pubsub 33554432 8388608 60"])
            .await;
    }

    async fn flush_redis(&self) {
        let _broken = self.calm.read().await;
        assert_eq!(self.services.redis().command(&["FLUSHALL"]).await, "+OK");
    }

    async fn kill_nats(&self, away: Duration) {
        let _broken = self.calm.read().await;
        self.services.nats().kill();
        last(away).await;
        self.services.nats().restart().await;
    }

    async fn restart_postgres(&self, away: Duration) {
        let _broken = self.calm.read().await;
        self.services.postgres().kill();
        last(away).await;
        self.services.postgres().restart().await;
    }

    /// What is held is a link that is in use.
    async fn hold_link(&self, which: Which, link: Link, time: Duration) {
        let gateway = &self.gateways[which];
        let proxy = match link {
            Link::Redis => &gateway.to_redis,
            Link::Nats => &gateway.to_nats,
            Link::BuyerDatabase => &gateway.to_buyer_database,
        };
        in_use(proxy).await;
        proxy.half_open();
        last(time).await;
        proxy.restore().await;
    }

    /// The one that advances is stopped, and the other takes over although the tables' place is told all the while.
    async fn stop_projector(&self, time: Duration) {
        let _calm = self.calm.write().await;
        let active = self.active().await;
        let (stopped, standby) = (&self.projectors[active], &self.projectors[1 - active]);
        let before = standby.applied().await;
        stopped.process.lock().await.pause().await;
        last(time).await;
        wait_until(PATIENCE, "the standby takes over", async || {
            standby.applied().await > before
        })
        .await;
        stopped.process.lock().await.resume().await;
    }

    async fn kill_between_commit_and_publish(&self) {
        let _calm = self.calm.write().await;
        for _ in 0..TRIES {
            if self.try_to_kill_between().await {
                return;
            }
        }
        panic!("no projector died between commit and publish in {TRIES} tries");
    }

    /// Holds what the projector says to Redis until the standby tells of tables that are beyond what was announced, and
    /// kills it. Whether a batch that was committed has never been announced shows in the next one, which begins
    /// after it.
    async fn try_to_kill_between(&self) -> bool {
        let projector = &self.projectors[self.active().await];
        let mut ear = Ear::open(&self.stores.redis_url, &self.stores.market);
        ear.listen_until("a batch is announced", |ear| ear.announced > 0)
            .await;
        projector.to_redis.hold(Direction::ToServer);
        ear.listen_until("a batch is committed and not announced", |ear| {
            ear.committed > ear.announced
        })
        .await;
        let mut process = projector.process.lock().await;
        process.kill().await;
        // What it had said is not said later.
        projector.to_redis.cut().await;
        projector.to_redis.restore().await;
        process.start();
        let committed = self.checkpoint().await.expect("the database is there");
        ear.listen_until("batches are announced again", |ear| {
            ear.announced > committed
        })
        .await;
        ear.missed.iter().any(|last| *last >= committed)
    }

    async fn stall_readers(&self, load: &Load) {
        let closed = async || {
            let [first, second] = &self.gateways;
            first.metric(LOST_PATIENCE).await + second.metric(LOST_PATIENCE).await
        };
        let (before, seen) = (closed().await, load.ended(End::Closed(4290)));
        load.stall(true);
        wait_until(PATIENCE, "a gateway loses its patience", async || {
            closed().await > before
        })
        .await;
        load.stall(false);
        wait_until(PATIENCE, "the reader learns why", async || {
            load.ended(End::Closed(4290)) > seen
        })
        .await;
    }
}

impl Gateway {
    async fn drain(&self, away: Duration, load: &Load) {
        let mut process = self.process.lock().await;
        wait_until(PATIENCE, "the gateway has sockets", async || {
            self.metric("dealwire_sockets_open").await > 0
        })
        .await;
        let before = load.ended(End::Closed(1012));
        process.end().await;
        wait_until(PATIENCE, "its readers are told to come again", async || {
            load.ended(End::Closed(1012)) > before
        })
        .await;
        last(away).await;
        process.start();
        process.ready_within(PATIENCE).await;
    }

    async fn cut_clients(&self, bytes: u64, load: &Load) {
        let broken = load.ended(End::Broken);
        self.front.reset_after(Direction::ToClient, bytes);
        wait_until(PATIENCE, "readers are cut off", async || {
            load.ended(End::Broken) > broken
        })
        .await;
    }

    async fn delay_clients(&self, delay: Duration, time: Duration) {
        in_use(&self.front).await;
        self.front.delay(delay);
        last(time).await;
        self.front.restore().await;
    }

    async fn hold_clients(&self, time: Duration, after: After) {
        in_use(&self.front).await;
        self.front.half_open();
        last(time).await;
        if after == After::Reset {
            self.front.cut().await;
        }
        self.front.restore().await;
    }
}

async fn in_use(link: &Proxy) {
    wait_until(PATIENCE, "the link is in use", async || {
        link.connections() > 0
    })
    .await;
}

async fn kill(process: &mut Process, away: Duration) {
    process.kill().await;
    last(away).await;
    process.start();
}

/// Listens to what gateways are told.
struct Ear {
    bus: BusReceiver,
    /// The last event of the last batch that was announced.
    announced: u64,
    /// Where a heartbeat has said that the tables stand.
    committed: u64,
    /// The last event of each run of batches that were not announced.
    missed: Vec<u64>,
    _link: Lifecycle,
}

impl Ear {
    fn open(url: &str, market: &str) -> Self {
        let link = Lifecycle::new();
        let bus = LiveBus::redis(url, format!("{market}.live"), &link, &Metrics::new());
        let bus = bus.expect("a URL of Redis").subscribe();
        Self {
            bus,
            announced: 0,
            committed: 0,
            missed: Vec::new(),
            _link: link,
        }
    }

    async fn listen_until(&mut self, what: &str, reached: impl Fn(&Self) -> bool) {
        let listening = async {
            while !reached(self) {
                if let BusEvent::Message(message) = self.bus.next().await {
                    self.take(&Notification::decode(&message).expect("an announcement of today"));
                }
            }
        };
        assert!(
            timeout(PATIENCE, listening).await.is_ok(),
            "not in time: {what}"
        );
    }

    fn take(&mut self, told: &Notification) {
        // A heartbeat tells a place and no batch.
        if told.prev == told.last {
            self.committed = told.last;
            return;
        }
        if self.announced > 0 && told.prev > self.announced {
            self.missed.push(told.prev);
        }
        self.announced = self.announced.max(told.last);
    }
}
