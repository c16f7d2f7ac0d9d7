//! A bounded map that forgets what was not asked for longest. It must not know what it keeps.

use std::collections::HashMap;
use std::hash::Hash;

/// The map.
#[derive(Debug)]
pub(crate) struct Recent<Key, Kept> {
    entries: HashMap<Key, (Kept, u64)>,
    entries_max: usize,
    clock: u64,
}

impl<Key: Clone + Eq + Hash, Kept: Clone> Recent<Key, Kept> {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { entries: HashMap::new(), entries_max, clock: 0 }
    }

    pub(crate) fn get<Asked: Eq + Hash + ?Sized>(&mut self, key: &Asked) -> Option<Kept>
    where
        Key: std::borrow::Borrow<Asked>,
    {
        self.clock += 1;
        let (kept, used) = self.entries.get_mut(key)?;
        *used = self.clock;
        Some(kept.clone())
    }

    pub(crate) fn keep(&mut self, key: Key, kept: Kept) {
        if self.entries_max == 0 {
            return;
        }
        while self.entries.len() >= self.entries_max && !self.entries.contains_key(&key) {
            let oldest = self.entries.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.entries.remove(&oldest);
        }
        self.clock += 1;
        self.entries.insert(key, (kept, self.clock));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_that_was_not_asked_for_longest_goes_first() {
        let mut recent = Recent::new(2);
        recent.keep(1, 'a');
        recent.keep(2, 'b');
        assert_eq!(recent.get(&1), Some('a'));
        recent.keep(3, 'c');
        assert_eq!((recent.get(&1), recent.get(&2), recent.get(&3)), (Some('a'), None, Some('c')));
    }
}
