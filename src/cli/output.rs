//! What a command prints: lines, aligned columns or JSON on a locked standard output. A reader that goes away
//! (`… | head`) ends the command quietly.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use serde::Serialize;

use super::failure::Failure;

/// The standard output.
pub(super) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    /// Locks the standard output until this is dropped.
    pub(super) fn locked() -> Self {
        Self(BufWriter::new(io::stdout().lock()))
    }

    /// One line.
    pub(super) fn line(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        writeln!(self.0, "{}", text.as_ref()).map_err(|error| Failure::of_output(&error))
    }

    /// Text or bytes as they are.
    pub(super) fn raw(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
        self.0.write_all(bytes.as_ref()).map_err(|error| Failure::of_output(&error))
    }

    /// The stream itself.
    pub(super) fn writer(&mut self) -> &mut impl Write {
        &mut self.0
    }

    /// A value as JSON, indented where a person reads it.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        if io::stdout().is_terminal() {
            self.line(
                serde_json::to_string_pretty(value).expect("every key is a text, and no value refuses to be written"),
            )
        } else {
            self.json_line(value)
        }
    }

    /// A value as JSON on one line, for programs.
    pub(super) fn json_line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(serde_json::to_string(value).expect("every key is a text, and no value refuses to be written"))
    }

    /// Rows under a header, in columns. What could steer a terminal is taken out of the cells.
    pub(super) fn columns<const N: usize>(&mut self, header: [&str; N], rows: &[[String; N]]) -> Result<(), Failure> {
        let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| plain(cell))).collect();
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

    /// Hands over what is still in the buffer.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.0.flush().map_err(|error| Failure::of_output(&error))
    }
}

/// The text without control characters: a title that a provider gave must not move somebody's cursor.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// One line on the standard error, beside what a script reads.
pub(super) fn note(text: impl AsRef<str>) {
    // Nothing depends on it, and there is no other place to complain to.
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}
