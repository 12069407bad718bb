//! Logins on another device (RFC 8628): a client begins one, the user decides with the user code,
//! and the client polls.

use std::time::Duration;

use super::ttl_map::TtlMap;
use crate::clock::{Clock, UnixTime};
use crate::random::Random;
use crate::sandbox::message::error::EndpointError;
use crate::sandbox::options::Behaviour;
use crate::secret::Secret;

/// Increase of the pause for a client that polls too soon (RFC 8628 §3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// Letters of a user code. Without vowels they form no words (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Time after the expiry of a device code during which a poll still learns that it has expired.
const REMEMBERED: Duration = Duration::from_secs(600);

/// All logins on other devices.
pub(in crate::sandbox) struct Devices {
    clock: Clock,
    random: Random,
    logins: TtlMap<DeviceLogin>,
}

struct DeviceLogin {
    client_id: String,
    scopes: Vec<String>,
    user_code: String,
    interval: Duration,
    /// Time of the last poll, in milliseconds.
    polled_at: i64,
    expires_at: UnixTime,
    decision: Option<DeviceDecision>,
}

enum DeviceDecision {
    Approved { user: String },
    Denied,
}

/// A login that the user approved.
pub(in crate::sandbox) struct ApprovedDevice {
    pub(in crate::sandbox) user: String,
    pub(in crate::sandbox) scopes: Vec<String>,
}

impl Devices {
    pub(in crate::sandbox) fn new(clock: Clock, random: Random) -> Self {
        Self { logins: TtlMap::new(clock.clone(), 1_024), clock, random }
    }

    /// Begins a login and returns its device code and user code.
    pub(in crate::sandbox) fn begin(
        &mut self,
        client_id: &str,
        scopes: Vec<String>,
        behaviour: &Behaviour,
    ) -> (Secret, String) {
        let letter = |byte: u8| char::from(LETTERS[usize::from(byte) % LETTERS.len()]);
        let letters: String = self.random.bytes::<8>().into_iter().map(letter).collect();
        let user_code = format!("{}-{}", &letters[..4], &letters[4..]);
        let login = DeviceLogin {
            client_id: client_id.to_owned(),
            scopes,
            user_code: user_code.clone(),
            interval: behaviour.device_interval,
            polled_at: self.clock.now_millis(),
            expires_at: self.clock.now().plus(behaviour.device_code_lifetime),
            decision: None,
        };
        let lifetime = behaviour.device_code_lifetime + REMEMBERED;
        (self.logins.insert(self.random, "sandbox_device_", login, lifetime), user_code)
    }

    /// Returns client and scopes of the undecided login with this user code. Case and hyphens do
    /// not matter (RFC 8628 §6.1).
    pub(in crate::sandbox) fn undecided(&self, user_code: &str) -> Option<(String, Vec<String>)> {
        let now = self.clock.now();
        let login = self.logins.values().find(|login| login.is_undecided(user_code, now))?;
        Some((login.client_id.clone(), login.scopes.clone()))
    }

    /// Records the decision: `user` approves, `None` refuses. Returns false if no login is
    /// undecided under this code.
    pub(in crate::sandbox) fn decide(&mut self, user_code: &str, user: Option<String>) -> bool {
        let now = self.clock.now();
        let login = self.logins.values_mut().find(|login| login.is_undecided(user_code, now));
        let Some(login) = login else { return false };
        login.decision = Some(user.map_or(DeviceDecision::Denied, |user| DeviceDecision::Approved { user }));
        true
    }

    /// Answers a poll (RFC 8628 §3.5). A device code gives tokens once.
    pub(in crate::sandbox) fn poll(
        &mut self,
        code: &str,
        client_id: &str,
        behaviour: &Behaviour,
    ) -> Result<ApprovedDevice, EndpointError> {
        let (now, millis) = (self.clock.now(), self.clock.now_millis());
        let unknown = EndpointError::InvalidGrant("unknown device code");
        let login = self.logins.get_mut(code).filter(|login| login.client_id == client_id).ok_or(unknown)?;
        if login.expires_at <= now {
            return Err(EndpointError::ExpiredToken);
        }
        let pause = u64::try_from(millis - login.polled_at).unwrap_or(0);
        login.polled_at = millis;
        // The behaviour may require longer pauses now than when the login began.
        if Duration::from_millis(pause) < login.interval.max(behaviour.device_interval) {
            login.interval += SLOW_DOWN;
            return Err(EndpointError::SlowDown);
        }
        match &login.decision {
            None => Err(EndpointError::AuthorizationPending),
            Some(DeviceDecision::Denied) => Err(EndpointError::AccessDenied),
            Some(DeviceDecision::Approved { user }) => {
                let approved = ApprovedDevice { user: user.clone(), scopes: login.scopes.clone() };
                drop(self.logins.take(code));
                Ok(approved)
            }
        }
    }
}

impl DeviceLogin {
    fn is_undecided(&self, user_code: &str, now: UnixTime) -> bool {
        self.decision.is_none() && self.expires_at > now && letters(&self.user_code) == letters(user_code)
    }
}

fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}
