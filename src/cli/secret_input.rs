//! How a command is given a secret: a prompt without echo, a file, or the standard input. Never an argument.

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;

use zeroize::Zeroizing;

use super::failure::Failure;
use crate::secret::{self, Secret};

/// As much as is read of a file or the standard input, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// Room for a line that holds a secret: one that has to move leaves a copy behind.
pub(super) const LINE: usize = 4 * 1024;

/// Asks on the terminal, without echo.
pub(super) fn ask(question: &str) -> Result<Secret, Failure> {
    match rpassword::prompt_password(format!("{question}: ")) {
        Ok(text) => Ok(Secret::new(text)),
        Err(error) => Err(Failure::configuration(format!("there is no terminal to ask on ({error})"))
            .advise("give the secret with --from-file FILE, or --from-file - for the standard input")),
    }
}

/// From the file that was named, `-` for the standard input; asked for where none was.
pub(super) fn given_or_asked(file: Option<&Path>, question: &str) -> Result<Secret, Failure> {
    match file {
        Some(path) => from_file(path),
        None => rpassword::prompt_password(format!("{question}: ")).map(Secret::new).map_err(|error| {
            Failure::configuration(format!("there is no terminal to ask on ({error})"))
                .advise("give it in a file: --key-file FILE for a key, --passphrase-file FILE for a passphrase")
        }),
    }
}

/// Asks twice, for a secret that is new.
pub(super) fn ask_twice(question: &str) -> Result<Secret, Failure> {
    let first = ask(question)?;
    if !first.equals(ask(&format!("{question}, once more"))?.expose()) {
        return Err(Failure::new("the two are not the same").advise("nothing was changed; try again"));
    }
    Ok(first)
}

/// The first line of the standard input, without its end.
pub(super) fn first_line() -> Result<Secret, Failure> {
    let mut line = Zeroizing::new(String::with_capacity(LINE));
    io::stdin().lock().read_line(&mut line).map_err(|error| unreadable("-", &error))?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n'])))
}

/// A file, or the (rest of the) standard input for `-`; the line end after it is dropped.
pub(super) fn from_file(path: &Path) -> Result<Secret, Failure> {
    let read = if path == Path::new("-") {
        if io::stdin().is_terminal() {
            super::output::note("Reading the secret from the terminal, where it is seen; end with Ctrl-D.");
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
    let name = if name == "-" { "the standard input" } else { name };
    Failure::new(format!("{name} cannot be read: {error}"))
}
