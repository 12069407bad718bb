//! Logins on another device (RFC 8628): begun by a client, decided by a person who knows the user code, asked for meanwhile.

use std::time::Duration;

use super::super::answer::Refusal;
use super::super::options::Behaviour;
use super::{Grants, Issued};
use crate::clock::UnixTime;
use crate::secret::Secret;

/// How much longer the pauses become for a client that asks too soon (RFC 8628 §3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// The letters of a user code: no vowels, so that they make no word (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// For how long after its end a device code is still told that it has expired.
const REMEMBERED: Duration = Duration::from_secs(600);

/// A login on another device.
pub(super) struct Device {
    client_id: String,
    scopes: Vec<String>,
    user_code: String,
    interval: Duration,
    /// In milliseconds.
    asked_at: i64,
    expires_at: UnixTime,
    decision: Option<Decided>,
}

enum Decided {
    Approved { user: String },
    Denied,
}

impl Grants {
    /// Begins one: device code and user code.
    pub(in super::super) fn begin_device(
        &mut self,
        client_id: &str,
        scopes: Vec<String>,
        behaviour: &Behaviour,
    ) -> (Secret, String) {
        let letter = |byte: u8| char::from(LETTERS[usize::from(byte) % LETTERS.len()]);
        let letters: String = self.random.bytes::<8>().into_iter().map(letter).collect();
        let user_code = format!("{}-{}", &letters[..4], &letters[4..]);
        let device = Device {
            client_id: client_id.to_owned(),
            scopes,
            user_code: user_code.clone(),
            interval: behaviour.device_interval,
            asked_at: self.clock.now_millis(),
            expires_at: self.clock.now().plus(behaviour.device_code_lifetime),
            decision: None,
        };
        let kept = behaviour.device_code_lifetime + REMEMBERED;
        (self.devices.keep(self.random, "sandbox_device_", device, kept), user_code)
    }

    /// The client that asks under this user code, and for which scopes, while nobody has decided. Case and hyphens do not
    /// matter (RFC 8628 §6.1).
    pub(in super::super) fn asked_under(&self, user_code: &str) -> Option<(String, Vec<String>)> {
        let now = self.clock.now();
        let open = |device: &&Device| device.is_open(now) && same(&device.user_code, user_code);
        self.devices.values().find(open).map(|device| (device.client_id.clone(), device.scopes.clone()))
    }

    /// The person decides: `user` approves, nobody denies. Whether there was anything to decide.
    pub(in super::super) fn decide_device(&mut self, user_code: &str, user: Option<String>) -> bool {
        let now = self.clock.now();
        let mut open = self.devices.values_mut().filter(|device| device.is_open(now));
        let Some(device) = open.find(|device| same(&device.user_code, user_code)) else { return false };
        device.decision = Some(user.map_or(Decided::Denied, |user| Decided::Approved { user }));
        true
    }

    /// Whether there are tokens (RFC 8628 §3.5). A device code gives them once.
    pub(in super::super) fn redeem_device(
        &mut self,
        code: &str,
        client_id: &str,
        behaviour: &Behaviour,
    ) -> Result<Issued, Refusal> {
        let (now, millis) = (self.clock.now(), self.clock.now_millis());
        let unknown = Refusal::InvalidGrant("unknown device code");
        let device = self.devices.get_mut(code).filter(|device| device.client_id == client_id).ok_or(unknown)?;
        if device.expires_at <= now {
            return Err(Refusal::ExpiredToken);
        }
        let pause = u64::try_from(millis - device.asked_at).unwrap_or(0);
        device.asked_at = millis;
        // It may have come to want longer pauses than it told this client at first.
        if Duration::from_millis(pause) < device.interval.max(behaviour.device_interval) {
            device.interval += SLOWER;
            return Err(Refusal::SlowDown);
        }
        match device.decision {
            None => return Err(Refusal::AuthorizationPending),
            Some(Decided::Denied) => return Err(Refusal::AccessDenied),
            Some(Decided::Approved { .. }) => {}
        }
        let device = self.devices.take(code).ok_or(unknown)?;
        let Some(Decided::Approved { user }) = device.decision else { return Err(unknown) };
        Ok(self.give(device.client_id, user, &device.scopes, None, behaviour).1)
    }
}

impl Device {
    fn is_open(&self, now: UnixTime) -> bool {
        self.decision.is_none() && self.expires_at > now
    }
}

fn same(code: &str, typed: &str) -> bool {
    let letters = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
    };
    letters(code) == letters(typed)
}
