//! Rebuilds the crate when a migration file appears or disappears.
//!
//! `sqlx::migrate!` embeds whole folders, and the compiler watches only the files that were there at the last build.

fn main() {
    println!("cargo::rerun-if-changed=../migrations/sqlite/log");
    // The crate's tests embed the seller side's tables.
    println!("cargo::rerun-if-changed=../migrations/postgres/seller");
    println!("cargo::rerun-if-changed=../migrations/sqlite/seller");
}
