//! Name resolution on a few threads of its own, for names that callers choose.
//!
//! `getaddrinfo` blocks, for many seconds if no name server answers. On tokio's threads, a few
//! hundred such names would stop the resolution of every other name.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use super::resolver::{Addresses, Lookup};

/// Maximum number of threads.
const MAX_THREADS: usize = 8;

/// Maximum number of lookups of one caller at a time.
const MAX_LOOKUPS_PER_CALLER: usize = 2;

/// Maximum time of a lookup, with its wait for a thread.
const MAX_WAIT: Duration = Duration::from_secs(5);

tokio::task_local! {
    static CALLER: String;
}

/// Runs `future` as a request of `caller`, whose lookups are counted together.
pub async fn on_behalf_of<F: Future>(caller: String, future: F) -> F::Output {
    CALLER.scope(caller, future).await
}

/// Resolves a name, and blocks.
pub(super) type Resolve = fn(&str) -> io::Result<Vec<IpAddr>>;

/// Returns the operating system's resolver on threads of its own.
pub(super) fn system() -> Lookup {
    bounded(|name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
}

pub(super) fn bounded(resolve: Resolve) -> Lookup {
    let threads = Arc::new(Semaphore::new(MAX_THREADS));
    let running = Arc::default();
    Arc::new(move |name| -> Addresses {
        let share = Share::take(&running);
        let threads = Arc::clone(&threads);
        Box::pin(async move {
            let share = share.ok_or_else(|| io::Error::from(io::ErrorKind::ResourceBusy))?;
            let found = tokio::time::timeout(MAX_WAIT, async {
                let thread = threads.acquire_owned().await.map_err(io::Error::other)?;
                let (tell, told) = oneshot::channel();
                std::thread::Builder::new().name("lookup".to_owned()).spawn(move || {
                    // Both are held until `getaddrinfo` returns, even after the wait has ended.
                    let _held = (share, thread);
                    let _ = tell.send(resolve(&name));
                })?;
                told.await.map_err(io::Error::other)?
            });
            found.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
        })
    })
}

/// Number of running lookups by caller.
type Running = Arc<Mutex<BTreeMap<String, usize>>>;

/// One lookup of a caller's share.
struct Share {
    caller: String,
    running: Running,
}

impl Share {
    /// Returns `None` if the caller already has as many lookups as allowed.
    fn take(running: &Running) -> Option<Self> {
        let caller = CALLER.try_with(Clone::clone).unwrap_or_default();
        let mut counts = running.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(caller.clone()).or_default();
        if *count >= MAX_LOOKUPS_PER_CALLER {
            return None;
        }
        *count += 1;
        Some(Self { caller, running: Arc::clone(running) })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "a resolver can fail")]
    fn slow(name: &str) -> io::Result<Vec<IpAddr>> {
        if name == "never.example" {
            std::thread::sleep(Duration::from_secs(1));
        }
        Ok(vec!["127.0.0.1".parse().unwrap()])
    }

    // A caller with names that never resolve takes nothing from the others.
    #[tokio::test]
    async fn a_caller_has_two_lookups_at_a_time() {
        let lookup = bounded(slow);
        let (first, second) = (lookup("never.example".into()), lookup("never.example".into()));
        let busy = lookup("never.example".into()).await.unwrap_err();
        assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy);
        for _ in 0..20 {
            let others = on_behalf_of("another".to_owned(), async { lookup("good.example".into()).await }).await;
            assert!(others.is_ok());
        }
        drop((first, second));
        assert!(lookup("good.example".into()).await.is_ok(), "what was given up is free again");
    }
}
