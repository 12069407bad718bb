//! Input of a secret: a prompt without echo, a file, or standard input. Never an argument.

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;

use zeroize::Zeroizing;

use super::failure::Failure;
use crate::secret::{self, Secret};

/// Maximum size of a secret from a file or standard input, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// Capacity of a line buffer: a buffer that grows would leave a copy of the secret in memory.
pub(super) const LINE: usize = 4 * 1024;

/// Asks on the terminal, without echo.
pub(super) fn ask(question: &str) -> Result<Secret, Failure> {
    match rpassword::prompt_password(format!("{question}: ")) {
        Ok(text) => Ok(Secret::new(text)),
        Err(error) => Err(Failure::configuration(format!("there is no terminal to ask for a secret ({error})"))
            .advise("give the secret with --from-file FILE, or --from-file - for standard input")),
    }
}

/// Reads the named file (`-` for standard input), else asks on the terminal.
pub(super) fn given_or_asked(file: Option<&Path>, question: &str) -> Result<Secret, Failure> {
    match file {
        Some(path) => from_file(path),
        None => rpassword::prompt_password(format!("{question}: ")).map(Secret::new).map_err(|error| {
            Failure::configuration(format!("there is no terminal to ask for a secret ({error})"))
                .advise("give a file: --key-file FILE for a key, --passphrase-file FILE for a passphrase")
        }),
    }
}

/// Asks twice for a new secret.
pub(super) fn ask_twice(question: &str) -> Result<Secret, Failure> {
    let first = ask(question)?;
    if !first.equals(ask(&format!("{question} (repeat)"))?.expose()) {
        return Err(Failure::new("the two entries differ").advise("nothing was changed; run the command again"));
    }
    Ok(first)
}

/// Reads the first line of standard input, without its line end.
pub(super) fn first_line() -> Result<Secret, Failure> {
    let mut line = Zeroizing::new(String::with_capacity(LINE));
    io::stdin().lock().read_line(&mut line).map_err(|error| unreadable("-", &error))?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n'])))
}

/// Reads a file, or standard input for `-`, without its last line end.
pub(super) fn from_file(path: &Path) -> Result<Secret, Failure> {
    let read = if path == Path::new("-") {
        if io::stdin().is_terminal() {
            super::output::note("Reading the secret from the terminal, where it is visible. End with Ctrl-D.");
        }
        secret::read(io::stdin().lock(), LIMIT)
    } else {
        std::fs::File::open(path).and_then(|file| secret::read(file, LIMIT))
    };
    let name = path.display().to_string();
    let bytes = read.map_err(|error| unreadable(&name, &error))?;
    if bytes.len() as u64 > LIMIT {
        return Err(unreadable(&name, &io::Error::other("it is larger than 1 MiB")));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| unreadable(&name, &io::Error::other("it is not UTF-8 text")))?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    let name = if name == "-" { "standard input" } else { name };
    Failure::new(format!("cannot read {name}: {error}"))
}
