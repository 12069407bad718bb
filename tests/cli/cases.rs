//! The cases in `cmd/`: commands, and everything that they print. `TRYCMD=overwrite` writes the output of today into them.

use std::path::Path;

use clap::CommandFactory as _;
use strongroom::cli::Cli;
use trycmd::TestCases;
use trycmd::schema::Bin;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli"))
}

#[test]
fn commands_print_what_the_cases_show() {
    TestCases::new()
        .register_bin("strongroom", Bin::Path(folder().join("strongroom.sh")))
        .register_bin("new-vault", Bin::Path(folder().join("new-vault.sh")))
        .register_bin("damage", Bin::Path(folder().join("damage.sh")))
        .env("PROGRAM", env!("CARGO_BIN_EXE_strongroom"))
        .case(folder().join("cmd/*.trycmd"))
        .case(folder().join("cmd/help/*.trycmd"));
}

#[test]
fn every_command_has_its_help_among_the_cases() {
    fn check(command: &clap::Command, path: &str, shown: &str) {
        let line = format!("\n$ strongroom {path}--help\n");
        assert!(shown.contains(&line), "tests/cli/cmd/help shows no {line}");
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            check(inner, &format!("{path}{} ", inner.get_name()), shown);
        }
    }

    let files = std::fs::read_dir(folder().join("cmd/help")).unwrap();
    let shown: String = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    check(&Cli::command(), "", &shown);
}
