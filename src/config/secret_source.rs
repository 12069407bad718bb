//! Sources of secrets: inline text, a file, a variable, a systemd credential, a command.

use std::collections::BTreeSet;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::environment::Environment;
use super::table::Takes;
use crate::secret::{self, Secret};
use crate::validation;

/// The time limit of a command.
const COMMAND_TIME: Duration = Duration::from_secs(10);
/// The output limit of a command, in bytes.
const COMMAND_OUTPUT: u64 = 4 * 1024;
/// The size limit of a file, in bytes: enough for a PEM key. It also bounds a device file.
const FILE_SIZE: u64 = 64 * 1024;

/// The source of a secret.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// Written into the configuration itself.
    Inline(Secret),
    /// A file, as an absolute path.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A systemd credential: a file in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// The standard output of a program; no shell is involved.
    Command(Vec<String>),
}

/// The source of what opens the vault.
#[derive(Clone, Debug)]
pub enum Unlock {
    /// The master key's text, as `strongroom init` writes it.
    MasterKey(SecretSource),
    /// A passphrase.
    Passphrase(SecretSource),
    /// A passphrase that a person types at start.
    Prompt,
    /// A passphrase, the first line of the standard input.
    Stdin,
}

impl fmt::Display for SecretSource {
    /// Names the source; never the secret, nor a command's arguments, which may hold one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("the configuration"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::Credential(name) => write!(f, "the systemd credential {name}"),
            Self::Command(argv) => write!(f, "the command {}", argv.first().map_or("", String::as_str)),
        }
    }
}

impl<'de> Deserialize<'de> for SecretSource {
    /// Reads a text (the secret itself) or a table with one source. A relative path stays relative.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        let source = read_source(&value);
        validation::wipe(&mut value);
        source.map_err(de::Error::custom)
    }
}

fn read_source(value: &Value) -> Result<SecretSource, String> {
    match value {
        Value::String(text) if text.is_empty() => Err("the secret is empty".to_owned()),
        Value::String(text) => Ok(SecretSource::Inline(Secret::new(text.clone()))),
        Value::Object(table) => match table.iter().collect::<Vec<_>>()[..] {
            [(kind, value)] => source_of(kind, value),
            _ => Err(format!("give one source; {}", Takes::Secret.advice())),
        },
        _ => Err(Takes::Secret.advice()),
    }
}

fn source_of(kind: &str, value: &Value) -> Result<SecretSource, String> {
    let text = || match value.as_str() {
        Some(text) if !text.is_empty() && !text.contains('\0') => Ok(text.to_owned()),
        _ => Err(format!("write {{ {kind} = \"…\" }}")),
    };
    match kind {
        "file" => text().map(|path| SecretSource::File(path.into())),
        "env" => text().map(SecretSource::Variable),
        "credential" => text().map(SecretSource::Credential),
        "command" => {
            let argv: Option<Vec<String>> =
                value.as_array().and_then(|list| list.iter().map(|item| item.as_str().map(str::to_owned)).collect());
            argv.filter(|argv| argv.first().is_some_and(|program| !program.is_empty()))
                .map(SecretSource::Command)
                .ok_or_else(|| "write { command = [\"program\", \"argument\"] }; no shell is involved".to_owned())
        }
        other => Err(format!("unknown source '{other}'; {}", Takes::Secret.advice())),
    }
}

/// The reason why a secret could not be read. It never has the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}: {reason}")]
pub struct SecretFault {
    source_name: String,
    reason: String,
}

/// Reads secrets. Commands that it runs do not inherit the variables that hold secrets.
#[derive(Clone, Debug, Default)]
pub struct SecretReader {
    environment: Environment,
    hidden: BTreeSet<String>,
}

impl SecretReader {
    /// Makes a reader. `hidden` are the variables that hold secrets.
    pub fn new(environment: Environment, hidden: impl IntoIterator<Item = String>) -> Self {
        Self { environment, hidden: hidden.into_iter().collect() }
    }

    /// Returns the variables that hold secrets.
    pub fn hidden(&self) -> &BTreeSet<String> {
        &self.hidden
    }

    /// Reads the secret: line ends and a byte order mark around it are dropped; a blank one is a
    /// fault.
    pub fn read(&self, source: &SecretSource) -> Result<Secret, SecretFault> {
        let text = match source {
            SecretSource::Inline(secret) => Ok(secret.clone()),
            SecretSource::File(path) => read_file(path),
            SecretSource::Variable(name) => {
                self.environment.get(name).map(Secret::new).ok_or_else(|| "it is not set".to_owned())
            }
            SecretSource::Credential(name) => self.credential_path(name).and_then(|path| read_file(&path)),
            SecretSource::Command(argv) => self.output_of(argv),
        };
        text.and_then(|secret| Secret::trimmed(secret.expose()).ok_or_else(|| "it is empty".to_owned()))
            .map_err(|reason| SecretFault { source_name: source.to_string(), reason })
    }

    /// Returns the path of a credential's file.
    fn credential_path(&self, name: &str) -> Result<PathBuf, String> {
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err("a credential's name is a file name without '/'".to_owned());
        }
        let folder = self.environment.get("CREDENTIALS_DIRECTORY").ok_or(
            "CREDENTIALS_DIRECTORY is not set; systemd sets it for a service with LoadCredential= or SetCredential=",
        )?;
        Ok(Path::new(&folder).join(name))
    }

    /// Warns if users other than the owner can read or change the file of the secret.
    pub fn mode_warning(&self, source: &SecretSource) -> Option<String> {
        let SecretSource::File(path) = source else { return None };
        let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
        (mode & 0o077 != 0).then(|| {
            format!("{} has mode {mode:04o}, so others can reach it; do: chmod 0400 {}", path.display(), path.display())
        })
    }

    fn output_of(&self, argv: &[String]) -> Result<Secret, String> {
        let [program, arguments @ ..] = argv else { return Err("the command is empty".to_owned()) };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        for name in self.environment.beginning_with("STRONGROOM_").into_keys().chain(self.hidden.iter().cloned()) {
            command.env_remove(name);
        }
        let child = command.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
        output_in_time(child)
    }
}

fn read_file(path: &Path) -> Result<Secret, String> {
    let read = std::fs::File::open(path).and_then(|file| secret::read(file, FILE_SIZE));
    let bytes = read.map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > FILE_SIZE {
        return Err(format!("is larger than {FILE_SIZE} bytes"));
    }
    text_of(&bytes)
}

/// Waits for the output and the end of a program, which leads a process group. If it takes too
/// long, it is ended with everything that it started.
fn output_in_time(mut child: Child) -> Result<Secret, String> {
    let stdout = child.stdout.take().ok_or("its output cannot be read")?;
    let group = Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let output = secret::read(stdout, COMMAND_OUTPUT);
        // The receiver is gone if the time limit has passed.
        let _ = sender.send(output.and_then(|bytes| Ok((bytes, child.wait()?))));
    });
    let Ok(ended) = receiver.recv_timeout(COMMAND_TIME) else {
        let _ = kill_process_group(group, Signal::KILL);
        return Err(format!("it took longer than {} seconds", COMMAND_TIME.as_secs()));
    };
    match ended {
        Err(error) => Err(format!("its output cannot be read: {error}")),
        Ok((bytes, _)) if bytes.len() as u64 > COMMAND_OUTPUT => {
            Err(format!("it wrote more than {COMMAND_OUTPUT} bytes"))
        }
        Ok((_, status)) if !status.success() => Err(format!("it failed ({status})")),
        Ok((bytes, _)) => text_of(&bytes),
    }
}

fn text_of(bytes: &[u8]) -> Result<Secret, String> {
    secret::decode(bytes).map(|text| Secret::new(text.as_str())).ok_or_else(|| "it is not UTF-8 text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader() -> SecretReader {
        SecretReader::new(Environment::given([("A_SECRET", "hunter2"), ("EMPTY", "")]), [])
    }

    fn command(argv: &[&str]) -> SecretSource {
        SecretSource::Command(argv.iter().map(ToString::to_string).collect())
    }

    fn fault(source: &SecretSource) -> String {
        reader().read(source).unwrap_err().to_string()
    }

    #[test]
    fn a_secret_comes_from_a_file_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "hunter2\n").unwrap();
        assert!(reader().read(&SecretSource::File(path.clone())).unwrap().equals("hunter2"));
        std::fs::write(&path, "\n").unwrap();
        assert!(fault(&SecretSource::File(path.clone())).ends_with("it is empty"));
        for bytes in [&b"\xef\xbb\xbfhunter2\r\n"[..], b"\xff\xfeh\0u\0n\0t\0e\0r\x002\0\n\0"] {
            std::fs::write(&path, bytes).unwrap();
            assert!(reader().read(&SecretSource::File(path.clone())).unwrap().equals("hunter2"), "{bytes:?}");
            let printed = command(&["cat", path.to_str().unwrap()]);
            assert!(reader().read(&printed).unwrap().equals("hunter2"), "{bytes:?}");
        }
        std::fs::write(&path, "\u{feff} \r\n").unwrap();
        assert!(fault(&SecretSource::File(path.clone())).ends_with("it is empty"));
        std::fs::write(&path, [0xff, 0xff]).unwrap();
        assert!(fault(&SecretSource::File(path)).ends_with("not UTF-8 text"));
        assert!(fault(&SecretSource::File("/dev/zero".into())).contains("larger than"));
    }

    #[test]
    fn a_file_that_others_can_reach_earns_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "x").unwrap();
        for (mode, warns) in [(0o400, false), (0o600, false), (0o640, true), (0o604, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(reader().mode_warning(&SecretSource::File(path.clone())).is_some(), warns, "{mode:o}");
        }
    }

    #[test]
    fn secrets_come_from_variables_and_credentials() {
        assert!(reader().read(&SecretSource::Variable("A_SECRET".into())).unwrap().equals("hunter2"));
        assert!(fault(&SecretSource::Variable("NONE".into())).ends_with("it is not set"));
        assert!(fault(&SecretSource::Variable("EMPTY".into())).ends_with("it is empty"));
        assert!(fault(&SecretSource::Credential("x".into())).contains("CREDENTIALS_DIRECTORY is not set"));

        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "hunter3").unwrap();
        let environment = Environment::given([("CREDENTIALS_DIRECTORY", folder.path().to_str().unwrap())]);
        let reader = SecretReader::new(environment, []);
        assert!(reader.read(&SecretSource::Credential("key".into())).unwrap().equals("hunter3"));
        for name in ["../key", "", "..", "a/b"] {
            assert!(reader.read(&SecretSource::Credential(name.into())).is_err(), "{name}");
        }
    }

    #[test]
    fn a_secret_comes_from_a_command_that_behaves() {
        assert!(reader().read(&command(&["printf", "hunter2\\n"])).unwrap().equals("hunter2"));
        assert!(reader().read(&command(&["echo", "$HOME"])).unwrap().equals("$HOME"), "no shell is involved");
        assert!(fault(&command(&["false"])).contains("it failed"));
        assert!(fault(&command(&["/no/such/program"])).contains("cannot be started"));
        assert!(fault(&command(&["cat", "/dev/zero"])).contains("more than 4096 bytes"));
        assert!(!fault(&command(&["sh", "-c", "exit 1; hunter2"])).contains("hunter2"), "arguments are not repeated");
    }

    #[test]
    fn commands_do_not_inherit_secrets() {
        let reader = SecretReader::new(Environment::of_process(), ["PATH".to_owned()]);
        let seen = reader.read(&command(&["/usr/bin/env"])).unwrap();
        assert!(!seen.expose().lines().any(|line| line.starts_with("PATH=")));
    }
}
