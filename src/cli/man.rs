//! `strongroom man`: manual pages, from the same definitions as the help.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man as Page;

use super::failure::Failure;
use super::output::Output;

/// Print the manual page
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write one page for each command into this folder instead
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self, command: Command, out: &mut Output) -> Result<(), Failure> {
        if let Some(folder) = self.dir {
            return clap_mangen::generate_to(command, &folder)
                .map_err(|error| Failure::new(format!("{}: {error}", folder.display())));
        }
        let mut page = Vec::new();
        Page::new(command).render(&mut page).map_err(|error| Failure::of_output(&error))?;
        out.raw(page)
    }
}
