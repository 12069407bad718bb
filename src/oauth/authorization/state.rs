//! The `state` of an authorization request: what binds a callback to the flow that it belongs to.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::random::Random;
use crate::secret::Secret;

/// 256 random bits as 43 base64url characters (RFC 6749 §10.12). It opens one flow once, so it is a secret until then.
#[derive(Clone, Debug)]
pub struct StateToken(Secret);

impl StateToken {
    /// A fresh one.
    pub fn fresh(random: Random) -> Self {
        Self(Secret::new(URL_SAFE_NO_PAD.encode(random.bytes::<32>())))
    }

    /// Reads what a caller presents; `None` for anything that [`StateToken::fresh`] cannot have made.
    pub fn parse(text: &str) -> Option<Self> {
        let ours = text.len() == 43 && URL_SAFE_NO_PAD.decode(text).is_ok();
        ours.then(|| Self(Secret::new(text)))
    }

    /// The text, as it stands in the URL.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_15_a_state_has_256_bits_and_is_fresh_for_each_flow() {
        let states: std::collections::BTreeSet<String> =
            (0..100).map(|_| StateToken::fresh(Random).expose().to_owned()).collect();
        assert_eq!(states.len(), 100);
        assert!(states.iter().all(|state| URL_SAFE_NO_PAD.decode(state).unwrap().len() == 32));
    }

    #[test]
    fn only_what_can_be_ours_is_read_as_a_state() {
        let fresh = StateToken::fresh(Random);
        assert!(StateToken::parse(fresh.expose()).is_some());
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
