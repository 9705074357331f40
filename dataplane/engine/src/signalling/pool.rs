//! Rows of many small lists in one vector: what a session holds in numbers that
//! nobody knows beforehand, without an allocation of its own.

/// The end of a list, and an empty one.
pub(crate) const NIL: u32 = u32::MAX;

/// Rows of one list: each is found by walking. No session has so many rules of a kind.
const LIST: usize = 512;

#[derive(Debug)]
struct Link<T> {
    value: T,
    next: u32,
}

/// Singly linked lists in a bounded vector. A list is known by its head.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    rows: Vec<Link<T>>,
    free: u32,
    bound: usize,
    used: usize,
    refused: u64,
}

impl<T: Default> Pool<T> {
    /// No rows; at most `bound`.
    pub(crate) fn new(bound: usize) -> Self {
        Self { rows: Vec::with_capacity(bound), free: NIL, bound, used: 0, refused: 0 }
    }

    /// Rows that found no room.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Puts a row in front of a list; gives it back where there is no room.
    pub(crate) fn push(&mut self, head: &mut u32, value: T) -> Result<&mut T, T> {
        if self.iter(*head).nth(LIST - 1).is_some() {
            self.refused += 1;
            return Err(value);
        }
        let place = if self.free != NIL {
            let place = self.free as usize;
            self.free = self.rows[place].next;
            self.rows[place] = Link { value, next: *head };
            place
        } else if self.rows.len() < self.bound {
            self.rows.push(Link { value, next: *head });
            self.rows.len() - 1
        } else {
            self.refused += 1;
            return Err(value);
        };
        self.used += 1;
        *head = place as u32;
        Ok(&mut self.rows[place].value)
    }

    /// Asks for the first row of a list.
    pub(crate) fn prefetch(&self, head: u32) {
        if let Some(link) = self.rows.get(head as usize) {
            weir_mem::prefetch_whole(link);
        }
    }

    /// The rows of a list, the newest first.
    pub(crate) fn iter(&self, head: u32) -> impl Iterator<Item = &T> {
        let mut at = head;
        std::iter::from_fn(move || {
            let link = self.rows.get(at as usize)?;
            at = link.next;
            Some(&link.value)
        })
    }

    /// The first row of a list that is `wanted`.
    pub(crate) fn find(&self, head: u32, mut wanted: impl FnMut(&T) -> bool) -> Option<&T> {
        self.iter(head).find(|value| wanted(value))
    }

    /// The same, to be changed.
    pub(crate) fn find_mut(&mut self, head: u32, wanted: impl FnMut(&T) -> bool) -> Option<&mut T> {
        let place = self.place_of(head, wanted)?;
        Some(&mut self.rows[place].value)
    }

    /// The same, made of `fresh` where there is none; none if there is no room.
    pub(crate) fn find_or_push(
        &mut self,
        head: &mut u32,
        wanted: impl FnMut(&T) -> bool,
        fresh: T,
    ) -> Option<&mut T> {
        match self.place_of(*head, wanted) {
            Some(place) => Some(&mut self.rows[place].value),
            None => self.push(head, fresh).ok(),
        }
    }

    fn place_of(&self, head: u32, mut wanted: impl FnMut(&T) -> bool) -> Option<usize> {
        let mut at = head;
        while let Some(link) = self.rows.get(at as usize) {
            if wanted(&link.value) {
                return Some(at as usize);
            }
            at = link.next;
        }
        None
    }

    /// Shows every row of a list, to be changed.
    pub(crate) fn each(&mut self, head: u32, mut show: impl FnMut(&mut T)) {
        let mut at = head;
        while let Some(link) = self.rows.get_mut(at as usize) {
            show(&mut link.value);
            at = link.next;
        }
    }

    /// Takes the first row that is `wanted` out of a list.
    pub(crate) fn remove(
        &mut self,
        head: &mut u32,
        mut wanted: impl FnMut(&T) -> bool,
    ) -> Option<T> {
        let mut before = NIL;
        let mut at = *head;
        while let Some(link) = self.rows.get(at as usize) {
            let next = link.next;
            if wanted(&link.value) {
                match self.rows.get_mut(before as usize) {
                    Some(link) => link.next = next,
                    None => *head = next,
                }
                return Some(self.release(at));
            }
            (before, at) = (at, next);
        }
        None
    }

    /// Empties a list. Of its rows only the links are touched, since most are no longer in
    /// any cache when a session is forgotten.
    pub(crate) fn clear(&mut self, head: &mut u32) {
        let first = std::mem::replace(head, NIL);
        let (mut at, mut last) = (first, NIL);
        while let Some(link) = self.rows.get(at as usize) {
            self.used -= 1;
            (last, at) = (at, link.next);
        }
        if let Some(link) = self.rows.get_mut(last as usize) {
            link.next = self.free;
            self.free = first;
        }
    }

    fn release(&mut self, place: u32) -> T {
        self.used -= 1;
        let link = &mut self.rows[place as usize];
        link.next = self.free;
        self.free = place;
        std::mem::take(&mut link.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_share_the_room_and_give_it_back() {
        let mut pool = Pool::new(3);
        let (mut a, mut b) = (NIL, NIL);
        pool.push(&mut a, 1).unwrap();
        pool.push(&mut b, 2).unwrap();
        pool.push(&mut a, 3).unwrap();
        assert_eq!(pool.push(&mut b, 4), Err(4), "no room");
        assert_eq!(pool.iter(a).copied().collect::<Vec<_>>(), [3, 1]);
        assert_eq!(pool.remove(&mut a, |value| *value == 1), Some(1));
        assert_eq!(pool.remove(&mut a, |value| *value == 1), None);
        *pool.push(&mut b, 4).unwrap() += 1;
        assert_eq!(pool.iter(b).copied().collect::<Vec<_>>(), [5, 2]);
        pool.clear(&mut b);
        pool.clear(&mut b);
        assert_eq!((b, pool.used), (NIL, 1));
        assert_eq!(pool.find(a, |value| *value == 3), Some(&3));
        pool.push(&mut b, 6).unwrap();
        pool.push(&mut b, 7).unwrap();
        assert_eq!(pool.push(&mut b, 8), Err(8), "three rows are used");
        assert_eq!(pool.iter(b).copied().collect::<Vec<_>>(), [7, 6]);
        assert_eq!(pool.iter(a).copied().collect::<Vec<_>>(), [3]);
    }
}
