//! Rule for every new passphrase. Existing shorter ones still open what they protect.

use crate::secret::Secret;

/// Minimum length of a new passphrase in characters: an attacker who has the file can try
/// passphrases offline.
const MIN_CHARS: usize = 12;

/// The new passphrase is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the new passphrase is shorter than {MIN_CHARS} characters")]
pub struct ShortPassphrase;

/// Checks a new passphrase. Blanks at its ends do not count.
pub(in crate::broker) fn check_new(passphrase: &Secret) -> Result<(), ShortPassphrase> {
    if passphrase.expose().trim().chars().count() < MIN_CHARS { Err(ShortPassphrase) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_without_outer_blanks() {
        for short in ["", "            ", "elf letters", " elf letters ", "äöüäöüäöüäö"] {
            assert_eq!(check_new(&Secret::new(short)), Err(ShortPassphrase), "{short}");
        }
        for long in ["correct horse", "äöüäöüäöüäöü"] {
            assert_eq!(check_new(&Secret::new(long)), Ok(()), "{long}");
        }
    }
}
