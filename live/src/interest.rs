//! Index from topics to the readers that follow them.
//!
//! A change costs the readers of its topics and nobody else. Each reader keeps the places that it has in the lists, so
//! leaving one costs the same however many others are in it.

use std::collections::{HashMap, HashSet};

use buyer_core::feed::{Change, ChangeBody};
use slotmap::{Key, SecondaryMap, SlotMap, new_key_type};
use smallvec::{SmallVec, smallvec};
use uuid::Uuid;

/// Subject that a reader follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Deals of this seller.
    Deals(Uuid),
    /// Access changes that name this seller or buyer.
    Access(Uuid),
}

impl Topic {
    /// Returns the topics of a change.
    pub fn of(change: &Change) -> SmallVec<[Self; 2]> {
        match &change.body {
            ChangeBody::Deal { .. } => smallvec![Self::Deals(change.seller_id.0)],
            ChangeBody::Access { buyer, .. } => {
                smallvec![Self::Access(change.seller_id.0), Self::Access(buyer.0)]
            }
        }
    }
}

new_key_type! {
    struct ListKey;
}

/// Readers by topic. `K` is the key by which the owner of the index knows a reader.
pub struct Interest<K: Key> {
    keys: HashMap<Topic, ListKey>,
    lists: SlotMap<ListKey, List<K>>,
    places: SecondaryMap<K, Vec<Place>>,
}

/// The readers of one topic.
struct List<K> {
    topic: Topic,
    entries: Vec<Entry<K>>,
}

/// One reader in a list, with the index of the list among the reader's places.
struct Entry<K> {
    reader: K,
    place: u32,
}

/// Place of a reader in a list.
struct Place {
    list: ListKey,
    entry: u32,
}

impl<K: Key> Default for Interest<K> {
    fn default() -> Self {
        Self {
            keys: HashMap::new(),
            lists: SlotMap::default(),
            places: SecondaryMap::new(),
        }
    }
}

impl<K: Key> Interest<K> {
    /// Returns the readers of a topic.
    pub fn readers(&self, topic: Topic) -> impl Iterator<Item = K> + '_ {
        let list = self.keys.get(&topic).map(|key| &self.lists[*key]);

        list.into_iter()
            .flat_map(|list| list.entries.iter().map(|entry| entry.reader))
    }

    /// Replaces the topics that a reader follows.
    pub fn follow(&mut self, reader: K, topics: &HashSet<Topic>) {
        let held: HashSet<Topic> = self.topics(reader).collect();

        // Only what differs: a grant changes one topic of a buyer who may follow thousands.
        for topic in held.difference(topics) {
            self.leave(reader, *topic);
        }
        for topic in topics.difference(&held) {
            self.join(reader, *topic);
        }
    }

    /// Removes a reader from all lists.
    pub fn remove(&mut self, reader: K) {
        while let Some(place) = self.places.get(reader).and_then(|places| places.last()) {
            let topic = self.lists[place.list].topic;
            self.leave(reader, topic);
        }

        self.places.remove(reader);
    }

    fn topics(&self, reader: K) -> impl Iterator<Item = Topic> + '_ {
        let places = self.places.get(reader).into_iter().flatten();

        places.map(|place| self.lists[place.list].topic)
    }

    fn join(&mut self, reader: K, topic: Topic) {
        let list = *self.keys.entry(topic).or_insert_with(|| {
            self.lists.insert(List {
                topic,
                entries: Vec::new(),
            })
        });
        let places = self
            .places
            .entry(reader)
            .expect("the reader was not removed from its owner's map")
            .or_default();
        let entries = &mut self.lists[list].entries;

        entries.push(Entry {
            reader,
            place: places.len() as u32,
        });
        places.push(Place {
            list,
            entry: entries.len() as u32 - 1,
        });
    }

    fn leave(&mut self, reader: K, topic: Topic) {
        let list = self.keys[&topic];
        let places = &mut self.places[reader];
        let index = places
            .iter()
            .position(|place| place.list == list)
            .expect("a reader leaves only what it follows");

        // The last place takes the free one, and its entry learns where it is now.
        let left = places.swap_remove(index);
        if let Some(moved) = places.get(index) {
            self.lists[moved.list].entries[moved.entry as usize].place = index as u32;
        }

        // So does the last entry of the list.
        let entries = &mut self.lists[list].entries;
        entries.swap_remove(left.entry as usize);
        if let Some(moved) = entries.get(left.entry as usize) {
            self.places[moved.reader][moved.place as usize].entry = left.entry;
        }

        // Topics that nobody follows are dropped, or the index would grow with every seller ever followed.
        if self.lists[list].entries.is_empty() {
            self.lists.remove(list);
            self.keys.remove(&topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use slotmap::DefaultKey;

    use super::*;

    fn topic(number: u32) -> Topic {
        Topic::Deals(Uuid::from_u128(number.into()))
    }

    #[test]
    fn index_finds_the_readers_that_follow_a_topic() {
        let mut random = StdRng::seed_from_u64(7);
        let mut index = Interest::default();
        let mut owner: SlotMap<DefaultKey, HashSet<Topic>> = SlotMap::new();

        for _ in 0..3_000 {
            let held: Vec<DefaultKey> = owner.keys().collect();
            let one = (!held.is_empty()).then(|| held[random.random_range(0..held.len())]);

            match (random.random_range(0..4), one) {
                (0, Some(reader)) => {
                    index.remove(reader);
                    owner.remove(reader);
                }
                (1, _) | (_, None) => {
                    owner.insert(HashSet::new());
                }
                (_, Some(reader)) => {
                    let count = random.random_range(0..6);
                    let topics: HashSet<Topic> = (0..count)
                        .map(|_| topic(random.random_range(0..9)))
                        .collect();
                    index.follow(reader, &topics);
                    owner[reader] = topics;
                }
            }

            for number in 0..9 {
                let found: HashSet<DefaultKey> = index.readers(topic(number)).collect();
                let expected: HashSet<DefaultKey> = owner
                    .iter()
                    .filter(|(_, topics)| topics.contains(&topic(number)))
                    .map(|(reader, _)| reader)
                    .collect();
                assert_eq!(found, expected);
            }
        }

        for reader in owner.keys() {
            index.remove(reader);
        }
        assert!(index.keys.is_empty() && index.lists.is_empty());
    }
}
