//! Output of a command: lines, columns or JSON on a locked standard output. A closed pipe (`… |
//! head`) ends the command quietly.
//!
//! Texts of providers and callers must not control the terminal, nor change how it shows the text
//! around them. So lines and cells lose such characters, and JSON has them escaped. Files keep every
//! text as it is.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use serde::Serialize;

use super::failure::Failure;
use crate::visible::{escaped_json, plain, printable};

/// Standard output.
pub(super) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    /// Locks standard output until this is dropped.
    pub(super) fn locked() -> Self {
        Self(BufWriter::new(io::stdout().lock()))
    }

    /// Writes one line, or several, without characters that control the terminal.
    pub(super) fn line(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        self.raw(printable(text.as_ref()))?;
        self.raw("\n")
    }

    /// Writes text or bytes unchanged.
    pub(super) fn raw(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
        self.0.write_all(bytes.as_ref()).map_err(|error| Failure::of_output(&error))
    }

    /// Returns the buffered stream.
    pub(super) fn writer(&mut self) -> &mut impl Write {
        &mut self.0
    }

    /// Writes JSON, indented on a terminal.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        if io::stdout().is_terminal() {
            self.write_json(serde_json::to_string_pretty(value))
        } else {
            self.json_line(value)
        }
    }

    /// Writes JSON on one line.
    pub(super) fn json_line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        self.write_json(serde_json::to_string(value))
    }

    fn write_json(&mut self, json: serde_json::Result<String>) -> Result<(), Failure> {
        let json = json.expect("every key is a text, and no value refuses to be written");
        self.raw(format!("{}\n", escaped_json(&json)))
    }

    /// Writes items as JSON, or in columns under a header.
    pub(super) fn list<T: Serialize, const N: usize>(
        &mut self,
        json: bool,
        items: &[T],
        header: [&str; N],
        cells: impl Fn(&T) -> [String; N],
    ) -> Result<(), Failure> {
        if json { self.json(&items) } else { self.table(items, header, cells) }
    }

    /// Writes items in columns under a header.
    pub(super) fn table<T, const N: usize>(
        &mut self,
        items: &[T],
        header: [&str; N],
        cells: impl Fn(&T) -> [String; N],
    ) -> Result<(), Failure> {
        let rows: Vec<[String; N]> = items.iter().map(|item| cells(item).map(|cell| plain(&cell))).collect();
        let mut widths = header.map(|name| name.chars().count());
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        self.row(header, &widths)?;
        rows.iter().try_for_each(|row| self.row(row.each_ref().map(String::as_str), &widths))
    }

    fn row<const N: usize>(&mut self, cells: [&str; N], widths: &[usize; N]) -> Result<(), Failure> {
        let line: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        self.line(line.join("  ").trim_end())
    }

    /// Flushes the buffer.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.0.flush().map_err(|error| Failure::of_output(&error))
    }
}

/// Writes one line, or several, to standard error.
pub(super) fn note(text: impl AsRef<str>) {
    // There is no other place to report that standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{}", printable(text.as_ref()));
}
