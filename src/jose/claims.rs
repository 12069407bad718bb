//! Claims of a token (RFC 7519 §4) and their checks: issuer, audience and time.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::clock::UnixTime;

/// Allowed difference between two clocks.
const CLOCK_LEEWAY: Duration = Duration::from_secs(60);

/// The claims of a token.
#[derive(Clone, Debug, Default)]
pub struct Claims(pub Map<String, Value>);

/// Reason why a token's claims are rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// A required claim is absent.
    #[error("the token has no claim '{0}'")]
    Missing(&'static str),
    /// A claim has the wrong type.
    #[error("the token's claim '{0}' is malformed")]
    Malformed(&'static str),
    /// `iss` names another issuer.
    #[error("the token comes from another issuer")]
    Issuer,
    /// `aud` does not name us.
    #[error("the token is for another audience")]
    Audience,
    /// `exp` is in the past.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` is in the future.
    #[error("the token is not valid yet")]
    NotYet,
}

/// Issuer and audience that a token must have.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedClaims<'a> {
    /// Exact value of `iss`.
    pub issuer: &'a str,
    /// A member of `aud`.
    pub audience: &'a str,
    /// The current time. Clocks may differ by a minute.
    pub now: UnixTime,
}

impl ExpectedClaims<'_> {
    /// Checks `iss`, `aud` and `exp`, and `nbf` and `iat` if they are present.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check(&self, claims: &Claims) -> Result<(), ClaimError> {
        if claims.required_text("iss")? != self.issuer {
            return Err(ClaimError::Issuer);
        }
        if !claims.audience()?.contains(&self.audience) {
            return Err(ClaimError::Audience);
        }
        let leeway = i64::try_from(CLOCK_LEEWAY.as_secs()).unwrap_or(i64::MAX);
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
    /// Returns a text claim; `None` if it is absent.
    ///
    /// # Errors
    /// [`ClaimError::Malformed`] if the claim is not a text.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, ClaimError> {
        self.0.get(name).map(|value| value.as_str().ok_or(ClaimError::Malformed(name))).transpose()
    }

    /// Returns a text claim that must be present.
    ///
    /// # Errors
    /// [`ClaimError::Missing`] or [`ClaimError::Malformed`].
    pub fn required_text(&self, name: &'static str) -> Result<&str, ClaimError> {
        self.text(name)?.ok_or(ClaimError::Missing(name))
    }

    /// Returns the members of `aud`, which is one text or a list (RFC 7519 §4.1.3).
    ///
    /// # Errors
    /// If the claim is absent, empty or malformed.
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

    /// Returns a `NumericDate` (RFC 7519 §2) in whole seconds; `None` if it is absent.
    ///
    /// # Errors
    /// [`ClaimError::Malformed`] if the claim is not a number or out of range.
    pub fn time(&self, name: &'static str) -> Result<Option<i64>, ClaimError> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let seconds = value.as_f64().filter(|seconds| seconds.is_finite() && seconds.abs() < 1e15);
        #[expect(clippy::cast_possible_truncation, reason = "below 10^15, of which every whole number is exact")]
        seconds.map(|seconds| Some(seconds.floor() as i64)).ok_or(ClaimError::Malformed(name))
    }
}
