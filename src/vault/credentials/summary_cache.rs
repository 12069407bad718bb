//! Cache of opened lists and credentials: each reader of the store keeps those that it opened since
//! the last commit.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::metadata::CredentialMetadata;
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::store::Cached;

/// Size of a reader's cache, in bytes as the lists are sealed. A full cache is emptied.
const MAX_BYTES: usize = 1 << 20;

/// Size of the largest list that is kept.
const MAX_LIST_BYTES: usize = 256 << 10;

/// Weight of a list and of each of its credentials, in addition to the sealed bytes.
const OVERHEAD: usize = 512;

/// Opened lists of one reader, by user, and opened credentials.
#[derive(Default)]
pub(crate) struct SummaryCache {
    bytes: usize,
    of_user: HashMap<String, Vec<Arc<SummaryList>>>,
    /// Credentials that were read alone.
    alone: HashMap<CredentialId, CredentialMetadata>,
}

impl Cached for SummaryCache {}

impl SummaryCache {
    /// Returns a user's list of one provider, or of all.
    pub(crate) fn find(&self, user: &str, provider: Option<&ProviderName>) -> Option<Arc<SummaryList>> {
        self.of_user.get(user)?.iter().find(|list| list.provider.as_ref() == provider).cloned()
    }

    /// Returns a user's credential that was read alone.
    pub(crate) fn find_alone(&self, user: &UserId, id: &CredentialId) -> Option<CredentialMetadata> {
        self.alone.get(id).filter(|found| found.user == *user).cloned()
    }

    /// Keeps a list that was read in the same transaction.
    pub(super) fn keep(&mut self, user: &str, list: &Arc<SummaryList>) {
        if self.make_room(list.bytes) {
            self.of_user.entry(user.to_owned()).or_default().push(list.clone());
        }
    }

    /// Keeps a credential that was read alone in the same transaction, whose sealed record has so
    /// many bytes.
    pub(super) fn keep_alone(&mut self, metadata: &CredentialMetadata, sealed_bytes: usize) {
        if self.make_room(sealed_bytes + OVERHEAD) {
            self.alone.insert(metadata.id, metadata.clone());
        }
    }

    /// Counts what is about to be kept; returns false if it is too large.
    fn make_room(&mut self, bytes: usize) -> bool {
        if bytes > MAX_LIST_BYTES {
            return false;
        }
        if self.bytes + bytes > MAX_BYTES {
            *self = Self::default();
        }
        self.bytes += bytes;
        true
    }
}

/// Opened metadata of a user's credentials, oldest first, and the answer that was made of them.
pub(crate) struct SummaryList {
    provider: Option<ProviderName>,
    bytes: usize,
    pub(super) all: Vec<CredentialMetadata>,
    /// The answer, and the time in which no credential of it expires.
    shown: Mutex<Option<(Range<UnixTime>, Bytes)>>,
}

impl SummaryList {
    /// Makes a list of one provider, or of all, whose sealed records have so many bytes.
    pub(super) fn new(provider: Option<&ProviderName>, all: Vec<CredentialMetadata>, sealed_bytes: usize) -> Self {
        let bytes = sealed_bytes + (all.len() + 1) * OVERHEAD;
        Self { provider: provider.cloned(), bytes, all, shown: Mutex::default() }
    }

    /// Returns what `show` makes of the list at `now`. It is called again if a credential expired
    /// since.
    pub(super) fn shown(&self, now: UnixTime, show: impl FnOnce(&[CredentialMetadata]) -> Vec<u8>) -> Bytes {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = shown.as_ref().filter(|(valid, _)| valid.contains(&now)) {
            return bytes.clone();
        }
        let next_expiry = self.all.iter().filter_map(|one| one.expires_at).filter(|ends| *ends > now).min();
        let bytes = Bytes::from(show(&self.all));
        *shown = Some((now..next_expiry.unwrap_or(UnixTime(i64::MAX)), bytes.clone()));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(provider: Option<&str>, bytes: usize) -> Arc<SummaryList> {
        let provider = provider.map(|name| name.parse().unwrap());
        Arc::new(SummaryList::new(provider.as_ref(), Vec::new(), bytes))
    }

    #[test]
    fn list_of_a_provider_is_not_the_whole_list() {
        let (mut cache, provider) = (SummaryCache::default(), "p".parse().unwrap());
        cache.keep("alice", &list(Some("p"), 1));
        assert!(cache.find("alice", Some(&provider)).is_some());
        assert!(cache.find("alice", None).is_none() && cache.find("alice", Some(&"q".parse().unwrap())).is_none());
        assert!(cache.find("bob", Some(&provider)).is_none());
    }

    #[test]
    fn cache_is_bounded() {
        let mut cache = SummaryCache::default();
        for number in 0..20_000 {
            let user = format!("user-{}", number % 700);
            cache.keep(&user, &list(Some(&format!("p{number}")), number % 5_000));
            let kept = cache.of_user.values().flatten().map(|list| list.bytes).sum::<usize>();
            assert!(cache.bytes == kept && kept <= MAX_BYTES);
        }
        cache.keep("large", &list(None, MAX_LIST_BYTES));
        assert!(cache.find("large", None).is_none());
    }

    #[test]
    fn answer_is_made_once() {
        let list = list(None, 1);
        let shown = |now, text: &str| list.shown(UnixTime(now), |_| text.into());
        assert_eq!([shown(5, "first"), shown(6, "second")], ["first", "first"]);
        assert_eq!(shown(4, "third"), "third", "the clock was set back");
    }
}
