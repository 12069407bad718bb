//! The `state` and `nonce` of an authorization request: they bind its responses to the flow.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::random::Random;
use crate::secret::Secret;

/// A state: 256 random bits as 43 base64url characters (RFC 6749 §10.12). It completes one flow
/// once, so it is a secret until then.
#[derive(Clone, Debug)]
pub struct StateToken(Secret);

impl StateToken {
    /// Generates a state.
    pub fn generate(random: Random) -> Self {
        Self(Secret::new(random.base64url::<32>()))
    }

    /// Parses a state that a caller presents; `None` if [`StateToken::generate`] cannot have made
    /// it.
    pub fn parse(text: &str) -> Option<Self> {
        let is_ours = text.len() == 43 && URL_SAFE_NO_PAD.decode(text).is_ok();
        is_ours.then(|| Self(Secret::new(text)))
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.0
    }

    /// Returns the text, as it stands in the URL.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// A nonce: binds an ID token to the login that requested it (OpenID Connect Core §15.5.2). It is a
/// hash of the flow's state, so it is as random and needs no storage. The state cannot be computed
/// from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// Returns the nonce of the flow with this state.
    pub fn of(state: &StateToken) -> Self {
        let digest = Sha256::new().chain_update("strongroom nonce 1 ").chain_update(state.expose()).finalize();
        Self(URL_SAFE_NO_PAD.encode(digest))
    }

    /// Returns the text of the parameter.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    // Requirement 15.
    #[test]
    fn a_state_has_256_random_bits() {
        let states: std::collections::BTreeSet<String> =
            (0..100).map(|_| StateToken::generate(Random).expose().to_owned()).collect();
        assert_eq!(states.len(), 100);
        assert!(states.iter().all(|state| URL_SAFE_NO_PAD.decode(state).unwrap().len() == 32));
    }

    #[test]
    fn only_43_base64url_characters_are_a_state() {
        let generated = StateToken::generate(Random);
        assert!(StateToken::parse(generated.expose()).is_some());
        let good = "A".repeat(43);
        assert!(StateToken::parse(&good).is_some());
        for bad in ["", "x", &"A".repeat(42), &"A".repeat(44), &good.replacen('A', "=", 1), &good.replacen('A', "+", 1)]
        {
            assert!(StateToken::parse(bad).is_none(), "{bad}");
        }
        assert!(StateToken::parse(&format!("{}\0", "A".repeat(42))).is_none());
        assert!(StateToken::parse(&format!("{}é", "A".repeat(41))).is_none());
    }
}
