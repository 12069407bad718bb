//! Faults and warnings of the settings, each with the place where it was written.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// The place where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// In a file, on this line; lines count from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// In this environment variable.
    Variable(String),
    /// On the command line, by this option.
    Option(&'static str),
    /// In `strongroom dev` itself.
    Dev,
    /// Nowhere: the default is in force.
    Default,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Option(name) => write!(f, "option {name}"),
            Self::Dev => f.write_str("strongroom dev"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A fault or a warning, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The place where it was written.
    pub location: Location,
    /// The key, for example `server.listen`; empty if the file as a whole is meant.
    pub key: String,
    /// The problem, and what to write instead. Never the value of a secret.
    pub message: String,
}

impl Finding {
    /// A finding.
    pub fn new(location: Location, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { location, key: key.into(), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = on_one_line(&self.message);
        if self.key.is_empty() {
            write!(f, "{}: {message}", self.location)
        } else {
            write!(f, "{}: {}: {message}", self.location, on_one_line(&self.key))
        }
    }
}

/// Escapes control characters, so that a text from a file takes one line of a terminal and cannot
/// move its cursor.
pub(crate) fn on_one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect::<String>().into()
}

/// Every fault of the settings, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Finding>);

impl fmt::Display for ConfigErrors {
    /// One line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}
