//! A map to shared values that it does not keep: an entry goes when the last holder of its value drops it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

/// Number of entries below which dead ones are not worth a sweep.
const MIN_SWEEP: usize = 64;

/// Values in use, by key.
pub struct WeakMap<K, V> {
    entries: HashMap<K, Weak<V>>,
    /// Number of entries at which dead ones are swept the next time.
    sweep_at: usize,
}

impl<K, V> Default for WeakMap<K, V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            sweep_at: MIN_SWEEP,
        }
    }
}

impl<K: Eq + Hash, V> WeakMap<K, V> {
    /// Returns the value of a key, if somebody holds it.
    pub fn get(&self, key: &K) -> Option<Arc<V>> {
        self.entries.get(key).and_then(Weak::upgrade)
    }

    /// Returns the keys and values that somebody holds.
    pub fn held(&self) -> impl Iterator<Item = (&K, Arc<V>)> {
        self.entries
            .iter()
            .filter_map(|(key, value)| Some((key, value.upgrade()?)))
    }

    /// Returns the value of a key, made by `make` unless somebody holds it.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        if let Some(value) = self.get(&key) {
            return value;
        }

        // Only when the map has doubled since the last time: a sweep for each insertion would make a thousand clients
        // that come at once cost a million looks.
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, value| value.strong_count() > 0);
            self.sweep_at = (2 * self.entries.len()).max(MIN_SWEEP);
        }

        let value = Arc::new(make());
        self.entries.insert(key, Arc::downgrade(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_shares_what_is_held_and_forgets_the_rest() {
        let mut map = WeakMap::default();
        let held = map.get_or_insert_with(0, || "held");

        for key in 1..10_000 {
            map.get_or_insert_with(key, || "dropped");
        }

        assert!(Arc::ptr_eq(&held, &map.get_or_insert_with(0, || "another")));
        assert!(map.get(&1).is_none());
        assert!(map.entries.len() <= MIN_SWEEP, "{}", map.entries.len());
    }
}
