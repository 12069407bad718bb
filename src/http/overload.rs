//! More than can be served: who is let in, and who is told to come back, before anything is done for him.
//!
//! Two things can run out. **The processor**: what is ready to run then waits in the runtime's queue, longer and longer. How
//! long is measured, by an empty task that stands in the same queue every few milliseconds; a single long wait may have any
//! cause, so the shortest of the last few counts (as in CoDel, RFC 8289). Where it is twice what is wanted there are twice as
//! many who ask as can be served in time, and half of them are refused; and so on. **What is waited for**, the disk and the
//! providers: of requests that wait for either there are so many at one time and no more, and of those for one provider only a
//! part of that, so that one that hangs leaves room for the others.
//!
//! A connection that was told to come back in a second and asks at once is let wait for that second: a refusal is cheap, and
//! would not be for callers that ask again without end. Probes pass all of this.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::App;
use super::limits::Limits;
use super::problem::{self, Problem};
use super::service::Arrival;

/// How often the queue is measured while there are requests.
const PULSE: Duration = Duration::from_millis(10);

/// Of so many measurements the shortest counts.
const RECENT: usize = 3;

/// Of all requests at least so many are let in.
const LEAST: f64 = 0.05;

/// How often the log says so.
const SAID: Duration = Duration::from_secs(10);

/// Where nothing was measured for so long, nobody asked: what was measured before means nothing.
const FORGOTTEN: Duration = Duration::from_secs(1);

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing that could run out: it is how others learn how the server is.
    Nothing,
    /// The processor: it is answered from memory or from a file that is there.
    Processor,
    /// The disk or a provider, too: it waits for a commit, or for somebody else's answer.
    Waiting,
}

/// The way in.
pub(super) struct Gate {
    waiting: Mutex<Waiting>,
    most_waiting: usize,
    most_at_one: usize,
    queue_time: Duration,
    /// What part of all requests is refused, of `u32::MAX`; and the sum of what each brought of it, from which the next is known.
    share: AtomicU32,
    due: AtomicU32,
    born: Instant,
    /// Milliseconds after `born` when the queue is measured next; the end of time while it is.
    next: AtomicU64,
    measured: Mutex<Measured>,
}

#[derive(Default)]
struct Waiting {
    all: usize,
    at: HashMap<String, usize>,
}

/// What was measured of the queue.
struct Measured {
    recent: [Duration; RECENT],
    last: Instant,
    said: Option<Instant>,
}

/// A request that was let in; where it is one that waits it has its place until this is dropped.
#[must_use]
pub(super) struct Place<'g>(Option<(&'g Gate, String)>);

/// It was not let in.
#[derive(Debug)]
struct Refused;

/// Lets a request in, or says why not. On a connection that was told to come back later it waits until then.
pub(super) async fn enter<'a>(
    app: &'a App,
    needs: Needs,
    provider: &str,
    arrival: Arrival,
) -> Result<Place<'a>, Problem> {
    if needs == Needs::Nothing {
        return Ok(Place(None));
    }
    if let Some(until) = arrival.not_before {
        tokio::time::sleep_until(until.into()).await;
    }
    if app.gate().wants_measure(Instant::now()) {
        measure(app.clone());
    }
    app.gate().enter(needs, provider).map_err(|Refused| {
        let detail = "The server has more to do than it can do in time. Nothing was done of this; try again later.";
        Problem::new(&problem::OVERLOADED, detail).retry_after(app.limits().come_back)
    })
}

/// Measures how long what is ready to run waits.
fn measure(app: App) {
    let runtime = tokio::runtime::Handle::current();
    // From outside, for then it stands behind all others: what a worker of the runtime spawns itself it also runs next.
    tokio::task::spawn_blocking(move || {
        let asked = Instant::now();
        runtime.spawn(async move { app.gate().measured_wait(asked.elapsed(), Instant::now()) });
    });
}

impl Gate {
    pub(super) fn new(limits: &Limits) -> Self {
        let measured = Measured { recent: [Duration::ZERO; RECENT], last: Instant::now(), said: None };
        Self {
            waiting: Mutex::default(),
            most_waiting: limits.waiting,
            most_at_one: limits.waiting_at_one,
            queue_time: limits.queue_time,
            share: AtomicU32::new(0),
            due: AtomicU32::new(0),
            born: measured.last,
            next: AtomicU64::new(0),
            measured: Mutex::new(measured),
        }
    }

    /// `provider` is the one that the request names, or nothing.
    fn enter(&self, needs: Needs, provider: &str) -> Result<Place<'_>, Refused> {
        let share = self.share.load(Ordering::Relaxed);
        // The shares of all who come are added up; whoever brings the sum over the edge is refused.
        if share > 0 && self.due.fetch_add(share, Ordering::Relaxed).checked_add(share).is_none() {
            return Err(Refused);
        }
        if needs == Needs::Processor {
            return Ok(Place(None));
        }
        let mut waiting = self.waiting();
        let here = waiting.at.get(provider).copied().unwrap_or(0);
        if waiting.all >= self.most_waiting || here >= self.most_at_one {
            return Err(Refused);
        }
        waiting.all += 1;
        waiting.at.insert(provider.to_owned(), here + 1);
        Ok(Place(Some((self, provider.to_owned()))))
    }

    /// Whether the queue is to be measured now; who is told so does it, and says what it was.
    fn wants_measure(&self, now: Instant) -> bool {
        let next = self.next.load(Ordering::Relaxed);
        if self.millis(now) < next
            || self.next.compare_exchange(next, u64::MAX, Ordering::AcqRel, Ordering::Relaxed).is_err()
        {
            return false;
        }
        let mut measured = self.measured();
        if now.saturating_duration_since(measured.last) >= FORGOTTEN {
            measured.recent = [Duration::ZERO; RECENT];
            self.share.store(0, Ordering::Relaxed);
        }
        true
    }

    /// How long what was ready to run had to wait.
    fn measured_wait(&self, wait: Duration, now: Instant) {
        let mut measured = self.measured();
        measured.recent.rotate_left(1);
        measured.recent[RECENT - 1] = wait;
        measured.last = now;
        let shortest = measured.recent.into_iter().min().unwrap_or_default();
        let share = share_over(shortest, self.queue_time);
        self.share.store(share, Ordering::Relaxed);
        if share > 0 && measured.said.is_none_or(|said| now.saturating_duration_since(said) >= SAID) {
            measured.said = Some(now);
            let wait_ms = u64::try_from(shortest.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(wait_ms, "overloaded: a part of the requests is told to come back");
        }
        drop(measured);
        self.next.store(self.millis(now + PULSE), Ordering::Release);
    }

    fn millis(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.born).as_millis()).unwrap_or(u64::MAX)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of all requests, of `u32::MAX`, that is too much where they wait for so long.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and u32::MAX")]
fn share_over(wait: Duration, wanted: Duration) -> u32 {
    if wait <= wanted {
        return 0;
    }
    let over = (1.0 - wanted.as_secs_f64() / wait.as_secs_f64()).min(1.0 - LEAST);
    (over * f64::from(u32::MAX)) as u32
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some((gate, provider)) = self.0.take() else { return };
        let mut waiting = gate.waiting();
        waiting.all -= 1;
        if let Some(here) = waiting.at.get_mut(&provider) {
            *here -= 1;
            if *here == 0 {
                waiting.at.remove(&provider);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        let queue_time = Duration::from_millis(100);
        Gate::new(&Limits { waiting: 3, waiting_at_one: 2, queue_time, ..Limits::default() })
    }

    fn refused_of(gate: &Gate, requests: usize) -> usize {
        (0..requests).filter(|_| gate.enter(Needs::Processor, "").is_err()).count()
    }

    fn measure(gate: &Gate, waits: &[u64]) {
        for millis in waits {
            gate.measured_wait(Duration::from_millis(*millis), Instant::now());
        }
    }

    #[test]
    fn as_many_wait_as_may_and_of_one_provider_a_part_of_them() {
        let gate = gate();
        let first = gate.enter(Needs::Waiting, "acme").unwrap();
        let second = gate.enter(Needs::Waiting, "acme").unwrap();
        assert!(gate.enter(Needs::Waiting, "acme").is_err(), "a provider that hangs leaves room");
        let _third = gate.enter(Needs::Waiting, "other").unwrap();
        assert!(gate.enter(Needs::Waiting, "third").is_err(), "but no more than there is");
        assert!(gate.enter(Needs::Processor, "acme").is_ok(), "who need not wait needs no place");
        drop((first, second));
        assert!(gate.enter(Needs::Waiting, "third").is_ok());
        assert_eq!(gate.waiting().at.keys().collect::<Vec<_>>(), ["other"], "nothing is kept of who is gone");
    }

    #[test]
    fn where_they_wait_twice_as_long_as_is_wanted_half_of_them_are_refused() {
        let gate = gate();
        measure(&gate, &[200, 200]);
        assert_eq!(refused_of(&gate, 1000), 0, "it may have been chance");
        measure(&gate, &[200]);
        assert!(refused_of(&gate, 1000).abs_diff(500) <= 1);
        measure(&gate, &[1000, 1000, 1000]);
        assert!(refused_of(&gate, 1000).abs_diff(900) <= 1);
        measure(&gate, &[100_000, 100_000, 100_000]);
        assert!(refused_of(&gate, 1000) <= 951, "some are always let in");
        measure(&gate, &[100]);
        assert_eq!(refused_of(&gate, 1000), 0, "one short wait, and all is well");
    }

    #[test]
    fn it_is_measured_by_one_at_a_time_and_old_measurements_are_forgotten() {
        let gate = gate();
        let before = Instant::now();
        measure(&gate, &[200, 200, 200]);
        let now = Instant::now();
        assert!(!gate.wants_measure(before), "not so soon");
        assert!(gate.wants_measure(now + PULSE) && !gate.wants_measure(now + PULSE));
        measure(&gate, &[200]);
        assert!(refused_of(&gate, 10) > 0);
        assert!(gate.wants_measure(Instant::now() + FORGOTTEN));
        assert_eq!(refused_of(&gate, 10), 0);
    }
}
