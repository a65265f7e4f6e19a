//! Backbone's tests at its public edge, in one binary.

mod contract;
mod deals;
