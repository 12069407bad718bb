//! Input of a secret: a prompt without echo, a file, or standard input. Never an argument.

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;

use zeroize::Zeroizing;

use super::failure::Failure;
use crate::secret::{self, Secret};

/// Maximum size of a secret from a file or standard input, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// Capacity of a line buffer: a buffer that grows would leave a copy of the secret in memory.
const LINE: usize = 4 * 1024;

/// Advice if there is no terminal to ask on.
pub(super) const FROM_FILE: &str = "give the secret with --from-file FILE, or --from-file - for standard input";

/// Asks on the terminal, without echo.
pub(super) fn ask(question: &str, otherwise: &str) -> Result<Secret, Failure> {
    rpassword::prompt_password(format!("{question}: ")).map(|text| trimmed(&text)).map_err(|error| {
        Failure::configuration(format!("there is no terminal to ask for a secret ({error})")).advise(otherwise)
    })
}

/// Reads the named file (`-` for standard input), else asks on the terminal.
pub(super) fn given_or_asked(file: Option<&Path>, question: &str) -> Result<Secret, Failure> {
    match file {
        Some(path) => from_file(path),
        None => ask(question, "give a file: --key-file FILE for a key, --passphrase-file FILE for a passphrase"),
    }
}

/// Asks twice for a new secret.
pub(super) fn ask_twice(question: &str, otherwise: &str) -> Result<Secret, Failure> {
    let first = ask(question, otherwise)?;
    if !first.equals(ask(&format!("{question} (repeat)"), otherwise)?.expose()) {
        return Err(Failure::new("the two entries differ").advise("nothing was changed; run the command again"));
    }
    Ok(first)
}

/// Reads the first line of standard input, without its line end.
pub(super) fn first_line() -> Result<Secret, Failure> {
    let mut line = Zeroizing::new(String::with_capacity(LINE));
    io::stdin().lock().read_line(&mut line).map_err(|error| unreadable(Path::new("-"), error))?;
    Ok(trimmed(&line))
}

/// Reads a file, or standard input for `-`, without line ends around it.
pub(super) fn from_file(path: &Path) -> Result<Secret, Failure> {
    if path == Path::new("-") && io::stdin().is_terminal() {
        super::output::note("Reading the secret from the terminal, where it is visible. End with Ctrl-D.");
    }
    let bytes = bytes_of(path, LIMIT)?;
    if bytes.len() as u64 > LIMIT {
        return Err(unreadable(path, "it is larger than 1 MiB"));
    }
    let text = secret::decode(&bytes).ok_or_else(|| unreadable(path, "it is not UTF-8 text"))?;
    Ok(trimmed(&text))
}

/// Drops line ends and a byte order mark around a secret. A blank one is empty.
fn trimmed(text: &str) -> Secret {
    Secret::trimmed(text).unwrap_or_else(|| Secret::new(""))
}

/// Reads a file, or standard input for `-`: up to `limit` bytes and one more, so that the caller
/// can detect an oversized one.
pub(super) fn bytes_of(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let read = if path == Path::new("-") {
        secret::read(io::stdin().lock(), limit)
    } else {
        std::fs::File::open(path).and_then(|file| secret::read(file, limit))
    };
    read.map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, reason: impl std::fmt::Display) -> Failure {
    let name = if path == Path::new("-") { "standard input".into() } else { path.to_string_lossy() };
    Failure::new(format!("cannot read {name}: {reason}"))
}
