//! Injection of faults. Each one is observed to take effect before the schedule goes on: a test that
//! survives a fault which never happened proves nothing.

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

/// Line that Redis logs when it drops a listener whose output buffer is full.
const LISTENER_DROPPED: &str = "overcoming of output buffer limits";
const BUFFER: &str = "client-output-buffer-limit";
/// Number of sockets that a gateway closed because the client read nothing.
const SLOW_CLIENTS_CLOSED: &str = "dealwire_sockets_closed_total{code=\"4290\"}";
/// Attempts to kill the projector between commit and publish: it may just have stopped advancing.
const TRIES: usize = 5;

/// Waits for the duration of an outage, which is part of the schedule and not a synchronisation.
async fn outage(time: Duration) {
    sleep(time).await;
}

impl Market {
    /// Injects the faults of one lane in order.
    pub(super) async fn run_lane(&self, lane: &[Step], load: &Load) {
        for Step { pause, fault } in lane {
            outage(*pause).await;
            self.inject(*fault, load).await;
        }
    }

    async fn inject(&self, fault: Fault, load: &Load) {
        match fault {
            Fault::RedisKilled(away) => self.kill_redis(away).await,
            Fault::RedisStopped(time) => self.stop_redis(time).await,
            Fault::ListenersKilled => self.kill_listeners().await,
            Fault::BufferTiny => self.drop_slow_listeners(load).await,
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
        outage(away).await;
        self.services.redis().restart().await;
    }

    async fn stop_redis(&self, time: Duration) {
        let _broken = self.calm.read().await;
        self.services.redis().pause();
        outage(time).await;
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

    async fn drop_slow_listeners(&self, load: &Load) {
        let _broken = self.calm.read().await;
        let redis = self.services.redis();
        let dropped = || redis.log().matches(LISTENER_DROPPED).count();
        let before = dropped();
        redis
            .command(&["CONFIG", "SET", BUFFER, "pubsub 1024 0 0"])
            .await;
        wait_until(
            PATIENCE,
            "a listener is thrown out for being behind",
            async || {
                load.heavy_change().await;
                dropped() > before
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
        outage(away).await;
        self.services.nats().restart().await;
    }

    async fn restart_postgres(&self, away: Duration) {
        let _broken = self.calm.read().await;
        self.services.postgres().kill();
        outage(away).await;
        self.services.postgres().restart().await;
    }

    /// Holds a link that is in use: one without connections would show nothing.
    async fn hold_link(&self, which: Which, link: Link, time: Duration) {
        let gateway = &self.gateways[which];
        let proxy = match link {
            Link::Redis => &gateway.to_redis,
            Link::Nats => &gateway.to_nats,
            Link::BuyerDatabase => &gateway.to_buyer_database,
        };
        in_use(proxy).await;
        proxy.half_open();
        outage(time).await;
        proxy.restore().await;
    }

    /// Stops the projector that advances. The standby must take over although heartbeats still report the
    /// checkpoint.
    async fn stop_projector(&self, time: Duration) {
        let _calm = self.calm.write().await;
        let active = self.active().await;
        let (stopped, standby) = (&self.projectors[active], &self.projectors[1 - active]);
        let before = standby.applied().await;
        stopped.process.lock().await.pause().await;
        outage(time).await;
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

    /// Holds the link from the projector to Redis until the heartbeat of the standby is ahead of the last
    /// published batch, and kills the projector. The next batch shows whether the committed one was never
    /// published: it then begins after the gap.
    async fn try_to_kill_between(&self) -> bool {
        let projector = &self.projectors[self.active().await];
        let mut probe = BusProbe::open(&self.stores.redis_url, &self.stores.market);
        probe
            .listen_until("a batch is published", |probe| probe.published > 0)
            .await;
        projector.to_redis.hold(Direction::ToServer);
        probe
            .listen_until("a batch is committed and not published", |probe| {
                probe.committed > probe.published
            })
            .await;
        let mut process = projector.process.lock().await;
        process.kill().await;
        // What the proxy still holds must not arrive later.
        projector.to_redis.cut().await;
        projector.to_redis.restore().await;
        process.start();
        let committed = self.checkpoint().await.expect("the database is there");
        probe
            .listen_until("batches are published again", |probe| {
                probe.published > committed
            })
            .await;
        probe.missed.iter().any(|last| *last >= committed)
    }

    async fn stall_readers(&self, load: &Load) {
        let closed = async || {
            let [first, second] = &self.gateways;
            first.metric(SLOW_CLIENTS_CLOSED).await + second.metric(SLOW_CLIENTS_CLOSED).await
        };
        let (before, seen) = (closed().await, load.ended(End::Closed(4290)));
        load.stall(true);
        wait_until(
            PATIENCE,
            "a gateway closes a socket that reads nothing",
            async || closed().await > before,
        )
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
        process.stop().await;
        wait_until(PATIENCE, "its readers are told to come again", async || {
            load.ended(End::Closed(1012)) > before
        })
        .await;
        outage(away).await;
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
        outage(time).await;
        self.front.restore().await;
    }

    async fn hold_clients(&self, time: Duration, after: After) {
        in_use(&self.front).await;
        self.front.half_open();
        outage(time).await;
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
    outage(away).await;
    process.start();
}

/// Listener on the live bus that compares notifications of batches with heartbeats.
struct BusProbe {
    bus: BusReceiver,
    /// Last event of the newest batch that was published.
    published: u64,
    /// Checkpoint in the newest heartbeat.
    committed: u64,
    /// Last event of each run of batches that were committed and never published.
    missed: Vec<u64>,
    _link: Lifecycle,
}

impl BusProbe {
    fn open(url: &str, market: &str) -> Self {
        let link = Lifecycle::new();
        let bus = LiveBus::redis(url, format!("{market}.live"), &link, &Metrics::new());
        let bus = bus.expect("a URL of Redis").subscribe();
        Self {
            bus,
            published: 0,
            committed: 0,
            missed: Vec::new(),
            _link: link,
        }
    }

    async fn listen_until(&mut self, what: &str, reached: impl Fn(&Self) -> bool) {
        let listening = async {
            while !reached(self) {
                if let BusEvent::Message(message) = self.bus.next().await {
                    self.record(
                        &Notification::decode(&message).expect("a notification of this version"),
                    );
                }
            }
        };
        assert!(
            timeout(PATIENCE, listening).await.is_ok(),
            "timed out waiting until {what}"
        );
    }

    fn record(&mut self, notification: &Notification) {
        // A heartbeat carries a checkpoint and no batch.
        if notification.prev == notification.last {
            self.committed = notification.last;
            return;
        }
        if self.published > 0 && notification.prev > self.published {
            self.missed.push(notification.prev);
        }
        self.published = self.published.max(notification.last);
    }
}
