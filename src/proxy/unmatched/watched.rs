//! The hosts that a caller must not reach without a credential, looked at again twice a second
//! while the caller has tunnels: once for all of them, because a user can have many credentials.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::watch;

use crate::broker::{Broker, Caller, Error, KeyHosts};
use crate::proxy::websocket::CHECK;

/// The hosts of one caller, for its tunnels; `None` if it may have none.
pub(super) type Hosts = watch::Sender<Option<Arc<KeyHosts>>>;

/// The hosts of the callers that have tunnels.
#[derive(Default)]
pub(super) struct WatchedHosts(Mutex<HashMap<String, Weak<Hosts>>>);

impl WatchedHosts {
    /// Returns the hosts of a caller as they are now. They stay up to date while they are held.
    pub(super) async fn of(&self, broker: &Broker, caller: &Caller, share: &str) -> Result<Arc<Hosts>, Error> {
        let name = format!("{share} {}", caller.user);
        let held = self.held(&name, None);
        let known = held.as_ref().and_then(|hosts| hosts.borrow().clone());
        let now = broker.key_hosts(caller, known).await?;
        if let Some(hosts) = held {
            replace(&hosts, now);
            return Ok(hosts);
        }
        let new = Arc::new(watch::Sender::new(now));
        // Another tunnel may have been opened meanwhile. Then there are two, which both stay up to date.
        self.held(&name, Some(&new));
        tokio::spawn(keep_up_to_date(Arc::downgrade(&new), broker.clone(), caller.clone()));
        Ok(new)
    }

    fn held(&self, name: &str, new: Option<&Arc<Hosts>>) -> Option<Arc<Hosts>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(new) = new {
            all.retain(|_, hosts| hosts.strong_count() > 0);
            all.insert(name.to_owned(), Arc::downgrade(new));
        }
        all.get(name).and_then(Weak::upgrade)
    }
}

async fn keep_up_to_date(hosts: Weak<Hosts>, broker: Broker, caller: Caller) {
    loop {
        tokio::time::sleep(CHECK).await;
        let Some(hosts) = hosts.upgrade() else { return };
        let known = hosts.borrow().clone();
        // A vault that cannot be read allows nothing.
        let now = broker.key_hosts(&caller, known).await.unwrap_or_default();
        replace(&hosts, now);
    }
}

/// Wakes the tunnels only if something has changed.
fn replace(hosts: &Hosts, now: Option<Arc<KeyHosts>>) {
    hosts.send_if_modified(|known| {
        let is_other = *known != now;
        *known = now;
        is_other
    });
}
