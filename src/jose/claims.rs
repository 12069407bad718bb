//! What a token says (RFC 7519 §4), and holding it against who should have said it, to whom and when.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::clock::UnixTime;

/// How far two honest clocks may be apart.
const LEEWAY: Duration = Duration::from_secs(60);

/// The claims of a token.
#[derive(Clone, Debug, Default)]
pub struct Claims(pub Map<String, Value>);

/// Why a token is not for us, or not for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// A claim that has to be there is not.
    #[error("the token lacks the claim '{0}'")]
    Missing(&'static str),
    /// A claim of another type than it has to be.
    #[error("the token's claim '{0}' is malformed")]
    Malformed(&'static str),
    /// `iss` is somebody else.
    #[error("the token is of another issuer")]
    Issuer,
    /// `aud` does not name us.
    #[error("the token is for another audience")]
    Audience,
    /// `exp` is over.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` is yet to come.
    #[error("the token is not valid yet")]
    NotYet,
}

/// Whom a token has to come from, and for whom it has to be.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedClaims<'a> {
    /// `iss`, to the letter.
    pub issuer: &'a str,
    /// One of the members of `aud`.
    pub audience: &'a str,
    /// Now. Clocks may be a minute apart.
    pub now: UnixTime,
}

impl ExpectedClaims<'_> {
    /// Checks `iss`, `aud`, `exp` and, where they are there, `nbf` and `iat`.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check(&self, claims: &Claims) -> Result<(), ClaimError> {
        if claims.required_text("iss")? != self.issuer {
            return Err(ClaimError::Issuer);
        }
        if !claims.audience()?.contains(&self.audience) {
            return Err(ClaimError::Audience);
        }
        let leeway = i64::try_from(LEEWAY.as_secs()).unwrap_or(i64::MAX);
        let ends = claims.time("exp")?.ok_or(ClaimError::Missing("exp"))?;
        if self.now.0.saturating_sub(leeway) >= ends {
            return Err(ClaimError::Expired);
        }
        for name in ["nbf", "iat"] {
            if claims.time(name)?.is_some_and(|begins| begins > self.now.0.saturating_add(leeway)) {
                return Err(ClaimError::NotYet);
            }
        }
        Ok(())
    }
}

impl Claims {
    /// A claim that is a text; `None` where it is absent.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, ClaimError> {
        self.0.get(name).map(|value| value.as_str().ok_or(ClaimError::Malformed(name))).transpose()
    }

    /// A claim that is a text and has to be there.
    ///
    /// # Errors
    /// Where it is not.
    pub fn required_text(&self, name: &'static str) -> Result<&str, ClaimError> {
        self.text(name)?.ok_or(ClaimError::Missing(name))
    }

    /// `aud`: one text or a list of them (RFC 7519 §4.1.3).
    ///
    /// # Errors
    /// Where it is absent, empty or neither.
    pub fn audience(&self) -> Result<Vec<&str>, ClaimError> {
        let malformed = ClaimError::Malformed("aud");
        let members = match self.0.get("aud").ok_or(ClaimError::Missing("aud"))? {
            Value::String(one) => vec![one.as_str()],
            Value::Array(some) => {
                some.iter().map(|one| one.as_str().ok_or(malformed)).collect::<Result<Vec<_>, _>>()?
            }
            _ => return Err(malformed),
        };
        if members.is_empty() { Err(malformed) } else { Ok(members) }
    }

    /// A `NumericDate` (RFC 7519 §2), in whole seconds; `None` where it is absent.
    ///
    /// # Errors
    /// Where it is no number, or none that is a time.
    pub fn time(&self, name: &'static str) -> Result<Option<i64>, ClaimError> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let seconds = value.as_f64().filter(|seconds| seconds.is_finite() && seconds.abs() < 1e15);
        #[expect(clippy::cast_possible_truncation, reason = "below 10^15, of which every whole number is exact")]
        seconds.map(|seconds| Some(seconds.floor() as i64)).ok_or(ClaimError::Malformed(name))
    }
}
