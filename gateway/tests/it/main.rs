//! The gateway's tests at its public edge, over real sockets, on both kinds of backends, in one binary.

mod kit;
mod load;

mod access;
mod accounts;
mod architecture;
mod changes;
mod chaos;
mod compression;
mod deals;
mod declaration;
mod disk;
mod docs;
mod documents;
mod drain;
mod errors;
mod events;
mod faults;
mod house;
mod isolation;
mod live;
mod nginx;
mod pages;
mod permissions;
mod rebuild;
mod rest;
mod resume;
mod schema;
mod sockets;
mod spine;
mod tls;
mod undisturbed;
mod views;
mod webhook_faults;
mod webhooks;
mod wrong_log;
