//! Program of the document oracle: answers one request a line from a world file (web/oracle/README.md).
#![expect(
    clippy::print_stdout,
    reason = "standard output carries the answers of the protocol"
)]

use std::io::{BufRead, Write, stdin, stdout};

use gateway::graphql::Oracle;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("usage: document_oracle WORLD.json")?;
    let oracle = Oracle::new(&std::fs::read_to_string(path)?)?;

    for line in stdin().lock().lines() {
        println!("{}", oracle.answer(&line?).await?);
        stdout().flush()?;
    }

    Ok(())
}
