//! The log on stderr: readable lines on a terminal, JSON lines elsewhere.
//!
//! Each call chooses the fields of its line. Nothing here sees a query, a body or a header of a
//! request.
//!
//! A thread writes the lines. If stderr is not read, lines are dropped and counted, so that
//! logging never blocks a request. Facts that must not be lost are in the audit log.

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{FilterFn, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// Filter that holds if `RUST_LOG` is not set.
pub const DEFAULT_FILTER: &str = "info";

/// Lines that may wait for the writing thread. More are dropped.
const MAX_WAITING_LINES: usize = 8192;

/// Pause of the writing thread between two batches of lines. Without it, each line would wake the
/// thread, which costs as much as a small request.
const BATCH_PAUSE: Duration = Duration::from_millis(10);

/// Size of a batch. With smaller ones a busy server would spend a hundredth of its time on writes.
const BATCH_BYTES: usize = 64 * 1024;

/// Time between two checks for lost lines.
const LOSS_CHECK: Duration = Duration::from_secs(10);

/// The started log. When it is dropped, waiting lines are written.
pub struct Log {
    _writer: WorkerGuard,
}

/// Starts the log on stderr. `filter` is the text of `RUST_LOG`; invalid directives in it are
/// ignored.
///
/// Libraries that would log bytes of requests stay at `info` whatever the filter says. A panic
/// becomes one line with its place and without its message, which might hold anything. An error
/// means that a log was started before.
pub fn init(filter: Option<&str>) -> Result<Log, TryInitError> {
    let registry = tracing_subscriber::registry()
        .with(read_filter(filter.unwrap_or(DEFAULT_FILTER)))
        .with(FilterFn::new(may_be_logged));
    let (lines, writer) = non_blocking(io::stderr());
    let lost = lines.error_counter();
    if io::stderr().is_terminal() {
        registry.with(fmt::layer().with_writer(lines)).try_init()?;
    } else {
        let json = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
        // JSON lines name their request themselves; spans are shown on a terminal only.
        registry.with(FilterFn::new(|metadata| !metadata.is_span())).with(json.with_writer(lines)).try_init()?;
    }
    report_lost_lines(lost);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(tracing::field::display);
        tracing::error!(place, "a bug: the program panicked; please report the place");
    }));
    Ok(Log { _writer: writer })
}

fn non_blocking(to: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(MAX_WAITING_LINES)
        .thread_name("log")
        .finish(Batches(BufWriter::with_capacity(BATCH_BYTES, to)))
}

/// Logs the number of lost lines whenever it has grown.
fn report_lost_lines(lost: ErrorCounter) {
    let report = move || {
        let mut reported = 0;
        loop {
            std::thread::sleep(LOSS_CHECK);
            let total = lost.dropped_lines();
            if total > reported {
                reported = total;
                tracing::warn!(total, "log lines were lost, because stderr is read too slowly");
            }
        }
    };
    // Without this thread the log still works.
    std::thread::Builder::new().name("log-loss".to_owned()).spawn(report).ok();
}

/// Writes lines in batches: the writing thread flushes when no line waits.
struct Batches<W: Write>(BufWriter<W>);

impl<W: Write> Write for Batches<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        std::thread::sleep(BATCH_PAUSE);
        Ok(())
    }
}

/// Parses directives separated by commas: each is a level, or a target, `=` and a level.
fn read_filter(text: &str) -> Targets {
    let directives = text.split(',').filter_map(|directive| directive.trim().parse::<Targets>().ok());
    directives.fold(Targets::new().with_default(Level::ERROR), |all, one| {
        let all = match one.default_level() {
            Some(level) => all.with_default(level),
            None => all,
        };
        all.with_targets(one)
    })
}

/// Libraries that log headers, paths or bytes of requests below `info`.
const NOISY: [&str; 6] = ["hyper", "hyper_util", "warp", "reqwest", "rustls", "h2"];

fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::INFO || !NOISY.contains(&library)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A stderr without a reader until the other end of the channel is dropped.
    struct Blocked(mpsc::Receiver<()>);

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().ok();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Sends what is written to a channel.
    struct Sent(mpsc::Sender<String>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8_lossy(bytes).into_owned()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_filter_shows_bytes_of_requests() {
        let asked = read_filter("trace,hyper::proto=trace");
        let registry = tracing_subscriber::registry().with(asked).with(FilterFn::new(may_be_logged));
        let seen = tracing::subscriber::with_default(registry, || {
            [
                tracing::enabled!(target: "hyper::proto::h1", Level::TRACE),
                tracing::enabled!(target: "hyper::proto::h1", Level::WARN),
                tracing::enabled!(target: "warp::filters::path", Level::TRACE),
                tracing::enabled!(target: "warp::service", Level::DEBUG),
                tracing::enabled!(target: "strongroom::http", Level::TRACE),
            ]
        });
        assert_eq!(seen, [false, true, false, false, true]);
    }

    #[test]
    fn invalid_directives_are_ignored() {
        let enabled = |filter: &str, target: &str, level| read_filter(filter).would_enable(target, &level);
        for (filter, target, level, expected) in [
            (DEFAULT_FILTER, "strongroom::http", Level::INFO, true),
            (DEFAULT_FILTER, "strongroom::http", Level::DEBUG, false),
            ("strongroom=debug", "strongroom::http", Level::DEBUG, true),
            ("strongroom=debug", "reqwest", Level::WARN, false),
            ("strongroom=debug", "reqwest", Level::ERROR, true),
            ("warn,strongroom::vault=trace", "strongroom::vault::open", Level::TRACE, true),
            ("warn,strongroom::vault=trace", "strongroom::http", Level::WARN, true),
            ("=x=,info, strongroom=debug", "strongroom", Level::DEBUG, true),
            ("=x=,info", "reqwest", Level::INFO, true),
            ("off", "strongroom", Level::ERROR, false),
            ("", "strongroom", Level::ERROR, true),
            ("", "strongroom", Level::WARN, false),
        ] {
            assert_eq!(enabled(filter, target, level), expected, "{filter}: {target} {level}");
        }
    }

    #[test]
    fn stderr_without_a_reader_blocks_no_caller() {
        let (blocked, release) = mpsc::channel::<()>();
        let (mut lines, writer) = non_blocking(Blocked(release));
        for _ in 0..3 * MAX_WAITING_LINES {
            lines.write_all(b"a line of a log\n").unwrap();
        }
        assert!(lines.error_counter().dropped_lines() >= MAX_WAITING_LINES);
        drop(blocked);
        drop(writer);
    }

    #[test]
    fn waiting_lines_are_written_when_the_log_ends() {
        let (written, lines_written) = mpsc::channel();
        let (mut lines, writer) = non_blocking(Sent(written));
        for number in 0..100 {
            writeln!(lines, "{number}").unwrap();
        }
        drop(writer);
        let all: String = lines_written.try_iter().collect();
        assert_eq!(all.lines().map(|line| line.parse().unwrap()).collect::<Vec<u32>>(), (0..100).collect::<Vec<_>>());
    }
}
