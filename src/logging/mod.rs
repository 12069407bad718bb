//! The log: for people on a terminal, JSON lines elsewhere. What is in a line is chosen field by field where it is
//! written; nothing here ever sees a query, a body or a header.

mod log_json;
mod log_lines;

use std::io::{IsTerminal as _, Stderr};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterFn, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use self::log_json::Json;
use self::log_lines::Lines;

/// What is logged where `RUST_LOG` says nothing.
pub const DEFAULT_FILTER: &str = "info";

/// The log that was begun. Dropped, what it still holds is written.
pub struct Log(Lines<Stderr>);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// One was begun before.
    #[error(transparent)]
    Begun(#[from] TryInitError),
    /// There is no thread for it.
    #[error("the log cannot start: {0}")]
    Thread(#[from] std::io::Error),
}

/// Begins to log to stderr: pretty where that is a terminal, JSON otherwise. `filter` is the text of `RUST_LOG`; a
/// directive in it that makes no sense is left out. Whatever it asks for, libraries that would write a request's bytes
/// stay at `info`. A panic becomes one line with its place and without its message, which might hold anything.
pub fn init(filter: Option<&str>) -> Result<Log, LogError> {
    let registry = tracing_subscriber::registry()
        .with(read_filter(filter.unwrap_or(DEFAULT_FILTER)))
        .with(FilterFn::new(may_be_logged));
    let lines = Lines::new(std::io::stderr())?;
    if std::io::stderr().is_terminal() {
        registry.with(tracing_subscriber::fmt::layer().with_writer(lines.clone())).try_init()?;
    } else {
        registry
            // What a line is about is in the line itself: that it happened within something else is shown on a terminal alone.
            .with(FilterFn::new(|metadata| !metadata.is_span()))
            .with(tracing_subscriber::fmt::layer().event_format(Json).with_writer(lines.clone()))
            .try_init()?;
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(tracing::field::display);
        tracing::error!(place, "a bug: the program panicked; please report the place");
    }));
    Ok(Log(lines))
}

/// Directives with commas between them, each a level, or a target and `=` and a level.
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

/// Libraries that log headers, paths or bytes below `info`.
const NOISY: [&str; 6] = ["hyper", "hyper_util", "warp", "reqwest", "rustls", "h2"];

fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::INFO || !NOISY.contains(&library)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_filter_makes_a_library_show_what_it_carries() {
        let asked = read_filter("trace,hyper::proto=trace");
        let registry = tracing_subscriber::registry().with(asked).with(FilterFn::new(may_be_logged));
        let seen = tracing::subscriber::with_default(registry, || {
            [
                tracing::enabled!(target: "hyper::proto::h1", Level::TRACE),
                tracing::enabled!(target: "hyper::proto::h1", Level::WARN),
                tracing::enabled!(target: "strongroom::http", Level::TRACE),
            ]
        });
        assert_eq!(seen, [false, true, true]);
    }

    #[test]
    fn each_directive_counts_by_itself_and_what_makes_no_sense_is_left_out() {
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
}
