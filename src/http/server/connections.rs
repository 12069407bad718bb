//! Who holds how many connections. Where there are too many, the one that has waited longest without asking anything goes,
//! so that a thousand idle ones never keep a good one out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::conn_state::{Wanted, Watch};
use crate::http::limits::Limits;

/// An address as far as one party has it to itself: a whole /64 for IPv6.
pub(crate) fn party(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Every open connection.
#[derive(Debug)]
pub(crate) struct Connections {
    limit: usize,
    share: usize,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    /// How every connection is wanted to go on.
    wanted: Wanted,
    next: u64,
    connections: HashMap<u64, Entry>,
    per_party: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Entry {
    party: Option<IpAddr>,
    watch: Arc<Watch>,
}

impl Connections {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        let open =
            Open { wanted: Wanted::Serve, next: 0, connections: HashMap::default(), per_party: HashMap::default() };
        Arc::new(Self { limit: limits.connections, share: limits.connections_per_address, open: Mutex::new(open) })
    }

    /// Lets a connection in; `address` is nothing where no share applies. Nothing where there is no room, and everybody
    /// else is being answered.
    pub(crate) fn admit(self: &Arc<Self>, address: Option<IpAddr>, watch: Arc<Watch>) -> Option<Admission> {
        let party = address.map(party);
        let mut open = self.open();
        if party.is_some_and(|party| open.per_party.get(&party).is_some_and(|held| *held >= self.share)) {
            open.evict_of(party)?;
        }
        if open.connections.len() >= self.limit {
            let greediest = open.per_party.iter().max_by_key(|(_, held)| **held).map(|(party, _)| *party);
            open.evict_of(greediest).or_else(|| open.evict(|_| true))?;
        }
        let id = open.next;
        open.next += 1;
        watch.want(open.wanted);
        open.connections.insert(id, Entry { party, watch });
        if let Some(party) = party {
            *open.per_party.entry(party).or_default() += 1;
        }
        Some(Admission { id, connections: self.clone() })
    }

    /// Tells every connection how it is wanted to go on; those to come too.
    pub(crate) fn want(&self, wanted: Wanted) {
        let mut open = self.open();
        open.wanted = wanted;
        open.connections.values().for_each(|entry| entry.watch.want(wanted));
    }

    /// Makes room for one: for when the operating system has no more file descriptors.
    pub(crate) fn evict_one(&self) {
        self.open().evict(|_| true);
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn evict_of(&mut self, party: Option<IpAddr>) -> Option<()> {
        self.evict(|entry| entry.party == party)
    }

    /// Ends the connection that has waited longest of those that `eligible` names.
    fn evict(&mut self, eligible: impl Fn(&Entry) -> bool) -> Option<()> {
        let waiting = self.connections.iter().filter(|(_, entry)| eligible(entry));
        let longest = waiting.filter_map(|(id, entry)| Some((entry.watch.waiting_since()?, *id))).min();
        let (_, id) = longest?;
        self.remove(id)?.watch.want(Wanted::Cut);
        Some(())
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.connections.remove(&id)?;
        if let Some(party) = entry.party
            && let Some(held) = self.per_party.get_mut(&party)
        {
            *held -= 1;
            if *held == 0 {
                self.per_party.remove(&party);
            }
        }
        Some(entry)
    }
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    id: u64,
    connections: Arc<Connections>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.connections.open().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(limit: usize, share: usize) -> Arc<Connections> {
        let limits = Limits { connections: limit, connections_per_address: share, ..Limits::default() };
        Connections::new(&limits)
    }

    #[tokio::test]
    async fn an_address_over_its_share_loses_its_own_idle_connection() {
        let connections = connections(10, 2);
        let greedy = Some("192.0.2.1".parse().unwrap());
        let other = connections.admit(Some("192.0.2.2".parse().unwrap()), Watch::new()).unwrap();
        let oldest = Watch::new();
        let _first = connections.admit(greedy, oldest.clone()).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        let _second = connections.admit(greedy, Watch::new()).unwrap();
        let _third = connections.admit(greedy, Watch::new()).unwrap();
        oldest.until_cut(std::pin::pin!(std::future::pending())).await;
        assert!(connections.open().connections.contains_key(&other.id));
    }

    #[tokio::test]
    async fn whoever_is_being_answered_is_never_put_out() {
        let connections = connections(1, 1);
        let busy = Watch::new();
        busy.request_begins(Some(0));
        let first = connections.admit(None, busy).unwrap();
        assert!(connections.admit(None, Watch::new()).is_none());
        drop(first);
        assert!(connections.admit(None, Watch::new()).is_some());
    }

    #[test]
    fn an_ipv6_network_is_one_party() {
        let [a, b, c] = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"].map(|text| party(text.parse().unwrap()));
        assert!(a == b && a != c);
        assert_eq!(party("::ffff:192.0.2.1".parse().unwrap()), party("192.0.2.1".parse().unwrap()));
    }
}
