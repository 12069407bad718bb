//! Name resolution on a few threads of its own, for names that callers choose.
//!
//! `getaddrinfo` blocks, for many seconds if no name server answers. On tokio's threads, a few
//! hundred such names would stop the resolution of every other name.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use super::resolver::{Addresses, Lookup};
use crate::id::UserId;
use crate::permits::KeyedQueue;

/// Maximum number of threads.
const MAX_THREADS: usize = 8;

/// Maximum number of lookups of one caller at a time.
const MAX_LOOKUPS_PER_CALLER: usize = 2;

/// Maximum number of lookups of one caller that wait for these.
const MAX_WAITING_PER_CALLER: usize = 64;

/// Maximum time of a lookup, with its waits.
const MAX_WAIT: Duration = Duration::from_secs(5);

tokio::task_local! {
    static CALLER: String;
}

/// Returns the name under which the lookups for this user are counted.
pub fn owner(user: &UserId) -> String {
    format!("user {user}")
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
    let lookups = Arc::new(KeyedQueue::new(MAX_LOOKUPS_PER_CALLER, MAX_WAITING_PER_CALLER));
    Arc::new(move |name| -> Addresses {
        let caller = CALLER.try_with(Clone::clone).unwrap_or_default();
        let (lookups, threads) = (Arc::clone(&lookups), Arc::clone(&threads));
        Box::pin(async move {
            let found = tokio::time::timeout(MAX_WAIT, async {
                let share = lookups.take(caller).await.ok_or_else(|| io::Error::from(io::ErrorKind::ResourceBusy))?;
                let thread = threads.acquire_owned().await.map_err(io::Error::other)?;
                let (tell, told) = oneshot::channel();
                std::thread::Builder::new().name("lookup".to_owned()).spawn(move || {
                    let found = resolve(&name);
                    // Both are held until `getaddrinfo` returns, even after the wait has ended, and
                    // are free when the caller has its answer.
                    drop((share, thread));
                    let _ = tell.send(found);
                })?;
                told.await.map_err(io::Error::other)?
            });
            found.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
        })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Ends the resolution of the names that block.
    static OPEN: AtomicBool = AtomicBool::new(false);

    #[expect(clippy::unnecessary_wraps, reason = "a resolver can fail")]
    fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
        while name == "blocks.example" && !OPEN.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(vec!["127.0.0.1".parse().unwrap()])
    }

    #[tokio::test]
    async fn lookups_are_bounded_by_caller_and_by_threads() {
        let lookup = bounded(resolve);
        let of = |caller: &str, name: &str| {
            let found = CALLER.sync_scope(caller.to_owned(), || lookup(name.into()));
            async move { found.await.map_err(|error| error.kind()) }
        };
        let blocked = [of("a", "blocks.example"), of("a", "blocks.example")].map(tokio::spawn);
        tokio::task::yield_now().await;
        let mut third = Box::pin(of("a", "good.example"));
        assert!(futures_util::poll!(third.as_mut()).is_pending(), "it waits for the first two");
        for _ in 0..20 {
            assert!(of("b", "good.example").await.is_ok());
        }
        // A caller that stops waiting keeps its share until the thread is free.
        blocked.iter().for_each(tokio::task::JoinHandle::abort);
        for one in blocked {
            assert!(one.await.unwrap_err().is_cancelled());
        }
        assert!(futures_util::poll!(third.as_mut()).is_pending());
        let mut more: Vec<_> = (0..=MAX_WAITING_PER_CALLER).map(|_| Box::pin(of("a", "good.example"))).collect();
        for waits in more.iter_mut().take(MAX_WAITING_PER_CALLER - 1) {
            assert!(futures_util::poll!(waits.as_mut()).is_pending());
        }
        assert_eq!(of("a", "good.example").await, Err(io::ErrorKind::ResourceBusy), "enough of them wait");
        drop(more);
        let others: Vec<_> = ["c", "d", "e"].map(|caller| [caller; 2]).concat();
        let others: Vec<_> = others.iter().map(|caller| tokio::spawn(of(caller, "blocks.example"))).collect();
        tokio::task::yield_now().await;
        let mut ninth = Box::pin(of("f", "good.example"));
        assert!(futures_util::poll!(ninth.as_mut()).is_pending(), "all threads are busy");
        OPEN.store(true, Ordering::SeqCst);
        for one in others {
            assert!(one.await.unwrap().is_ok());
        }
        assert!(ninth.await.is_ok() && third.await.is_ok());
    }
}
