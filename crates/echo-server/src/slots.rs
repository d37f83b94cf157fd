//! A slab: values that stay in their place until taken out, found by keys that are never mistaken.
//!
//! ```text
//! key = (index, generation)     entries: | 3: value | 7: - | 1: value |      free: [1]
//! ```
//!
//! A place that is used again counts on its generation, so a key that is kept for too long - an
//! event or a completion that was on its way when the connection ended - finds nothing.

/// Where a value is, and which one was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Half of a token is the index, half the generation.
const INDEX_BITS: u32 = usize::BITS / 2;

/// How many values there can be: more than any system has descriptors for. Indices leave at least a
/// bit of their half unused: tokens that have it set are not keys.
pub(crate) const PLACES: usize = 1 << PLACE_BITS;

/// So many bits tell every index.
pub(crate) const PLACE_BITS: u32 = if INDEX_BITS > 28 { 28 } else { INDEX_BITS - 1 };

/// So many bits of the generation fit into a token.
const GENERATION_MASK: u32 = u32::MAX >> (u32::BITS - INDEX_BITS);

impl Key {
    /// As one number, below `usize::MAX - 2^15` whatever the key is.
    pub(crate) const fn token(self) -> usize {
        (self.generation as usize) << INDEX_BITS | self.index as usize
    }

    /// The key that has this token, if it is one's.
    pub(crate) fn of_token(token: usize) -> Option<Self> {
        let index = token & (usize::MAX >> INDEX_BITS);
        let generation = u32::try_from(token >> INDEX_BITS).ok()?;
        let is_place = index < PLACES;
        Some(Self { index: u32::try_from(index).ok()?, generation }).filter(|_| is_place)
    }
}

/// Values and their keys. Memory follows the most that were ever held at once.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    entries: Vec<Entry<T>>,
    /// Places without a value, each once. The last is used first: its memory is warm.
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slots<T> {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.entries.len()
    }

    /// Takes `value` in; gives it back when there is no place left.
    pub(crate) fn insert(&mut self, value: T) -> Result<Key, T> {
        if let Some(index) = self.free.pop() {
            let entry = &mut self.entries[index as usize];
            entry.value = Some(value);
            return Ok(Key { index, generation: entry.generation });
        }
        let index = u32::try_from(self.entries.len());
        let Some(index) = index.ok().filter(|_| self.entries.len() < PLACES) else {
            return Err(value);
        };
        self.entries.push(Entry { generation: 0, value: Some(value) });
        Ok(Key { index, generation: 0 })
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        entry.value.as_mut().filter(|_| entry.generation == key.generation)
    }

    /// The value at `index`, and its key.
    pub(crate) fn at(&self, index: u32) -> Option<(Key, &T)> {
        let entry = self.entries.get(index as usize)?;
        entry.value.as_ref().map(|value| (Key { index, generation: entry.generation }, value))
    }

    /// Takes a value out. From here on its key, and every copy of it, finds nothing.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        let value = entry.value.take_if(|_| entry.generation == key.generation)?;
        entry.generation = entry.generation.wrapping_add(1) & GENERATION_MASK;
        self.free.push(key.index);
        Some(value)
    }

    /// The keys of all values.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        (0..)
            .zip(&self.entries)
            .filter(|(_, entry)| entry.value.is_some())
            .map(|(index, entry)| Key { index, generation: entry.generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_its_value_and_after_that_nothing() {
        let mut slots = Slots::new();
        let (a, b) = (slots.insert('a').unwrap(), slots.insert('b').unwrap());
        assert_eq!(slots.get_mut(a), Some(&mut 'a'));
        assert_eq!(slots.keys().collect::<Vec<_>>(), [a, b]);
        assert_eq!(slots.remove(a), Some('a'));
        assert_eq!(slots.get_mut(a), None);
        assert_eq!(slots.remove(a), None);
        let c = slots.insert('c').unwrap();
        assert_eq!(c.index, a.index, "the place is used again");
        assert_eq!(slots.get_mut(a), None);
        assert_eq!(slots.get_mut(c), Some(&mut 'c'));
        assert_eq!(slots.remove(a), None, "an old key takes nothing away");
        assert_eq!(slots.remove(b), Some('b'));
        assert!(!slots.is_empty());
        assert_eq!(slots.remove(c), Some('c'));
        assert!(slots.is_empty());
    }

    #[test]
    fn a_token_is_that_of_one_key_or_of_none() {
        for (index, generation) in [(0, 0), (7, 1), (0x7fff, GENERATION_MASK)] {
            let key = Key { index, generation };
            assert_eq!(Key::of_token(key.token()), Some(key));
        }
        assert_eq!((Key::of_token(usize::MAX), Key::of_token(usize::MAX - 0x7fff)), (None, None));
    }

    #[test]
    fn values_are_found_by_their_place_too() {
        let mut slots = Slots::new();
        let key = slots.insert('a').unwrap();
        assert_eq!(slots.at(0), Some((key, &'a')));
        slots.remove(key);
        assert_eq!((slots.at(0), slots.at(9)), (None, None));
    }
}
