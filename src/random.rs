//! Random bytes, from the operating system and from nowhere else.

/// The source of every key, nonce, state, verifier and identifier. It has no state of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl Random {
    /// `N` fresh random bytes.
    ///
    /// # Panics
    /// Where the operating system has no random bytes to give: nothing that this program does is safe then.
    #[expect(clippy::disallowed_methods, reason = "this is the one home of the random source")]
    pub fn bytes<const N: usize>(self) -> [u8; N] {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes).expect("the operating system's random source never fails after boot");
        bytes
    }
}
