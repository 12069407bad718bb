//! Log lines on their way out: gathered for some milliseconds and written together, for to write each by itself costs as much
//! as the request that it is about.
//!
//! What is urgent (warnings and errors) is written at once, with everything before it; so is what waits when the log ends.
//! Where the reader of the log is slow the lines are held, up to a bound, and then whoever logs waits: none is dropped. The
//! end of the process by a signal that cannot be caught loses at most those few milliseconds; what has to be known for
//! certain is in the audit log, and not here.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line may wait for others.
const GATHER: Duration = Duration::from_millis(10);

/// Bytes that may wait; whoever brings more writes them himself.
const MOST: usize = 256 * 1024;

/// The lines of one log. Clones share them.
pub(crate) struct Lines<W>(Arc<Desk<W>>);

struct Desk<W> {
    gathered: Mutex<Vec<u8>>,
    some: Condvar,
    out: Mutex<Out<W>>,
}

struct Out<W> {
    to: W,
    /// An empty buffer, to be exchanged for the full one.
    spare: Vec<u8>,
}

impl<W> Clone for Lines<W> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<W: Write + Send + 'static> Lines<W> {
    /// Begins to write to `to`, from a thread of its own.
    pub(crate) fn new(to: W) -> io::Result<Self> {
        let out = Mutex::new(Out { to, spare: Vec::new() });
        let this = Self(Arc::new(Desk { gathered: Mutex::default(), some: Condvar::new(), out }));
        let writer = this.clone();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.write_on())?;
        Ok(this)
    }

    fn write_on(&self) {
        loop {
            let nothing = self.gathered();
            drop(
                self.0.some.wait_while(nothing, |gathered| gathered.is_empty()).unwrap_or_else(PoisonError::into_inner),
            );
            std::thread::sleep(GATHER);
            self.flush();
        }
    }

    fn take(&self, line: &[u8], urgent: bool) {
        let mut gathered = self.gathered();
        let first = gathered.is_empty();
        gathered.extend_from_slice(line);
        let full = gathered.len() > MOST;
        drop(gathered);
        if urgent || full {
            self.flush();
        } else if first {
            self.0.some.notify_one();
        }
    }

    /// Writes everything that waits. Lines never change their order: who writes holds `out` from before it takes them.
    pub(crate) fn flush(&self) {
        let mut out = self.0.out.lock().unwrap_or_else(PoisonError::into_inner);
        let Out { to, spare } = &mut *out;
        std::mem::swap(&mut *self.gathered(), spare);
        // A log that nobody takes cannot be told of in the log.
        let _ = to.write_all(spare).and_then(|()| to.flush());
        spare.clear();
    }

    fn gathered(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the lines of one event.
pub(crate) struct Line<'l, W> {
    lines: &'l Lines<W>,
    urgent: bool,
}

impl<W: Write + Send + 'static> Write for Line<'_, W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.take(line, self.urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'l, W: Write + Send + 'static> MakeWriter<'l> for Lines<W> {
    type Writer = Line<'l, W>;

    fn make_writer(&'l self) -> Self::Writer {
        Line { lines: self, urgent: true }
    }

    fn make_writer_for(&'l self, metadata: &Metadata<'_>) -> Self::Writer {
        Line { lines: self, urgent: *metadata.level() <= Level::WARN }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Passes each write on.
    struct Told(mpsc::Sender<String>);

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8_lossy(bytes).into_owned()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines() -> (Lines<Told>, mpsc::Receiver<String>) {
        let (tell, told) = mpsc::channel();
        (Lines::new(Told(tell)).unwrap(), told)
    }

    #[test]
    fn a_line_comes_out_by_itself() {
        let (lines, told) = lines();
        lines.take(b"a\n", false);
        assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), "a\n");
        lines.take(b"b\n", false);
        assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), "b\n", "and so does the next");
    }

    #[test]
    fn an_urgent_line_is_out_when_it_is_taken_behind_those_before_it() {
        let (lines, told) = lines();
        lines.take(b"a\n", false);
        lines.take(b"urgent\n", true);
        assert_eq!(told.try_iter().collect::<String>(), "a\nurgent\n");
    }

    #[test]
    fn no_line_is_dropped_however_many_there_are() {
        let (lines, told) = lines();
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let lines = lines.clone();
                std::thread::spawn(move || {
                    for number in 0..10_000 {
                        lines.take(format!("{writer} {number} {}\n", "x".repeat(50)).as_bytes(), false);
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        lines.flush();
        let all: String = told.try_iter().collect();
        for writer in 0..4 {
            let own = all.lines().filter_map(|line| line.strip_prefix(&format!("{writer} ")));
            let numbers: Vec<u32> = own.map(|rest| rest.split(' ').next().unwrap().parse().unwrap()).collect();
            assert_eq!(numbers, (0..10_000).collect::<Vec<_>>(), "each once, and in order");
        }
    }
}
