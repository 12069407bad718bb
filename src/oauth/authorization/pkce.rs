//! PKCE (RFC 7636), always with S256: a code is useless without its verifier.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::catalog::entry::OAuth;
use crate::random::Random;
use crate::secret::Secret;

/// A code verifier (RFC 7636 §4.1): 256 random bits as 43 characters.
#[derive(Clone, Debug)]
pub struct CodeVerifier(Secret);

impl CodeVerifier {
    /// Generates a verifier.
    pub fn generate(random: Random) -> Self {
        Self(Secret::new(random.base64url::<32>()))
    }

    /// Generates a verifier for a flow with this provider; `None` only if the provider rejects
    /// PKCE.
    pub fn for_provider(entry: &OAuth, random: Random) -> Option<Self> {
        entry.pkce.then(|| Self::generate(random))
    }

    /// Wraps a verifier that was stored with the state, from [`CodeVerifier::secret`].
    pub fn stored(secret: Secret) -> Self {
        Self(secret)
    }

    /// Returns the code challenge (RFC 7636 §4.2), method S256.
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.expose()))
    }

    /// Returns the verifier, to be sealed with the state and sent once to the token endpoint.
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Requirement 13.
    #[test]
    fn the_challenge_matches_rfc_7636_appendix_b() {
        let verifier = CodeVerifier::stored(Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    // Requirement 13.
    #[test]
    fn a_verifier_has_43_random_unreserved_characters() {
        let verifiers: std::collections::BTreeSet<String> =
            (0..100).map(|_| CodeVerifier::generate(Random).secret().expose().to_owned()).collect();
        assert_eq!(verifiers.len(), 100);
        let unreserved = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
        assert!(verifiers.iter().all(|verifier| verifier.len() == 43 && verifier.bytes().all(unreserved)));
    }
}
