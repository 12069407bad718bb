//! Logins on another device (RFC 8628): a client begins one, the user decides with the user code,
//! and the client polls.

use std::time::Duration;

use super::ttl_map::TtlMap;
use crate::clock::Clock;
use crate::random::Random;
use crate::sandbox::message::decision::Decision;
use crate::sandbox::message::error::EndpointError;
use crate::secret::Secret;

/// Lifetime of a login on another device.
pub(in crate::sandbox) const DEVICE_CODE_LIFETIME: Duration = Duration::from_secs(600);
/// Increase of the pause for a client that polls too soon (RFC 8628 §3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// Letters of a user code. Without vowels they form no words (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// All logins on other devices.
pub(in crate::sandbox) struct Devices {
    clock: Clock,
    random: Random,
    logins: TtlMap<DeviceLogin>,
}

struct DeviceLogin {
    scopes: Vec<String>,
    user_code: String,
    interval: Duration,
    /// Time of the last poll, in milliseconds.
    polled_at: i64,
    decision: Option<Decision>,
}

impl Devices {
    pub(in crate::sandbox) fn new(clock: Clock, random: Random) -> Self {
        Self { logins: TtlMap::new(clock.clone()), clock, random }
    }

    /// Begins a login and returns its device code and user code.
    pub(in crate::sandbox) fn begin(&mut self, scopes: Vec<String>, interval: Duration) -> (Secret, String) {
        let letter = |byte: u8| char::from(LETTERS[usize::from(byte) % LETTERS.len()]);
        let letters: String = self.random.bytes::<8>().into_iter().map(letter).collect();
        let user_code = format!("{}-{}", &letters[..4], &letters[4..]);
        let polled_at = self.clock.now_millis();
        let login = DeviceLogin { scopes, user_code: user_code.clone(), interval, polled_at, decision: None };
        (self.logins.insert(self.random, "sandbox_device_", login, DEVICE_CODE_LIFETIME), user_code)
    }

    /// Returns the scopes of the undecided login with this user code.
    pub(in crate::sandbox) fn undecided(&self, user_code: &str) -> Option<Vec<String>> {
        self.logins.values().find(|login| login.is_undecided(user_code)).map(|login| login.scopes.clone())
    }

    /// Records the decision. Returns false if no login is undecided under this code.
    pub(in crate::sandbox) fn decide(&mut self, user_code: &str, decision: Decision) -> bool {
        let login = self.logins.values_mut().find(|login| login.is_undecided(user_code));
        login.map(|login| login.decision = Some(decision)).is_some()
    }

    /// Answers a poll (RFC 8628 §3.5) with the user who approved and the scopes. A device code gives
    /// them once. `interval` may be longer now than when the login began.
    pub(in crate::sandbox) fn poll(
        &mut self,
        code: &str,
        interval: Duration,
    ) -> Result<(String, Vec<String>), EndpointError> {
        let expired = EndpointError::new("expired_token", "the device code is unknown or has expired");
        let login = self.logins.get_mut(code).ok_or(expired)?;
        let millis = self.clock.now_millis();
        let pause = Duration::from_millis(u64::try_from(millis - login.polled_at).unwrap_or(0));
        login.polled_at = millis;
        if pause < login.interval.max(interval) {
            login.interval += SLOW_DOWN;
            return Err(EndpointError::new("slow_down", "wait five seconds longer between two requests"));
        }
        match login.decision.clone() {
            None => Err(EndpointError::new("authorization_pending", "the user has not decided yet")),
            Some(Decision::Deny) => Err(EndpointError::new("access_denied", "The user denied the request")),
            Some(Decision::Approve { user }) => {
                let login = self.logins.take(code).ok_or(expired)?;
                Ok((user, login.scopes))
            }
        }
    }
}

impl DeviceLogin {
    /// Returns true if this undecided login has the user code. Case and hyphens do not matter (RFC
    /// 8628 §6.1).
    fn is_undecided(&self, user_code: &str) -> bool {
        self.decision.is_none() && letters(&self.user_code) == letters(user_code)
    }
}

fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}
