//! PKCE (RFC 7636): the code is of use to nobody who has not the verifier. Always S256, never `plain`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::catalog::entry::OAuth;
use crate::random::Random;
use crate::secret::Secret;

/// The code verifier (RFC 7636 §4.1): 256 random bits as 43 characters.
#[derive(Clone, Debug)]
pub struct CodeVerifier(Secret);

impl CodeVerifier {
    /// A fresh one.
    pub fn fresh(random: Random) -> Self {
        Self(Secret::new(URL_SAFE_NO_PAD.encode(random.bytes::<32>())))
    }

    /// A fresh one for a flow with this provider; `None` only where its server rejects PKCE.
    pub fn for_provider(entry: &OAuth, random: Random) -> Option<Self> {
        entry.pkce.then(|| Self::fresh(random))
    }

    /// The one that was kept with the state, from [`CodeVerifier::secret`].
    pub fn kept(secret: Secret) -> Self {
        Self(secret)
    }

    /// The code challenge (RFC 7636 §4.2), method S256.
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.expose()))
    }

    /// The verifier itself, to be sealed with the state and sent once, to the token endpoint.
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_13_the_challenge_is_the_one_of_rfc_7636_appendix_b() {
        let verifier = CodeVerifier::kept(Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn bar_13_a_verifier_has_43_unreserved_characters_and_is_fresh_for_each_flow() {
        let verifiers: std::collections::BTreeSet<String> =
            (0..100).map(|_| CodeVerifier::fresh(Random).secret().expose().to_owned()).collect();
        assert_eq!(verifiers.len(), 100);
        let unreserved = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
        assert!(verifiers.iter().all(|verifier| verifier.len() == 43 && verifier.bytes().all(unreserved)));
    }
}
