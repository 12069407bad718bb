//! One event as one line of JSON: the time, the level, the event's fields in their order, and where in the program it was.
//!
//! It is written straight into the line. The library's own form, of the same members, goes through a serializer and two
//! buffers, and took half of the work for a small request.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The form of a log that programs read.
pub(crate) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        to.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut to)?;
        to.write_str("\",\"level\":\"")?;
        to.write_str(event.metadata().level().as_str())?;
        to.write_str("\"")?;
        let mut members = Members { to: to.by_ref(), written: Ok(()) };
        event.record(&mut members);
        members.member("target", |to| string(to, event.metadata().target()));
        members.written?;
        to.write_str("}\n")
    }
}

/// The fields of an event, each written as it is shown.
struct Members<'w> {
    to: Writer<'w>,
    written: fmt::Result,
}

impl Members<'_> {
    fn member(&mut self, name: &str, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.written.is_ok() {
            self.written = self.write(name, value);
        }
    }

    fn write(&mut self, name: &str, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) -> fmt::Result {
        self.to.write_char(',')?;
        string(&mut self.to, name)?;
        self.to.write_char(':')?;
        value(&mut self.to)
    }
}

impl Visit for Members<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.member(field.name(), |to| {
            to.write_char('"')?;
            write!(Escaped(to), "{value:?}")?;
            to.write_char('"')
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field.name(), |to| string(to, value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field.name(), |to| write!(to, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field.name(), |to| write!(to, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field.name(), |to| write!(to, "{value}"));
    }
}

fn string(to: &mut Writer<'_>, text: &str) -> fmt::Result {
    to.write_char('"')?;
    Escaped(to).write_str(text)?;
    to.write_char('"')
}

/// The inside of a JSON string (RFC 8259 §7).
struct Escaped<'e, 'w>(&'e mut Writer<'w>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut written = 0;
        for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| *byte < b' ' || matches!(byte, b'"' | b'\\')) {
            self.0.write_str(&text[written..at])?;
            match byte {
                b'"' | b'\\' => write!(self.0, "\\{}", char::from(byte))?,
                _ => write!(self.0, "\\u{byte:04x}")?,
            }
            written = at + 1;
        }
        self.0.write_str(&text[written..])
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_one_object_whatever_is_in_it() {
        let written = Written::default();
        let shared = written.clone();
        let layer = tracing_subscriber::fmt::layer().event_format(Json).with_writer(move || shared.clone());
        let hostile = "a\"b\\c\nd\u{1}e\u{7f}é😀";
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(text = hostile, shown = %hostile, count = 7_u64, less = -1, ok = true, none = None::<u64>, "said {}", 1);
            tracing::warn!("\"");
        });
        let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{written}");
        let mut first = lines[0].clone();
        assert!(first["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{first}");
        first["timestamp"] = json!(0);
        let expected = json!({"timestamp": 0, "level": "INFO", "message": "said 1", "text": hostile, "shown": hostile,
            "count": 7, "less": -1, "ok": true, "target": module_path!()});
        assert_eq!(first, expected);
        assert_eq!((&lines[1]["level"], &lines[1]["message"]), (&json!("WARN"), &json!("\"")));
    }
}
