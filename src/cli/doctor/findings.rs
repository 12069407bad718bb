//! The list of results that `doctor` shows.

use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::output::Output;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// It works, and had better be otherwise.
    Advice,
    /// It keeps Strongroom from working.
    Fault,
}

#[derive(Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    what: String,
    mend: Option<String>,
}

/// What was found, one by one.
#[derive(Default)]
pub(in crate::cli) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    /// This is as it should be.
    pub(in crate::cli) fn ok(&mut self, what: impl Into<String>) {
        self.0.push(Finding { level: Level::Ok, what: what.into(), mend: None });
    }

    /// This works, and had better be otherwise.
    pub(in crate::cli) fn advice(&mut self, what: impl Into<String>, mend: impl Into<String>) {
        self.0.push(Finding { level: Level::Advice, what: what.into(), mend: Some(mend.into()) });
    }

    /// This keeps Strongroom from working.
    pub(in crate::cli) fn fault(&mut self, failure: &Failure) {
        let (what, mend) = failure.parts();
        self.0.push(Finding { level: Level::Fault, what: what.to_owned(), mend: mend.map(str::to_owned) });
    }
}

pub(super) fn show(finding: &Finding, out: &mut Output) -> Result<(), Failure> {
    let word = match finding.level {
        Level::Ok => "ok    ",
        Level::Advice => "advice",
        Level::Fault => "FAULT ",
    };
    out.line(format!("{word}  {}", finding.what))?;
    match &finding.mend {
        Some(mend) => out.line(format!("        {}", mend.replace('\n', "\n        "))),
        None => Ok(()),
    }
}
