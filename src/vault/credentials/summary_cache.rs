//! What the server keeps opened in memory: the API keys (`key_table.rs`), and the summaries that lists show.
//!
//! It is right for as long as nobody has committed since it was read. That is seen from the head of SQLite's log
//! (`store/moment.rs`), before every use, and holds for commits of other processes as for our own; nothing in the file that
//! whoever writes SQL could set back takes part in it. A commit of our own that changed other users' credentials alone takes
//! the rest along to its moment.

use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use zeroize::{Zeroize, Zeroizing};

use super::metadata::CredentialMetadata;
use crate::id::ProviderName;
use crate::store::{Commit, Moment};
use crate::vault::api_keys::api_key_cache::KeyTable;

/// Bytes of summaries in each half.
const HALF: usize = 4 << 20;

/// The largest list that is kept.
const LONGEST: usize = 256 << 10;

/// What an entry takes beside its texts, at most.
const ENTRY: usize = 256;

/// All of it.
#[derive(Default)]
pub(in crate::vault) struct Memory {
    pub(in crate::vault) keys: ArcSwapOption<KeyTable>,
    lists: Mutex<Lists>,
}

impl Memory {
    /// Follows a commit of this process: what it did not change is of its moment too.
    pub(in crate::vault) fn follow(&self, commit: &Commit) {
        KeyTable::follow(&self.keys, commit);
        let mut lists = self.lists();
        if lists.at == Some(commit.from) {
            lists.forget(&commit.touched);
            lists.at = Some(commit.to);
        }
    }

    /// The summaries of a user's credentials, oldest first, of one provider or all, as they are at this moment; `None` where
    /// they are not in memory.
    pub(in crate::vault) fn list(&self, at: Moment, user: &str, provider: Option<&ProviderName>) -> Option<Arc<List>> {
        let mut lists = self.lists();
        if lists.at == Some(at) { lists.find(user, provider) } else { None }
    }

    /// Keeps a list that was read at a moment. `now` is asked for the moment while nobody else keeps or follows: what was read
    /// before a commit is not kept behind it.
    pub(in crate::vault) fn keep(
        &self,
        at: Moment,
        now: impl FnOnce() -> Option<Moment>,
        user: &str,
        list: &Arc<List>,
    ) {
        let size = list.size() + ENTRY + user.len();
        let mut lists = self.lists();
        if size > LONGEST || now() != Some(at) {
            return;
        }
        if lists.at != Some(at) {
            *lists = Lists { at: Some(at), ..Lists::default() };
        }
        lists.add(user, list.clone(), size);
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lists of one moment. What was not asked for while a half became full goes with the older one.
#[derive(Default)]
struct Lists {
    at: Option<Moment>,
    newer: Half,
    older: Half,
}

#[derive(Default)]
struct Half {
    bytes: usize,
    of_user: HashMap<String, OfUser>,
}

/// A user's lists, each of one provider or of all, and their size.
#[derive(Default)]
struct OfUser {
    bytes: usize,
    lists: Vec<Arc<List>>,
}

impl Lists {
    fn find(&mut self, user: &str, provider: Option<&ProviderName>) -> Option<Arc<List>> {
        if !self.newer.of_user.contains_key(user) {
            let (user, again) = self.older.of_user.remove_entry(user)?;
            self.older.bytes -= again.bytes;
            self.put(user, again);
        }
        self.newer.of_user.get(user)?.find(provider)
    }

    fn add(&mut self, user: &str, list: Arc<List>, size: usize) {
        let mut of_user = self.take(user).unwrap_or_default();
        of_user.lists.retain(|known| known.of != list.of);
        if of_user.bytes + size > LONGEST {
            of_user = OfUser::default();
        }
        of_user.lists.push(list);
        of_user.bytes += size;
        self.put(user.to_owned(), of_user);
    }

    fn put(&mut self, user: String, of_user: OfUser) {
        if self.newer.bytes + of_user.bytes > HALF {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.bytes += of_user.bytes;
        self.newer.of_user.insert(user, of_user);
    }

    fn take(&mut self, user: &str) -> Option<OfUser> {
        [&mut self.newer, &mut self.older].into_iter().find_map(|half| {
            let taken = half.of_user.remove(user)?;
            half.bytes -= taken.bytes;
            Some(taken)
        })
    }

    fn forget(&mut self, users: &BTreeSet<String>) {
        for user in users {
            self.take(user);
        }
    }
}

impl OfUser {
    /// The list of this provider, or that of all, in which those of the provider are.
    fn find(&self, provider: Option<&ProviderName>) -> Option<Arc<List>> {
        let of = |wanted: Option<&ProviderName>| self.lists.iter().find(|list| list.of.as_ref() == wanted).cloned();
        of(None).or_else(|| provider.and_then(|provider| of(Some(provider))))
    }
}

/// Opened summaries of a user, oldest first, and what was made of them to be shown. Both are wiped when nobody has them any more.
pub(in crate::vault) struct List {
    /// The provider, or all.
    of: Option<ProviderName>,
    summaries: Vec<CredentialMetadata>,
    shown: OnceLock<Bytes>,
}

impl List {
    pub(in crate::vault) fn new(of: Option<&ProviderName>, summaries: Vec<CredentialMetadata>) -> Self {
        Self { of: of.cloned(), summaries, shown: OnceLock::new() }
    }

    /// What `show` makes of those of a provider, or of all, which are in it; made once where it is a list of just these.
    pub(in crate::vault) fn shown(
        &self,
        provider: Option<&ProviderName>,
        show: impl FnOnce(&mut dyn Iterator<Item = &CredentialMetadata>) -> Vec<u8>,
    ) -> Bytes {
        if self.of.as_ref() == provider {
            return self.shown.get_or_init(|| wiped(show(&mut self.summaries.iter()))).clone();
        }
        wiped(show(&mut self.summaries.iter().filter(|summary| Some(&summary.provider) == provider)))
    }

    fn size(&self) -> usize {
        self.summaries.iter().map(size).sum()
    }
}

/// Bytes that are wiped with the last who has them.
fn wiped(bytes: Vec<u8>) -> Bytes {
    Bytes::from_owner(Zeroizing::new(bytes))
}

impl Deref for List {
    type Target = [CredentialMetadata];

    fn deref(&self) -> &[CredentialMetadata] {
        &self.summaries
    }
}

impl Drop for List {
    fn drop(&mut self) {
        self.summaries.iter_mut().for_each(wipe);
    }
}

/// What a summary takes in memory, about, with what is shown of it.
fn size(summary: &CredentialMetadata) -> usize {
    let CredentialMetadata { title, scopes, username, host, account, client_id, origin, refreshing, .. } = summary;
    let optional = [username, account, client_id, origin].into_iter().flatten().map(String::len).sum::<usize>();
    let scopes = scopes.iter().flatten().map(|scope| scope.len() + size_of::<String>()).sum::<usize>();
    let host = host.as_ref().map_or(0, |host| 2 * host.as_given().len());
    let error = refreshing.last_error.as_ref().map_or(0, |error| error.what.len());
    let beside = summary.beside.as_ref().map_or(0, |beside| beside.name.len());
    size_of::<CredentialMetadata>() + 2 * (title.len() + optional + scopes + host) + error + beside + 3 * ENTRY
}

/// Wipes what is sealed of a summary in the file.
fn wipe(summary: &mut CredentialMetadata) {
    let CredentialMetadata { title, scopes, username, host, account, client_id, origin, beside, refreshing, .. } =
        summary;
    title.zeroize();
    scopes.iter_mut().flatten().for_each(Zeroize::zeroize);
    [username, account, client_id, origin].into_iter().flatten().for_each(Zeroize::zeroize);
    if let Some(host) = host {
        host.wipe();
    }
    if let Some(beside) = beside {
        beside.name.zeroize();
    }
    if let Some(error) = &mut refreshing.last_error {
        error.what.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, UnixTime};
    use crate::id::IdMaker;
    use crate::kind::Kind;
    use crate::vault::credentials::metadata::{AdditionalToken, CredentialStatus};
    use crate::vault::credentials::refresh_state::{LastError, RefreshState};

    fn summary() -> CredentialMetadata {
        let id = IdMaker::new(Clock::manual(UnixTime(1_800_000_000))).credential();
        let text = || "confidential".to_owned();
        let last_error = Some(LastError { at: UnixTime(1), what: text() });
        CredentialMetadata {
            id,
            user: "alice".parse().unwrap(),
            provider: "p".parse().unwrap(),
            kind: Kind::OAuth2,
            title: text(),
            scopes: Some(vec![text(), text()]),
            username: Some(text()),
            host: Some("api.example.com".parse().unwrap()),
            account: Some(text()),
            client_id: Some(text()),
            created_at: UnixTime(1),
            updated_at: UnixTime(1),
            expires_at: None,
            last_used_at: None,
            status: CredentialStatus::Active,
            refreshing: RefreshState { last_error, ..RefreshState::default() },
            origin: Some(text()),
            beside: Some(AdditionalToken { of: id, name: text() }),
        }
    }

    fn list(length: usize) -> Arc<List> {
        Arc::new(List::new(None, vec![summary(); length]))
    }

    fn keep(memory: &Memory, at: u8, user: &str, list: &Arc<List>) {
        let at = Moment::for_tests(at);
        memory.keep(at, || Some(at), user, list);
    }

    fn has(memory: &Memory, at: u8, user: &str) -> bool {
        memory.list(Moment::for_tests(at), user, None).is_some()
    }

    #[test]
    fn a_list_is_there_for_its_own_moment_alone() {
        let memory = Memory::default();
        keep(&memory, 1, "alice", &list(1));
        assert!(has(&memory, 1, "alice") && !has(&memory, 2, "alice") && !has(&memory, 1, "bob"));
        keep(&memory, 2, "bob", &list(1));
        assert!(has(&memory, 2, "bob") && !has(&memory, 2, "alice") && !has(&memory, 1, "alice"));
    }

    #[test]
    fn what_was_read_before_a_commit_is_not_kept_behind_it() {
        let memory = Memory::default();
        let (before, after) = (Moment::for_tests(1), Moment::for_tests(2));
        for now in [Some(after), None] {
            memory.keep(before, || now, "alice", &list(1));
            assert!(!has(&memory, 1, "alice") && !has(&memory, 2, "alice"));
        }
    }

    #[test]
    fn the_list_of_a_provider_is_not_taken_for_the_whole() {
        let memory = Memory::default();
        let (at, provider) = (Moment::for_tests(1), "p".parse().unwrap());
        memory.keep(at, || Some(at), "alice", &Arc::new(List::new(Some(&provider), vec![summary()])));
        assert!(memory.list(at, "alice", Some(&provider)).is_some());
        assert!(!has(&memory, 1, "alice") && memory.list(at, "alice", Some(&"q".parse().unwrap())).is_none());
    }

    #[test]
    fn what_is_shown_of_a_list_is_made_once_and_of_a_part_of_it_each_time() {
        let list = List::new(None, vec![summary(), CredentialMetadata { provider: "q".parse().unwrap(), ..summary() }]);
        let made = std::cell::Cell::new(0);
        let show = |provider: Option<&str>| {
            let provider: Option<ProviderName> = provider.map(|name| name.parse().unwrap());
            list.shown(provider.as_ref(), |some| {
                made.set(made.get() + 1);
                some.map(|summary| summary.provider.as_str()).collect::<String>().into_bytes()
            })
        };
        assert_eq!(
            [show(None), show(None), show(Some("q")), show(Some("q")), show(Some("r"))],
            ["pq", "pq", "q", "q", ""]
        );
        assert_eq!(made.get(), 4);
    }

    #[test]
    fn memory_is_bounded_whatever_is_asked_for_and_what_is_asked_for_again_stays() {
        let memory = Memory::default();
        for number in 0..20_000 {
            keep(&memory, 1, &format!("user-{number}"), &list(1 + number % 9));
            assert!(has(&memory, 1, "user-0"), "it is asked for again and again");
            let lists = memory.lists();
            assert!(lists.newer.bytes <= HALF && lists.older.bytes <= HALF);
        }
        assert!(has(&memory, 1, "user-0") && has(&memory, 1, "user-19999") && !has(&memory, 1, "user-1"));
        let lists = memory.lists();
        for half in [&lists.newer, &lists.older] {
            assert_eq!(half.bytes, half.of_user.values().map(|of_user| of_user.bytes).sum::<usize>());
        }
        drop(lists);
        keep(&memory, 1, "large", &list(1_000));
        assert!(!has(&memory, 1, "large"));
    }

    #[test]
    fn many_lists_of_one_user_take_no_more_than_one_large_one() {
        let memory = Memory::default();
        let at = Moment::for_tests(1);
        for number in 0..1_000 {
            let provider: ProviderName = format!("p{number}").parse().unwrap();
            memory.keep(at, || Some(at), "alice", &Arc::new(List::new(Some(&provider), vec![summary(); 2])));
            assert!(memory.list(at, "alice", Some(&provider)).is_some());
            assert!(memory.lists().newer.bytes <= LONGEST);
        }
    }

    #[test]
    fn what_is_sealed_in_the_file_is_wiped_in_memory() {
        let mut summary = summary();
        wipe(&mut summary);
        let shown = format!("{summary:?}");
        assert!(!shown.contains("confidential") && !shown.contains("example"), "{shown}");
    }
}
