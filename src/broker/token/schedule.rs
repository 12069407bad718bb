//! Schedule of refreshes and retries. Everything it depends on is stored with the credential, so a
//! restart changes nothing.

use std::time::Duration;

use crate::clock::UnixTime;
use crate::oauth::RetryAfter;
use crate::random::Random;
use crate::vault::{CredentialMetadata, RefreshState, Tokens};

/// Wait after the first failure; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(10);

/// Maximum wait of our own backoff.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 60);

/// Maximum wait that a provider may request.
const LONGEST_TOLD: Duration = Duration::from_secs(24 * 3600);

/// Minimum time between a refresh and the expiry. A caller with the default `min_ttl` then never
/// has to wait.
const SHORTEST_LEAD: Duration = Duration::from_secs(300);

/// Maximum time between a refresh and the expiry.
const LONGEST_LEAD: Duration = Duration::from_secs(86_400);

/// Returns true if the access token has at least `min_ttl` left. At most half of its lifetime is
/// required, else a token of one minute would be refreshed for every caller. A token without an
/// expiry is fresh.
pub(in crate::broker) fn is_fresh(summary: &CredentialMetadata, now: UnixTime, min_ttl: Duration) -> bool {
    let Some(ends) = summary.expires_at else { return true };
    let wanted = summary.refreshing.lifetime.map_or(min_ttl, |lifetime| min_ttl.min(lifetime / 2));
    let left = now.seconds_until(ends);
    !is_beyond_its_life(ends, now, summary.refreshing.lifetime)
        && left > 0
        && left >= i64::try_from(wanted.as_secs()).unwrap_or(i64::MAX)
}

/// Returns true if the expiry is further away than the whole lifetime. A wrong clock wrote it then,
/// and it means nothing. A small correction of the clock does not count.
fn is_beyond_its_life(ends: UnixTime, now: UnixTime, lifetime: Option<Duration>) -> bool {
    const A_MOMENT: i64 = 60;
    lifetime.is_some_and(|life| now.seconds_until(ends) > whole(life).saturating_add(A_MOMENT))
}

/// Returns the time of the background refresh for tokens received `now`: ahead of the expiry of the
/// access token and, if an unused refresh token lapses, ahead of that. A random part spreads
/// credentials that were connected at the same time.
pub(in crate::broker) fn refresh_at(tokens: &Tokens, now: UnixTime, random: Random) -> Option<UnixTime> {
    if !tokens.can_be_renewed() {
        return None;
    }
    let ahead = |life: Duration| {
        let lead = lead(Some(life));
        now.plus(life.saturating_sub(lead + portion(lead, random)))
    };
    let lapse = tokens.refresh_expires_at.map(|at| seconds(now.seconds_until(at)));
    [tokens.lifetime, lapse].into_iter().flatten().map(ahead).min()
}

/// Returns true if a refresh is due by the sealed metadata. The index that the background reads is
/// not sealed.
pub(in crate::broker) fn is_due(summary: &CredentialMetadata, now: UnixTime) -> bool {
    let RefreshState { lifetime, lapses_at, in_doubt_since, .. } = &summary.refreshing;
    let near = |ends: UnixTime, life: Option<Duration>| ends <= now.plus(2 * lead(life));
    let lapse_life = lapses_at.map(|at| seconds(summary.updated_at.seconds_until(at)));
    in_doubt_since.is_some()
        || summary.expires_at.is_some_and(|ends| near(ends, *lifetime) || is_beyond_its_life(ends, now, *lifetime))
        || lapses_at.is_some_and(|ends| near(ends, lapse_life))
}

/// Returns the time at which the background checks a credential again that was not due.
pub(in crate::broker) fn look_again_at(summary: &CredentialMetadata) -> Option<UnixTime> {
    let RefreshState { lifetime, lapses_at, .. } = &summary.refreshing;
    let before = |ends: UnixTime, life| UnixTime(ends.0.saturating_sub(whole(2 * lead(life))));
    let lapse_life = lapses_at.map(|at| seconds(summary.updated_at.seconds_until(at)));
    let points =
        [summary.expires_at.map(|ends| before(ends, *lifetime)), lapses_at.map(|ends| before(ends, lapse_life))];
    points.into_iter().flatten().min()
}

/// Returns the time of the next attempt after a failure that follows `failures` others, and true if
/// the provider requested that time.
pub(in crate::broker) fn next_try(
    failures: u32,
    told: Option<RetryAfter>,
    now: UnixTime,
    random: Random,
) -> (UnixTime, bool) {
    let most = FIRST_WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT);
    let guess = now.plus(most / 2 + portion(most / 2, random));
    match told.map(|told| told.from(now, LONGEST_TOLD)) {
        Some(told) if told >= guess => (told, true),
        _ => (guess, false),
    }
}

/// Returns true if `until` still lies ahead. A time further away than any wait was written by a
/// wrong clock and is ignored.
pub(in crate::broker) fn is_to_come(until: UnixTime, now: UnixTime) -> bool {
    until > now && until <= now.plus(LONGEST_TOLD)
}

fn lead(life: Option<Duration>) -> Duration {
    life.map_or(SHORTEST_LEAD, |life| (life / 10).clamp(SHORTEST_LEAD, LONGEST_LEAD).min(life / 4))
}

/// Returns a random part of a duration, in whole seconds.
fn portion(of: Duration, random: Random) -> Duration {
    let drawn = u64::from(u32::from_be_bytes(random.bytes()));
    Duration::from_secs((of.as_secs() + 1).saturating_mul(drawn) >> 32)
}

fn seconds(signed: i64) -> Duration {
    Duration::from_secs(u64::try_from(signed).unwrap_or(0))
}

fn whole(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::secret::Secret;

    const NOW: UnixTime = UnixTime(1_000_000);

    fn tokens(lifetime: Option<u64>, lapses_in: Option<i64>) -> Tokens {
        Tokens {
            renewal: None,
            access_token: Secret::new("a"),
            refresh_token: Some(Secret::new("r")),
            token_type: "Bearer".to_owned(),
            lifetime: lifetime.map(Duration::from_secs),
            refresh_expires_at: lapses_in.map(|seconds| UnixTime(NOW.0 + seconds)),
            metadata: BTreeMap::new(),
            dpop_key: None,
            redirect_uri: None,
            discovery: None,
            issued_by: None,
            replaced: None,
        }
    }

    #[test]
    fn refreshes_are_spread_ahead_of_expiry() {
        let points: Vec<i64> =
            (0..500).map(|_| refresh_at(&tokens(Some(3_600), None), NOW, Random).unwrap().0 - NOW.0).collect();
        let (least, most) = (points.iter().min().unwrap(), points.iter().max().unwrap());
        assert!((2_880..=2_940).contains(least) && (3_180..=3_240).contains(most), "{least}..{most}");
        for (lifetime, from, to) in [(60, 30, 45), (600, 300, 450), (60 * 86_400, 58 * 86_400, 59 * 86_400)] {
            let point = refresh_at(&tokens(Some(lifetime), None), NOW, Random).unwrap().0 - NOW.0;
            assert!((from..=to).contains(&point), "{lifetime}: {point}");
        }
    }

    #[test]
    fn lapsing_refresh_token_is_used_in_time() {
        let point = refresh_at(&tokens(None, Some(30 * 86_400)), NOW, Random).unwrap().0 - NOW.0;
        assert!((28 * 86_400..=29 * 86_400).contains(&point), "{point}");
        assert_eq!(refresh_at(&tokens(None, None), NOW, Random), None, "nothing ends");
        let no_refresh_token = Tokens { refresh_token: None, ..tokens(Some(60), None) };
        assert_eq!(refresh_at(&no_refresh_token, NOW, Random), None);
    }

    #[test]
    fn retries_back_off_with_jitter_up_to_a_limit() {
        let waits =
            |failures| -> Vec<i64> { (0..200).map(|_| next_try(failures, None, NOW, Random).0.0 - NOW.0).collect() };
        for (failures, least, most) in [(0, 5, 10), (1, 10, 20), (5, 160, 320), (8, 900, 1_800), (u32::MAX, 900, 1_800)]
        {
            let waits = waits(failures);
            assert!(waits.iter().all(|wait| (least..=most).contains(wait)), "{failures}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{failures}: no jitter");
        }
    }

    #[test]
    fn longer_retry_after_is_respected_within_a_limit() {
        let told = |seconds| next_try(0, Some(RetryAfter::Wait(Duration::from_secs(seconds))), NOW, Random);
        assert_eq!(told(3_600), (UnixTime(NOW.0 + 3_600), true));
        assert!(!told(0).1 && told(0).0 > NOW, "nobody makes us hammer");
        assert_eq!(told(u64::MAX), (NOW.plus(LONGEST_TOLD), true));
        assert!(is_to_come(told(u64::MAX).0, NOW) && !is_to_come(NOW, NOW));
        assert!(!is_to_come(NOW.plus(2 * LONGEST_TOLD), NOW), "a clock that was wrong keeps nothing waiting");
    }
}
