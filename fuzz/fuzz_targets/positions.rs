//! Opaque texts that clients send back: positions and cursors. Whatever is decoded must mean the same when it is encoded
//! again.
#![no_main]

use backbone::deal_table::{Cursor, DealOrder};
use backbone::position::Position;
use libfuzzer_sys::fuzz_target;

const ORDERS: [DealOrder; 3] = [
    DealOrder::LastChangedFirst,
    DealOrder::PriceAscending,
    DealOrder::PriceDescending,
];

fuzz_target!(|text: &str| {
    if let Some(position) = Position::decode(text) {
        assert_eq!(Position::decode(&position.encode()), Some(position));
    }

    for order in ORDERS {
        if let Some(cursor) = Cursor::decode(text, order) {
            assert_eq!(Cursor::decode(&cursor.encode(), order), Some(cursor));
        }
    }
});
