//! The memory in which datagrams are laid out: pages of 64 blocks of 8 bytes,
//! and per page a word that says which of its blocks are there.

/// The unit in which offsets count.
pub(super) const BLOCK: usize = 8;
/// Bytes of a page: one bit of a word for each block.
pub(super) const PAGE: usize = BLOCK * u64::BITS as usize;
/// The longest datagram.
pub(super) const LONGEST: usize = 65_535;
pub(super) const PAGES_PER_DATAGRAM: usize = LONGEST.div_ceil(PAGE);
/// No page, or no row.
pub(super) const NONE: u32 = u32::MAX;

/// The pages of one datagram.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// In their order; what is behind none is not to be looked at.
    pages: [u32; PAGES_PER_DATAGRAM],
    /// A bit for each that is there.
    taken: u128,
}

impl Layout {
    /// Nothing is there yet.
    pub(super) const EMPTY: Self = Self { pages: [NONE; PAGES_PER_DATAGRAM], taken: 0 };

    /// The page in its place, if it is there.
    fn page(&self, slot: usize) -> Option<u32> {
        // In halves, which costs less than a shift of all 128 bits.
        let half = if slot < 64 { self.taken as u64 } else { (self.taken >> 64) as u64 };
        if half >> (slot % 64) & 1 == 1 { Some(self.pages[slot]) } else { None }
    }

    /// The pages from the first on, up to one that is not there.
    pub(super) fn leading(&self) -> &[u32] {
        &self.pages[..self.taken.trailing_ones() as usize]
    }
}

const _: () = assert!(PAGES_PER_DATAGRAM == u128::BITS as usize, "`taken` has a bit for each page");

/// The memory that datagrams are laid out in.
#[derive(Debug)]
pub(super) struct Pages {
    bytes: Vec<u8>,
    /// Per page, which blocks are there.
    held: Vec<u64>,
    free: Vec<u32>,
}

/// What a piece would find.
pub(super) struct Survey {
    /// Blocks that are there already.
    pub(super) known: usize,
    /// Whether one of them has other bytes.
    pub(super) conflicting: bool,
    /// Pages to be taken.
    pub(super) absent_pages: usize,
}

impl Pages {
    pub(super) fn new(count: usize) -> Self {
        Self {
            bytes: vec![0; count * PAGE],
            held: vec![0; count],
            free: (0..count as u32).rev().collect(),
        }
    }

    pub(super) fn taken(&self) -> usize {
        self.held.len() - self.free.len()
    }

    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    #[cfg(test)]
    pub(super) fn memory(&self) -> [(usize, usize); 3] {
        [
            (self.bytes.as_ptr() as usize, self.bytes.capacity()),
            (self.held.as_ptr() as usize, self.held.capacity()),
            (self.free.as_ptr() as usize, self.free.capacity()),
        ]
    }

    pub(super) fn page(&self, page: u32) -> &[u8] {
        &self.bytes[page as usize * PAGE..][..PAGE]
    }

    pub(super) fn survey(&self, pages: &Layout, offset: usize, payload: &[u8]) -> Survey {
        let mut survey = Survey { known: 0, conflicting: false, absent_pages: 0 };
        if pages.taken == 0 {
            let end = offset + payload.len();
            survey.absent_pages = end.div_ceil(PAGE) - offset / PAGE;
            return survey;
        }
        for Part { slot, start, bytes } in parts(offset, payload) {
            let Some(page) = pages.page(slot) else {
                survey.absent_pages += 1;
                continue;
            };
            let known = self.held[page as usize] & mask(start, bytes.len());
            survey.known += known.count_ones() as usize;
            if known != 0 {
                let there = &self.page(page)[start..];
                survey.conflicting |= blocks(start, bytes).any(|(bit, at, block)| {
                    known & bit != 0 && there[at..][..block.len()] != *block
                });
            }
        }
        survey
    }

    /// Lays down those blocks that are not there yet, and says how many.
    pub(super) fn lay(&mut self, pages: &mut Layout, offset: usize, payload: &[u8]) -> usize {
        let mut laid = 0;
        for Part { slot, start, bytes } in parts(offset, payload) {
            let page = match pages.page(slot) {
                Some(page) => page as usize,
                None => {
                    let Some(page) = self.free.pop() else { return laid };
                    self.held[page as usize] = 0;
                    pages.pages[slot] = page;
                    pages.taken |= 1 << slot;
                    page as usize
                }
            };
            let wanted = mask(start, bytes.len());
            let new = wanted & !self.held[page];
            let to = &mut self.bytes[page * PAGE + start..];
            if new == wanted {
                to[..bytes.len()].copy_from_slice(bytes);
                laid += bytes.len().div_ceil(BLOCK);
            } else {
                laid += new.count_ones() as usize;
                for (bit, at, block) in blocks(start, bytes) {
                    if new & bit != 0 {
                        to[at..][..block.len()].copy_from_slice(block);
                    }
                }
            }
            self.held[page] |= wanted;
        }
        laid
    }

    pub(super) fn release(&mut self, pages: &mut Layout) {
        while pages.taken != 0 {
            self.free.push(pages.pages[pages.taken.trailing_zeros() as usize]);
            pages.taken &= pages.taken - 1;
        }
    }
}

/// What of a payload falls into one page.
struct Part<'a> {
    /// The page's place in its datagram.
    slot: usize,
    /// Where it begins in the page.
    start: usize,
    bytes: &'a [u8],
}

fn parts(offset: usize, payload: &[u8]) -> impl Iterator<Item = Part<'_>> {
    let (mut at, mut rest) = (offset, payload);
    std::iter::from_fn(move || {
        let start = at % PAGE;
        let (bytes, behind) = rest.split_at(rest.len().min(PAGE - start));
        let part = Part { slot: at / PAGE, start, bytes };
        at += bytes.len();
        rest = behind;
        (!bytes.is_empty()).then_some(part)
    })
}

/// The bits of the blocks from `start` on; only the last block of a datagram may
/// be less than whole.
fn mask(start: usize, len: usize) -> u64 {
    u64::MAX >> (u64::BITS as usize - len.div_ceil(BLOCK)) << (start / BLOCK)
}

/// Each block of a part: its bit in the page, its place in the part, its bytes.
fn blocks(start: usize, bytes: &[u8]) -> impl Iterator<Item = (u64, usize, &[u8])> {
    let first = start / BLOCK;
    bytes.chunks(BLOCK).enumerate().map(move |(i, block)| (1 << (first + i), i * BLOCK, block))
}
