//! The lock with which processes take turns at migrating a database, the same as the driver's.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::sleep;

use super::progress::Progress;
use crate::random::jitter;

const TRY: &str = include_str!("postgres/try_lock.postgres.sql");
const HOLDER: &str = include_str!("postgres/lock_holder.postgres.sql");
const DATABASE: &str = include_str!("postgres/database.postgres.sql");

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Takes the lock for this session, and waits for as long as another session has it. The lock ends
/// with the session.
pub(super) async fn take(
    session: &mut PgConnection,
    progress: &Progress,
) -> Result<(), sqlx::Error> {
    let database: String = sqlx::query_scalar(DATABASE)
        .fetch_one(&mut *session)
        .await?;
    let key = key(&database);

    loop {
        // Never the call that waits: an index that is built concurrently waits for every statement
        // that began before it, and the two would wait for each other.
        let taken: bool = sqlx::query_scalar(TRY)
            .bind(key)
            .fetch_one(&mut *session)
            .await?;
        if taken {
            return Ok(());
        }

        let holder: Option<String> = sqlx::query_scalar(HOLDER)
            .bind(key)
            .fetch_optional(&mut *session)
            .await?;
        let holder = holder.unwrap_or_else(|| "another process".to_owned());
        progress.tell(format!("waiting for {holder}, which migrates it"));

        sleep(jitter(PAUSE, 0.2)).await;
    }
}

/// Returns the key that the driver's migrator computes for a database, so that a process of an
/// earlier version takes turns as well.
fn key(database: &str) -> i64 {
    0x3d32_ad9e * i64::from(crc32(database.as_bytes()))
}

/// Computes the CRC-32 of ISO-HDLC.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);

        for _ in 0..8 {
            let carry = if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            crc = (crc >> 1) ^ carry;
        }
    }

    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_that_of_the_driver() {
        // The check value of the catalogue of CRC algorithms.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
