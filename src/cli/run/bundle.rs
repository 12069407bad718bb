//! Files of certificates for the command: the system's roots, the file that the variable named
//! before, and the certification authority of the server.
//!
//! Most tools replace their roots by the file that a variable names. A file with the server's own
//! authority alone would break every host that the proxy does not open.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::cli::failure::Failure;

/// Places of the system's roots: Debian, Fedora, openSUSE, Alpine and macOS, Fedora of old.
const SYSTEM: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// The files, in a folder that is deleted at the end.
pub(super) struct Bundles {
    folder: TempDir,
    ca: String,
    system: String,
    /// Written bundles, by the file that a variable named before.
    written: BTreeMap<Option<PathBuf>, PathBuf>,
}

impl Bundles {
    pub(super) fn new(ca: String) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("strongroom-run-").tempdir().map_err(|error| failed(&error))?;
        let system = SYSTEM.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        Ok(Self { folder, ca, system, written: BTreeMap::new() })
    }

    /// Returns the file that has the server's authority alone.
    pub(super) fn ca(&self) -> Result<PathBuf, Failure> {
        let path = self.folder.path().join("ca.pem");
        fs::write(&path, &self.ca).map_err(|error| failed(&error))?;
        Ok(path)
    }

    /// Returns a file with all roots. `before` is the file that the variable named.
    pub(super) fn whole(&mut self, before: Option<&Path>) -> Result<PathBuf, Failure> {
        let before = before.filter(|path| path.is_file()).map(Path::to_owned);
        if let Some(path) = self.written.get(&before) {
            return Ok(path.clone());
        }
        let former = before.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let path = self.folder.path().join(format!("bundle-{}.pem", self.written.len()));
        let text = [&self.system, &former, &self.ca].map(|part| part.trim_end().to_owned()).join("\n") + "\n";
        fs::write(&path, text.trim_start()).map_err(|error| failed(&error))?;
        self.written.insert(before, path.clone());
        Ok(path)
    }
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot write the certificates for the command: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundle_has_the_former_file_and_the_authority() {
        let mut bundles = Bundles::new("CA\n".to_owned()).unwrap();
        bundles.system = "SYSTEM\n".to_owned();
        let former = bundles.folder.path().join("former.pem");
        fs::write(&former, "FORMER").unwrap();
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();
        assert_eq!(read(bundles.ca().unwrap()), "CA\n");
        let plain = bundles.whole(None).unwrap();
        assert_eq!(read(plain.clone()), "SYSTEM\n\nCA\n");
        assert_eq!(bundles.whole(Some(Path::new("/no/such/file"))).unwrap(), plain);
        assert_eq!(read(bundles.whole(Some(&former)).unwrap()), "SYSTEM\nFORMER\nCA\n");
    }
}
