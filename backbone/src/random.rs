//! The only source of randomness, all of it suitable for secrets. Ids that must be reproducible are
//! UUIDv5 and are built where their inputs are known.

use std::time::Duration;

use rand::{Rng, RngCore};
use uuid::{Builder, Uuid};

/// Returns a UUIDv7 for a row created at `now_micros`, UTC microseconds since the Unix epoch.
/// Earlier times count as 0.
///
/// Ids of later microseconds sort later, so inserts touch only the end of an index.
pub fn row_id(now_micros: i64) -> Uuid {
    let micros = now_micros.max(0).unsigned_abs();

    // RFC 9562, section 6.2, method 3: the fraction of the millisecond fills the 12 bits before the
    // variant.
    let fraction = (micros % 1_000) * 4_096 / 1_000;

    let mut tail = random_bytes::<10>();
    tail[..2].copy_from_slice(
        &u16::try_from(fraction)
            .expect("a fraction of 4,096 fits 16 bits")
            .to_be_bytes(),
    );
    // The builder sets version and variant over the bytes given.
    Builder::from_unix_timestamp_millis(micros / 1_000, &tail).into_uuid()
}

/// Returns a UUIDv4, which reveals nothing, not even its age.
pub fn random_id() -> Uuid {
    Builder::from_random_bytes(random_bytes()).into_uuid()
}

/// Returns `N` random bytes.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    generator().fill_bytes(&mut bytes);
    bytes
}

/// Returns `around`, lengthened or shortened by a random share of up to `fraction`, which is
/// clamped to 0 to 1; NaN counts as 0.
pub fn jitter(around: Duration, fraction: f64) -> Duration {
    let fraction = if fraction.is_nan() {
        0.0
    } else {
        fraction.clamp(0.0, 1.0)
    };

    // Computed in seconds as f64, whose rounding is far below any timer's resolution.
    let scaled = around.as_secs_f64() * generator().random_range(1.0 - fraction..=1.0 + fraction);
    Duration::try_from_secs_f64(scaled).unwrap_or(Duration::MAX)
}

/// Returns the identity of a new log, 1 to `i64::MAX`.
pub fn epoch() -> i64 {
    generator().random_range(1..=i64::MAX)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the only source of randomness"
)]
fn generator() -> rand::rngs::ThreadRng {
    rand::rng()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_ids_are_version_7_and_sort_by_microsecond() {
        let start = 1_718_600_000_123_000;
        let ids: Vec<Uuid> = (0..3_000).map(|micro| row_id(start + micro)).collect();
        assert!(ids.is_sorted());
        assert!(
            ids.iter()
                .all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122)
        );

        let (seconds, nanos) = ids[0]
            .get_timestamp()
            .expect("version 7 holds a time")
            .to_unix();

        assert_eq!((seconds, nanos), (1_718_600_000, 123_000_000));
        assert_ne!(row_id(start), row_id(start));
        assert_eq!(
            row_id(-5)
                .get_timestamp()
                .expect("version 7 holds a time")
                .to_unix(),
            (0, 0)
        );
    }

    #[test]
    fn random_ids_are_version_4_and_differ() {
        let (one, other) = (random_id(), random_id());
        assert_eq!((one.get_version_num(), other.get_version_num()), (4, 4));
        assert_ne!(one, other);
    }

    #[test]
    fn jitter_stays_within_its_fraction_and_varies() {
        let second = Duration::from_secs(1);
        let drawn: Vec<Duration> = (0..1_000).map(|_| jitter(second, 0.2)).collect();
        let range = Duration::from_millis(800)..=Duration::from_millis(1_200);
        assert!(drawn.iter().all(|delay| range.contains(delay)));
        assert!(
            drawn.iter().any(|delay| *delay < second) && drawn.iter().any(|delay| *delay > second)
        );

        assert_eq!(jitter(second, 0.0), second);
        assert_eq!(jitter(second, f64::NAN), second);
        assert!(jitter(second, 7.0) <= 2 * second);
        assert!(jitter(Duration::MAX, 0.5) > second);
    }

    #[test]
    fn epochs_are_positive_and_differ() {
        let (one, other) = (epoch(), epoch());
        assert!(one > 0 && other > 0 && one != other);
    }
}
