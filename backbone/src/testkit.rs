//! Real servers for tests, and faults to inject between them and the code under test.
//!
//! The kit starts, kills, pauses and restarts private nats-server, redis-server and PostgreSQL
//! processes; it has a TCP proxy that breaks connections on request, a webhook receiver that
//! misbehaves as a test requires, and the only place where a test may wait. Every server listens on
//! 127.0.0.1, keeps its files in a temporary directory of its own, and ends with the value that
//! represents it, or with the process that held that value.
//!
//! There are no mocks, no fixed ports and no fixed sleeps. Functions panic with a message that says
//! what to do, as a test would; nothing here is for production code.

mod nats;
mod nats_cluster;
mod pgbouncer;
mod port;
mod postgres;
mod process;
mod proxy;
mod receiver;
mod redis;
mod server;
mod services;
mod wait;

pub use nats::NatsServer;
pub use nats_cluster::NatsCluster;
pub use pgbouncer::PgBouncer;
pub use port::Port;
pub use postgres::{PostgresServer, create_database, drop_database};
pub use proxy::{Direction, Proxy};
pub use receiver::{Receiver, Reply, Request};
pub use redis::RedisServer;
pub use services::{Market, Services, Versions};
pub use wait::{wait_for, wait_until};
