//! Results of `doctor`.

use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::output::Output;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// Works as it should.
    Ok,
    /// Works, but should be changed.
    Advice,
    /// Keeps Strongroom from working.
    Fault,
}

#[derive(Serialize)]
pub(super) struct DoctorFinding {
    pub(super) level: Level,
    what: String,
    fix: Option<String>,
}

/// Results in the order of the checks.
#[derive(Default)]
pub(in crate::cli) struct Findings(pub(super) Vec<DoctorFinding>);

impl Findings {
    /// Adds a result: works as it should.
    pub(in crate::cli) fn ok(&mut self, what: impl Into<String>) {
        self.0.push(DoctorFinding { level: Level::Ok, what: what.into(), fix: None });
    }

    /// Adds a result: works, but should be changed.
    pub(in crate::cli) fn advice(&mut self, what: impl Into<String>, fix: impl Into<String>) {
        self.0.push(DoctorFinding { level: Level::Advice, what: what.into(), fix: Some(fix.into()) });
    }

    /// Adds a result: keeps Strongroom from working.
    pub(in crate::cli) fn fault(&mut self, failure: &Failure) {
        let (what, fix) = failure.parts();
        self.0.push(DoctorFinding { level: Level::Fault, what: what.to_owned(), fix: fix.map(str::to_owned) });
    }
}

pub(super) fn show(finding: &DoctorFinding, out: &mut Output) -> Result<(), Failure> {
    let word = match finding.level {
        Level::Ok => "ok    ",
        Level::Advice => "advice",
        Level::Fault => "FAULT ",
    };
    out.line(format!("{word}  {}", finding.what))?;
    match &finding.fix {
        Some(fix) => out.line(format!("        {}", fix.replace('\n', "\n        "))),
        None => Ok(()),
    }
}
