//! Building blocks of the property tests and fuzz targets: a script of edits that is read from bytes,
//! and the check that a text may be shown.

/// A secret that an input may contain; no text of a parser may repeat it.
pub(crate) const SECRET: &str = "cl13nt-s3cr3t";

/// Asserts that a provider's text was sanitized.
pub(crate) fn is_fit_to_be_shown(text: &str) {
    assert!(text.chars().count() <= 800, "{} characters", text.chars().count());
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(!text.contains(SECRET), "{text:?}");
}

/// The remaining bytes of a script: it flips bits, cuts and inserts. The same bytes always give the
/// same edits.
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the next byte; zero at the end.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Returns a number below `end`, which is below 2^16; zero if `end` is zero.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let number = usize::from(u16::from_be_bytes([self.byte(), self.byte()]));
        number.checked_rem(end).unwrap_or(0)
    }

    /// Returns one of the items.
    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }

    /// Returns any number, often one at the edge of a type.
    pub(crate) fn number(&mut self) -> i64 {
        const EDGES: [i64; 8] = [0, 1, -1, i64::MIN, i64::MAX, i32::MAX as i64, u32::MAX as i64, u32::MAX as i64 + 1];
        match self.byte() {
            edge @ 0..8 => EDGES[usize::from(edge)],
            8..64 => i64::from(self.byte()),
            _ => i64::from_be_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    /// Returns a number or nothing.
    pub(crate) fn perhaps(&mut self) -> Option<i64> {
        (self.byte() > 31).then(|| self.number())
    }

    /// Returns as many bytes as the next byte says, or all that remain.
    pub(crate) fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte());
        let (piece, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        piece
    }

    /// Returns the remaining bytes.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Edits bytes in one place.
    pub(crate) fn edit(&mut self, bytes: &mut Vec<u8>) {
        let kind = self.byte() % 7;
        let at = self.below(bytes.len());
        match kind {
            0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << (self.byte() % 8),
            2 if !bytes.is_empty() => bytes[at] = self.byte(),
            3 => bytes.truncate(at),
            4 => drop(bytes.splice(at..at, self.piece().iter().copied())),
            5 => {
                let end = (at + self.below(64)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => bytes.extend_from_slice(self.piece()),
        }
    }

    /// Edits an array in one place.
    pub(crate) fn edit_array(&mut self, bytes: &mut [u8]) {
        let at = self.below(bytes.len());
        bytes[at] ^= self.byte();
    }
}
