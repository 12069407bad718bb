//! The certificate store of the system, which most programs trust. The certificate is passed to a
//! script on its standard input.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::failure::Failure;
use super::hardening;
use crate::config::Environment;

/// Stores of Linux: the folder of added certificates, the end of a file's name, and the command that
/// reads the folder. Debian and Alpine, Fedora, openSUSE, Arch Linux.
const STORES: [(&str, &str, &str); 4] = [
    ("/usr/local/share/ca-certificates", "crt", "update-ca-certificates"),
    ("/etc/pki/ca-trust/source/anchors", "pem", "update-ca-trust"),
    ("/etc/pki/trust/anchors", "pem", "update-ca-certificates"),
    ("/etc/ca-certificates/trust-source/anchors", "crt", "update-ca-trust"),
];

/// The login keychain, which asks the user.
const KEYCHAIN: &str = "f=$(mktemp) && cat >\"$f\" && security add-trusted-cert -r trustRoot \
                        -k \"$HOME/Library/Keychains/login.keychain-db\" \"$f\" && rm \"$f\"";

/// The way to add a certificate to the store of this system.
#[derive(Debug)]
pub(super) struct SystemStore {
    script: String,
    needs_root: bool,
}

impl SystemStore {
    pub(super) fn find() -> Result<Self, Failure> {
        if cfg!(target_os = "macos") {
            return Ok(Self { script: KEYCHAIN.to_owned(), needs_root: false });
        }
        let found = STORES.iter().find(|(folder, ..)| Path::new(folder).is_dir());
        let (folder, end, update) = found.ok_or_else(|| {
            Failure::new("the certificate store of this system is not known")
                .advise("add the certificate of `strongroom ca show` to it, as the system's documentation says")
        })?;
        let file = format!("{folder}/strongroom-proxy.{end}");
        Ok(Self { script: format!("cat >{file} && chmod 0644 {file} && {update}"), needs_root: true })
    }

    /// Returns the commands that add the certificate. They also work on another machine of this kind.
    pub(super) fn commands(&self, pem: &str) -> String {
        let sudo = if self.needs_root { "sudo " } else { "" };
        format!("{sudo}sh -c '{}' <<'END'\n{}\nEND", self.script, pem.trim_end())
    }

    /// Returns true if this user may add a certificate.
    pub(super) fn is_writable(&self) -> bool {
        !self.needs_root || rustix::process::geteuid().is_root()
    }

    /// Adds the certificate.
    pub(super) fn add(&self, pem: &str) -> Result<(), Failure> {
        let failed = |reason: &dyn std::fmt::Display| {
            Failure::new(format!("the certificate store of the system was not changed: {reason}"))
        };
        let mut command = Command::new("sh");
        command.args(["-c", &self.script]).stdin(Stdio::piped()).stdout(Stdio::null());
        // Nothing of Strongroom's environment is for the programs of the system.
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(Environment::of_process().get("HOME").map(|home| ("HOME", home)));
        // The store is for all users.
        let mut child = hardening::with_inherited_umask(|| command.spawn()).map_err(|error| failed(&error))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(pem.as_bytes()).map_err(|error| failed(&error))?;
        }
        let status = child.wait().map_err(|error| failed(&error))?;
        if status.success() { Ok(()) } else { Err(failed(&status)) }
    }
}
