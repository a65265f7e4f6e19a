//! Integers in JSON: any number whose value is whole, however it is written.

/// Reads a JSON number (RFC 8259, section 6) whose value is whole: `129900`, `129900.0` and `1.299e5` are the same
/// amount. Exact for every text, unlike a reading by way of a floating-point number. Values beyond 64 bits become the
/// nearest that fits; `None` for a number with a fraction.
pub(super) fn integer(number: &str) -> Option<i64> {
    let (is_negative, unsigned) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));

    let digits = [whole, fraction].concat();
    let significant = digits.trim_start_matches('0');
    let digits = significant.trim_end_matches('0');
    if digits.is_empty() {
        return Some(0);
    }

    // Power of ten of the last significant digit. An exponent beyond 64 bits is as good as the largest.
    let exponent = exponent.parse().unwrap_or(if exponent.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    });
    let zeros = significant.len() - digits.len();
    let scale = exponent
        .saturating_sub(fraction.len() as i64)
        .saturating_add(zeros as i64);
    if scale < 0 {
        return None;
    }

    let magnitude = u32::try_from(scale)
        .ok()
        .and_then(|scale| 10_i64.checked_pow(scale))
        .and_then(|power| digits.parse::<i64>().ok()?.checked_mul(power));
    Some(match (is_negative, magnitude) {
        (false, magnitude) => magnitude.unwrap_or(i64::MAX),
        (true, magnitude) => magnitude.map_or(i64::MIN, |magnitude| -magnitude),
    })
}

#[cfg(test)]
mod tests {
    use super::integer;

    #[test]
    fn whole_numbers_are_read_exactly_however_they_are_written() {
        let table = [
            ("0", 0),
            ("-0", 0),
            ("-0.0e9", 0),
            ("7", 7),
            ("129900.0", 129_900),
            ("1.299e5", 129_900),
            ("1.29900E+5", 129_900),
            ("12990000e-2", 129_900),
            ("0.5e1", 5),
            ("9007199254740991.000", 9_007_199_254_740_991),
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("900719925474099.1e1", 9_007_199_254_740_991),
            ("9223372036854775807", i64::MAX),
            ("9223372036854775808", i64::MAX),
            ("1e400", i64::MAX),
            ("-1e400", i64::MIN),
            ("1e99999999999999999999", i64::MAX),
            ("0e99999999999999999999", 0),
        ];
        for (text, value) in table {
            assert_eq!(integer(text), Some(value), "{text}");
        }

        for text in [
            "129900.5",
            "1.5",
            "1e-1",
            "15e-1",
            "1e-99999999999999999999",
            "-0.1",
        ] {
            assert_eq!(integer(text), None, "{text}");
        }
    }
}
