//! Money: whole minor units, ISO 4217 currencies, and discounts.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Whole minor units of a currency, such as pence or cents: 0 to 2^53 − 1, the integers that every
/// JSON parser reads exactly.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type,
)]
#[serde(try_from = "i64", into = "i64")]
#[sqlx(transparent)]
pub struct MinorUnits(i64);

/// Error of an amount outside 0 to 2^53 − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the amount {0} is outside 0 to 9007199254740991")]
pub struct AmountOutOfRange(i64);

impl TryFrom<i64> for MinorUnits {
    type Error = AmountOutOfRange;
    fn try_from(amount: i64) -> Result<Self, AmountOutOfRange> {
        Self::new(amount).ok_or(AmountOutOfRange(amount))
    }
}

impl From<MinorUnits> for i64 {
    fn from(units: MinorUnits) -> Self {
        units.0
    }
}

impl MinorUnits {
    /// Largest amount, 2^53 − 1.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// Builds an amount; `None` outside 0 to 2^53 − 1.
    pub fn new(amount: i64) -> Option<Self> {
        (0..=Self::MAX.0).contains(&amount).then_some(Self(amount))
    }

    /// Returns the amount as a number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// A currency by its alphabetic code: three upper-case letters.
///
/// Parsing a text accepts the currencies of ISO 4217, which is what a deal may be created in. What
/// has been stored is read back whatever the list says today: codes leave it, deals stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Returns the alphabetic code, for example `GBP`.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a code consists of ASCII letters")
    }

    /// Reads a stored code.
    fn stored(code: &str) -> Result<Self, UnknownCurrency> {
        let letters: [u8; 3] = code.as_bytes().try_into().map_err(|_| UnknownCurrency)?;
        let is_code = letters.iter().all(u8::is_ascii_uppercase);
        is_code.then_some(Self(letters)).ok_or(UnknownCurrency)
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;
    fn from_str(code: &str) -> Result<Self, UnknownCurrency> {
        iso_currency::Currency::from_code(code).ok_or(UnknownCurrency)?;
        Self::stored(code)
    }
}

impl TryFrom<String> for Currency {
    type Error = UnknownCurrency;
    fn try_from(stored: String) -> Result<Self, UnknownCurrency> {
        Self::stored(&stored)
    }
}

/// Error of parsing a text that is not an ISO 4217 alphabetic code (three upper-case letters).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an ISO 4217 currency code")]
pub struct UnknownCurrency;

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::stored(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A share in hundredths of a percent, 0 to 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct BasisPoints(u16);

/// Error of a share of more than 10,000 hundredths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the share {0} is above 10000")]
pub struct ShareOutOfRange(u16);

impl TryFrom<u16> for BasisPoints {
    type Error = ShareOutOfRange;
    fn try_from(points: u16) -> Result<Self, ShareOutOfRange> {
        (points <= 10_000)
            .then_some(Self(points))
            .ok_or(ShareOutOfRange(points))
    }
}

impl From<BasisPoints> for u16 {
    fn from(points: BasisPoints) -> Self {
        points.0
    }
}

impl BasisPoints {
    /// Builds a share from a percentage of 0 to 100 with at most two decimals; `None` for any other
    /// number.
    pub fn from_percentage(percentage: f64) -> Option<Self> {
        let points = (percentage * 100.0).round();

        // A decimal text with two places is parsed to the double nearest to its value, which is
        // what this division yields too. Any other double had more places.
        let exact = points / 100.0 == percentage;
        (exact && (0.0..=10_000.0).contains(&points)).then_some(Self(points as u16))
    }

    /// Returns the share as a percentage, for example 12.5.
    pub fn percentage(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// Reduction of a deal's total price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "SCREAMING_SNAKE_CASE",
    rename_all_fields = "camelCase"
)]
pub enum Discount {
    /// A fixed amount, at most the total price.
    Flat {
        /// Amount in minor units of the deal's currency.
        amount: MinorUnits,
    },
    /// A share of the total price.
    Percentage {
        /// Share in hundredths of a percent.
        basis_points: BasisPoints,
    },
}

impl Discount {
    /// Returns `total` less the discount. Half a minor unit is rounded up, and a flat discount that
    /// exceeds `total` leaves zero.
    pub fn applied_to(self, total: MinorUnits) -> MinorUnits {
        match self {
            Self::Flat { amount } => MinorUnits((total.0 - amount.0).max(0)),
            Self::Percentage { basis_points } => {
                // In 128 bits, since 2^53 times 10,000 exceeds 64.
                let kept = i128::from(total.0) * i128::from(10_000 - basis_points.0);
                MinorUnits(((kept + 5_000) / 10_000) as i64)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(amount: i64) -> MinorUnits {
        MinorUnits::new(amount).expect("in range")
    }

    #[test]
    fn minor_units_stop_at_the_integers_json_keeps() {
        assert_eq!(
            MinorUnits::new(9_007_199_254_740_991),
            Some(MinorUnits::MAX)
        );

        assert_eq!(MinorUnits::new(9_007_199_254_740_992), None);
        assert_eq!(MinorUnits::new(-1), None);
    }

    #[test]
    fn a_percentage_has_at_most_two_decimals() {
        for (percentage, kept) in [
            (0.0, true),
            (100.0, true),
            (33.33, true),
            (0.07, true),
            (1.005, false),
        ] {
            assert_eq!(
                BasisPoints::from_percentage(percentage).is_some(),
                kept,
                "{percentage}"
            );
        }

        assert_eq!(BasisPoints::from_percentage(100.01), None);
        assert_eq!(BasisPoints::from_percentage(-0.01), None);
        assert_eq!(BasisPoints::from_percentage(f64::NAN), None);
        for points in 0..=10_000_u16 {
            let text = format!("{}.{:02}", points / 100, points % 100);
            let read = BasisPoints::from_percentage(text.parse().expect("a number"));
            assert_eq!(read, Some(BasisPoints(points)), "{text}");
        }
    }

    #[test]
    fn half_a_unit_rounds_up() {
        let half = Discount::Percentage {
            basis_points: BasisPoints(5_000),
        };

        assert_eq!(half.applied_to(units(1)), units(1));
        assert_eq!(half.applied_to(units(3)), units(2));
        assert_eq!(
            half.applied_to(MinorUnits::MAX),
            units(4_503_599_627_370_496)
        );

        let third = Discount::Percentage {
            basis_points: BasisPoints(3_333),
        };

        assert_eq!(third.applied_to(units(100)), units(67));
        assert_eq!(
            Discount::Flat {
                amount: units(1_234)
            }
            .applied_to(units(122_300)),
            units(121_066)
        );
    }

    #[test]
    fn only_iso_4217_codes_are_currencies() {
        let pound: Currency = "GBP".parse().expect("it is on the list");
        assert_eq!(pound.code(), "GBP");
        for wrong in ["gbp", "ZZZ", "", "GB", "GBPX"] {
            assert_eq!(wrong.parse::<Currency>(), Err(UnknownCurrency), "{wrong}");
        }
    }
}
