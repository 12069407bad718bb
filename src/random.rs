//! Random bytes from the operating system, the only source of randomness.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Source of every key, nonce, state, verifier and identifier. It has no state of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl Random {
    /// Returns `N` random bytes.
    ///
    /// # Panics
    /// If the operating system has no random bytes. Nothing that this program does is safe then.
    #[expect(clippy::disallowed_methods, reason = "every other module takes its random bytes from here")]
    pub fn bytes<const N: usize>(self) -> [u8; N] {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes).expect("the operating system's random source never fails after boot");
        bytes
    }

    /// Returns `N` random bytes as base64url without padding.
    pub fn base64url<const N: usize>(self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<N>())
    }
}
