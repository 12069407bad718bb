//! Files of certificates for the command: the system's roots, the file that the variable named
//! before, and the certification authority of the server.
//!
//! Most tools replace their roots by the file that a variable names. A file with the server's own
//! authority alone would break every host that the proxy does not open.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// Password of Java's own store, and of ours: it protects nothing.
pub(super) const JAVA_PASSWORD: &str = "changeit";

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

impl Bundles {
    /// Returns a configuration of wget, which reads no variable for certificates: the former one, and
    /// the file with all roots.
    pub(super) fn wgetrc(&mut self, before: Option<&Path>) -> Result<PathBuf, Failure> {
        let former = before.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let mut settings = former.lines().filter_map(|line| line.split_once('='));
        let own_roots = settings.find(|(name, _)| name.trim() == "ca_certificate").map(|(_, file)| file.trim());
        let roots = self.whole(own_roots.map(Path::new))?;
        let path = self.folder.path().join("wgetrc");
        let text = format!("{}\nca_certificate = {}\n", former.trim_end(), roots.display());
        fs::write(&path, text.trim_start()).map_err(|error| failed(&error))?;
        Ok(path)
    }

    /// Returns a copy of the trust store of the Java on this `PATH`, with the server's authority, made
    /// by its own `keytool`. `None` if there is no Java, or it cannot make one.
    pub(super) fn java_store(&self, search_path: &str) -> Result<Option<PathBuf>, Failure> {
        let java = std::env::split_paths(search_path).find_map(|folder| folder.join("java").canonicalize().ok());
        let Some(home) = java.as_deref().and_then(Path::parent).and_then(Path::parent) else { return Ok(None) };
        let store = self.folder.path().join("java.p12");
        // Not a copy of its mode: some systems have it without write permission.
        let Ok(own) = fs::read(home.join("lib/security/cacerts")) else { return Ok(None) };
        fs::write(&store, own).map_err(|error| failed(&error))?;
        let import = Command::new(home.join("bin/keytool"))
            .args(["-importcert", "-noprompt", "-alias", "strongroom", "-storepass", JAVA_PASSWORD, "-file"])
            .arg(self.ca()?)
            .arg("-keystore")
            .arg(&store)
            .env_clear()
            .stdin(Stdio::null())
            .output();
        Ok(import.is_ok_and(|import| import.status.success()).then_some(store))
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

    #[test]
    fn wgetrc_keeps_the_former_one() {
        let mut bundles = Bundles::new("CA\n".to_owned()).unwrap();
        let former = bundles.folder.path().join("former");
        fs::write(&former, "quiet = on").unwrap();
        let roots = bundles.whole(None).unwrap();
        let text = fs::read_to_string(bundles.wgetrc(Some(&former)).unwrap()).unwrap();
        assert_eq!(text, format!("quiet = on\nca_certificate = {}\n", roots.display()));
        let own = bundles.folder.path().join("own.pem");
        fs::write(&own, "OWN").unwrap();
        fs::write(&former, format!("ca_certificate={}", own.display())).unwrap();
        let text = fs::read_to_string(bundles.wgetrc(Some(&former)).unwrap()).unwrap();
        let roots = bundles.whole(Some(&own)).unwrap();
        assert!(text.ends_with(&format!("\nca_certificate = {}\n", roots.display())), "{text}");
        assert!(fs::read_to_string(roots).unwrap().contains("OWN"));
    }

    #[test]
    fn machine_without_java_has_no_store_for_it() {
        let bundles = Bundles::new("CA\n".to_owned()).unwrap();
        assert_eq!(bundles.java_store("/no/such/folder").unwrap(), None);
    }
}
