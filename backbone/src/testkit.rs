//! Real servers for tests, and the faults to put between them and us.
//!
//! Owns: starting, killing, pausing and restarting private nats-server, redis-server and PostgreSQL processes, a
//! TCP proxy that breaks connections on request, a receiver of webhooks as bad as a test needs it, and the one place where a test may wait. Every server listens
//! on 127.0.0.1, keeps its files in a temporary folder of its own and dies with the value that stands for it, or
//! with the process that held that value.
//!
//! Refuses: mocks, signals to processes it did not start, fixed ports and fixed sleeps. It panics with a message
//! that says what to do, as a test would; nothing here is for production code.

mod nats;
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
pub use port::Port;
pub use postgres::{PostgresServer, create_database, drop_database};
pub use proxy::{Direction, Proxy};
pub use receiver::{Receiver, Reply, Request};
pub use redis::RedisServer;
pub use services::{Market, Services, Versions};
pub use wait::{wait_for, wait_until};
