//! More than can be served: who is let in, and who is told to come back, before anything is done for him.
//!
//! Two things can run out. **The processor**: what is ready to run then waits in the runtime's queue, longer and longer. How
//! long is measured, by an empty task that stands in the same queue every few milliseconds; a short delay may have any cause,
//! so it counts when it has lasted. Where the wait is twice what is wanted there are twice as many who ask as can be served in
//! time, and half of them are refused; and so on. While the task has not come out at all after twice the time, what is behind
//! it in the queue would be late whatever is done, and nearly all of it is refused until the task is there. (So the queue is
//! held short, as CoDel does it, RFC 8289, and not the number of those who ask.) **What is waited for**, the disk and the
//! providers: of requests that wait for either there are so many at one time and no more, and of those for one provider only a
//! part of that, so that one that hangs leaves room for the others. Whoever finds no room is refused at the door; a place is taken
//! when the whole body is there, so that a caller who sends slowly keeps nobody out.
//!
//! A connection that was told to come back in a second and asks at once is let wait for that second: a refusal is cheap, and
//! would not be for callers that ask again without end. Probes pass all of this.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::app::App;
use super::limits::Limits;
use super::problem::{self, Problem};
use super::server::service::Arrival;

/// How often the queue is measured while there are requests.
const PULSE: Duration = Duration::from_millis(10);

/// So long all that is measured has to be too long before it counts.
const LASTING: Duration = Duration::from_millis(200);

/// Where fewer requests came while the task stood in the queue, there was none: the machine itself stood still.
const MANY: u32 = 16;

/// Of all requests at least so many are let in.
const LEAST: f64 = 0.05;

/// How often the log says so.
const SAID: Duration = Duration::from_secs(10);

/// Where nothing was measured for so long, nobody asked: what was measured before means nothing.
const FORGOTTEN: Duration = Duration::from_secs(1);

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing that could run out: it is how others learn how the server is.
    Nothing,
    /// The processor: it is answered from memory or from a file that is there.
    Processor,
    /// The disk or a provider, too: it waits for a commit, or for somebody else's answer.
    Waiting,
}

/// The way in.
pub(crate) struct Gate {
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
    /// Milliseconds after `born` since when the task that measures it stands in the queue; the end of time while none does.
    standing_since: AtomicU64,
    /// Requests that came since then.
    came: AtomicU32,
    measured: Mutex<Measured>,
}

#[derive(Default)]
struct Waiting {
    all: usize,
    at: HashMap<String, usize>,
}

/// What was measured of the queue.
struct Measured {
    last: Instant,
    /// Since when every wait was too long.
    too_long_since: Option<Instant>,
    said: Option<Instant>,
}

/// The place of a request that waits, until this is dropped; others need none.
#[must_use]
pub(crate) struct Place(Option<(App, String)>);

/// It was not let in.
#[derive(Debug)]
struct Refused;

/// Lets a request in, or says why not. On a connection that was told to come back later it waits until then.
pub(crate) async fn enter(app: &App, needs: Needs, provider: &str, arrival: Arrival) -> Result<(), Problem> {
    if needs == Needs::Nothing {
        return Ok(());
    }
    if let Some(until) = arrival.not_before {
        tokio::time::sleep_until(until.into()).await;
    }
    let now = Instant::now();
    if app.gate().wants_measure(now) {
        measure(app.clone());
    }
    app.gate().enter(needs, provider, now).map_err(|Refused| overloaded(app))
}

/// The place of a request that has come whole, if there is one.
pub(crate) fn take_place(app: &App, needs: Needs, provider: &str) -> Result<Place, Problem> {
    if needs != Needs::Waiting {
        return Ok(Place(None));
    }
    app.gate().take(provider).map_err(|Refused| overloaded(app))?;
    Ok(Place(Some((app.clone(), provider.to_owned()))))
}

fn overloaded(app: &App) -> Problem {
    let detail = "The server has more to do than it can do in time. Nothing was done of this; try again later.";
    Problem::new(&problem::OVERLOADED, detail).retry_after(app.limits().come_back)
}

/// Measures how long what is ready to run waits.
fn measure(app: App) {
    let runtime = tokio::runtime::Handle::current();
    // From outside, for then it stands behind all others: what a worker of the runtime spawns itself it also runs next.
    tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        app.gate().stands(began);
        runtime.spawn(async move {
            let now = Instant::now();
            app.gate().measured_wait(now.saturating_duration_since(began), now);
        });
    });
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        let measured = Measured { last: Instant::now(), too_long_since: None, said: None };
        Self {
            waiting: Mutex::default(),
            most_waiting: limits.waiting,
            most_at_one: limits.waiting_at_one,
            queue_time: limits.queue_time,
            share: AtomicU32::new(0),
            due: AtomicU32::new(0),
            born: measured.last,
            next: AtomicU64::new(0),
            standing_since: AtomicU64::new(u64::MAX),
            came: AtomicU32::new(0),
            measured: Mutex::new(measured),
        }
    }

    /// `provider` is the one that the request names, or nothing.
    fn enter(&self, needs: Needs, provider: &str, now: Instant) -> Result<(), Refused> {
        let share = self.share(now);
        // The shares of all who come are added up; whoever brings the sum over the edge is refused.
        if share > 0 && self.due.fetch_add(share, Ordering::Relaxed).checked_add(share).is_none() {
            return Err(Refused);
        }
        if needs == Needs::Waiting { self.has_room(&self.waiting(), provider).map(|_| ()) } else { Ok(()) }
    }

    /// Takes a place, which has to be given back.
    fn take(&self, provider: &str) -> Result<(), Refused> {
        let mut waiting = self.waiting();
        let here = self.has_room(&waiting, provider)?;
        waiting.all += 1;
        waiting.at.insert(provider.to_owned(), here + 1);
        Ok(())
    }

    /// How many wait for this provider, where one more may.
    fn has_room(&self, waiting: &Waiting, provider: &str) -> Result<usize, Refused> {
        let here = waiting.at.get(provider).copied().unwrap_or(0);
        if waiting.all < self.most_waiting && here < self.most_at_one { Ok(here) } else { Err(Refused) }
    }

    fn give_back(&self, provider: &str) {
        let mut waiting = self.waiting();
        waiting.all -= 1;
        if let Some(here) = waiting.at.get_mut(provider) {
            *here -= 1;
            if *here == 0 {
                waiting.at.remove(provider);
            }
        }
    }

    /// The part of all requests, of `u32::MAX`, that is refused now.
    fn share(&self, now: Instant) -> u32 {
        let standing = self.millis(now).checked_sub(self.standing_since.load(Ordering::Relaxed));
        if let Some(standing) = standing
            && self.came.fetch_add(1, Ordering::Relaxed) >= MANY
            && u128::from(standing) >= 2 * self.queue_time.as_millis()
        {
            return share_over(Duration::MAX, self.queue_time);
        }
        self.share.load(Ordering::Relaxed)
    }

    /// From now on a task stands in the queue.
    fn stands(&self, now: Instant) {
        self.came.store(0, Ordering::Relaxed);
        self.standing_since.store(self.millis(now), Ordering::Relaxed);
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
            measured.too_long_since = None;
            self.share.store(0, Ordering::Relaxed);
        }
        true
    }

    /// How long what was ready to run had to wait.
    fn measured_wait(&self, wait: Duration, now: Instant) {
        let mut measured = self.measured();
        measured.last = now;
        let began = now.checked_sub(wait).unwrap_or(now);
        let queued = self.came.load(Ordering::Relaxed) >= MANY;
        measured.too_long_since = (queued && wait > self.queue_time).then(|| measured.too_long_since.unwrap_or(began));
        let lasts = measured.too_long_since.is_some_and(|since| now.saturating_duration_since(since) >= LASTING);
        let share = if lasts { share_over(wait, self.queue_time) } else { 0 };
        self.share.store(share, Ordering::Relaxed);
        if share > 0 && measured.said.is_none_or(|said| now.saturating_duration_since(said) >= SAID) {
            measured.said = Some(now);
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(wait_ms, "overloaded: a part of the requests is told to come back");
        }
        self.standing_since.store(u64::MAX, Ordering::Relaxed);
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

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((app, provider)) = self.0.take() {
            app.gate().give_back(&provider);
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
        (0..requests).filter(|_| gate.enter(Needs::Processor, "", Instant::now()).is_err()).count()
    }

    /// The waits come one after the other, the last one now.
    fn measure(gate: &Gate, waits: &[u64]) {
        let mut now = Instant::now().checked_sub(Duration::from_millis(waits.iter().sum())).unwrap();
        for wait in waits.iter().copied().map(Duration::from_millis) {
            gate.stands(now);
            for _ in 0..MANY {
                let _ = gate.share(now);
            }
            now += wait;
            gate.measured_wait(wait, now);
        }
    }

    #[test]
    fn as_many_wait_as_may_and_of_one_provider_a_part_of_them() {
        let gate = gate();
        let enters = |needs, provider| gate.enter(needs, provider, Instant::now()).is_ok();
        gate.take("acme").unwrap();
        gate.take("acme").unwrap();
        assert!(gate.take("acme").is_err() && !enters(Needs::Waiting, "acme"), "a provider that hangs leaves room");
        assert!(enters(Needs::Waiting, "other") && enters(Needs::Waiting, "third"), "to enter takes nothing");
        gate.take("other").unwrap();
        assert!(gate.take("third").is_err() && !enters(Needs::Waiting, "third"), "but no more than there is");
        assert!(enters(Needs::Processor, "acme"), "who need not wait needs no place");
        gate.give_back("acme");
        gate.give_back("acme");
        assert!(enters(Needs::Waiting, "third"));
        assert_eq!(gate.waiting().at.keys().collect::<Vec<_>>(), ["other"], "nothing is kept of who is gone");
    }

    #[test]
    fn where_they_wait_twice_as_long_as_is_wanted_half_of_them_are_refused() {
        let gate = gate();
        measure(&gate, &[150]);
        assert_eq!(refused_of(&gate, 1000), 0, "it may have been chance");
        measure(&gate, &[10]);
        measure(&gate, &[150, 150]);
        assert!(refused_of(&gate, 900).abs_diff(300) <= 1, "it lasts");
        measure(&gate, &[200]);
        assert!(refused_of(&gate, 1000).abs_diff(500) <= 1);
        measure(&gate, &[1000]);
        assert!(refused_of(&gate, 1000).abs_diff(900) <= 1);
        measure(&gate, &[100_000]);
        assert!(refused_of(&gate, 1000) <= 951, "some are always let in");
        measure(&gate, &[100]);
        assert_eq!(refused_of(&gate, 1000), 0, "one short wait, and all is well");
    }

    #[test]
    fn what_is_late_whatever_is_done_is_refused_until_the_queue_moves() {
        let gate = gate();
        let now = Instant::now();
        gate.stands(now);
        let later = |millis| now + Duration::from_millis(millis);
        let refused = |at| (0..100).filter(|_| gate.enter(Needs::Processor, "", at).is_err()).count();
        assert_eq!(refused(later(190)), 0);
        assert!(refused(later(210)) >= 94);
        gate.measured_wait(Duration::from_millis(90), later(220));
        assert_eq!(refused(later(230)), 0);
    }

    #[test]
    fn a_machine_that_stood_still_is_not_overloaded() {
        let gate = gate();
        let now = Instant::now();
        gate.stands(now);
        let later = now + Duration::from_secs(5);
        assert!((0..MANY).all(|_| gate.enter(Needs::Processor, "", later).is_ok()));
        gate.stands(now);
        gate.measured_wait(Duration::from_secs(5), later);
        assert_eq!(refused_of(&gate, 100), 0);
    }

    #[test]
    fn it_is_measured_by_one_at_a_time_and_old_measurements_are_forgotten() {
        let gate = gate();
        let before = Instant::now();
        measure(&gate, &[200]);
        let now = Instant::now();
        assert!(!gate.wants_measure(before), "not so soon");
        assert!(gate.wants_measure(now + PULSE) && !gate.wants_measure(now + PULSE));
        measure(&gate, &[200]);
        assert!(refused_of(&gate, 10) > 0);
        assert!(gate.wants_measure(Instant::now() + FORGOTTEN));
        assert_eq!(refused_of(&gate, 10), 0);
    }
}
