//! The epoch file: four lines of text with a MAC under a key of the keyring, replaced as a whole.
//!
//! It records the newest epoch outside the vault, so that an older copy of the vault is detected.
//! Keep it on storage that an attacker with access to the vault file cannot write.
//!
//! ```text
//! strongroom epoch file 1
//! vault 5f1c…
//! epoch 1042
//! mac 1 90ab…          version of the audit key, from which the MAC's key is derived
//! ```
//!
//! A vault that is ahead of the file is normal: the commit comes first, and the file after it. A
//! vault that is behind is an older copy, or has lost its `-wal`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::{FlockOperation, OFlags, flock};
use subtle::ConstantTimeEq;

use crate::store::folder_of;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keys;
use crate::vault::error::VaultError;
use crate::vault::hex;

const FIRST_LINE: &str = "strongroom epoch file 1";

/// Maximum number of bytes that are read.
const LARGEST: u64 = 1024;

/// The epoch file at a path.
#[derive(Clone)]
pub(crate) struct EpochFile(PathBuf);

/// The content of the file, read before the vault was opened, and not verified yet.
pub(crate) struct Known(Option<String>);

impl EpochFile {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the file. This happens before the vault is read, so that a commit in between
    /// leaves the vault ahead.
    pub(crate) fn read(&self) -> Result<Known, VaultError> {
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).expect("a flag of open(2) is an int");
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(&self.0) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Known(None)),
            Err(error) => return Err(self.refused("cannot read the epoch file", error)),
        };
        let mut bytes = Vec::new();
        file.take(LARGEST)
            .read_to_end(&mut bytes)
            .map_err(|error| self.refused("cannot read the epoch file", error))?;
        String::from_utf8(bytes).map(|text| Known(Some(text))).map_err(|_| self.wrong("it is no epoch file"))
    }

    /// Verifies the content and returns its epoch; `None` if there is no file yet.
    pub(crate) fn believe(&self, known: &Known, keyring: &Keyring) -> Result<Option<i64>, VaultError> {
        let Some(text) = &known.0 else { return Ok(None) };
        let (vault, epoch, version, mac) =
            parse(text).ok_or_else(|| self.wrong("it is no epoch file, or was edited"))?;
        if vault != hex::write(&keyring.vault_id) {
            return Err(self.wrong("it is the epoch file of another vault"));
        }
        let key = keyring.audit.all.get(&version).ok_or_else(|| {
            self.wrong(
                "it is under a key that this vault does not have: the vault is an older copy, or the file was edited",
            )
        })?;
        let right = hex::write(&seal(&key.epoch, keyring, epoch));
        if bool::from(right.as_bytes().ct_eq(mac.as_bytes())) {
            Ok(Some(epoch))
        } else {
            Err(self.wrong("it was edited, or not written by this vault"))
        }
    }

    /// Writes an epoch, unless the file already has a later one from another process. The file
    /// is on disk when this returns.
    pub(crate) fn write(&self, epoch: i64, keyring: &Keyring) -> Result<(), VaultError> {
        let _alone = self.alone()?;
        if self.believe(&self.read()?, keyring)?.is_some_and(|there| there > epoch) {
            return Ok(());
        }
        let text = text(epoch, keyring);
        let mut new = self.0.clone().into_os_string();
        new.push(".new");
        let replace = || {
            // A file of an interrupted write. The lock is held, so no other process
            // uses it.
            match fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &self.0)?;
            File::open(self.folder())?.sync_all()
        };
        replace().map_err(|error| self.refused("cannot write the epoch file", error))
    }

    fn folder(&self) -> &Path {
        folder_of(&self.0)
    }

    /// Takes a lock against other processes of this vault, held until the file is dropped. A
    /// separate file is locked, which no other user can open: a lock on the folder could be
    /// taken by any user who may read it, and would block every deletion.
    fn alone(&self) -> Result<File, VaultError> {
        let mut path = self.0.clone().into_os_string();
        path.push(".lock");
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).expect("a flag of open(2) is an int");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
        let locked = options.open(&path).and_then(|open| {
            flock(&open, FlockOperation::LockExclusive)?;
            Ok(open)
        });
        locked.map_err(|error| self.refused("cannot lock the epoch file", error))
    }

    fn refused(&self, what: &'static str, source: io::Error) -> VaultError {
        VaultError::File { what, path: self.0.clone(), source }
    }

    fn wrong(&self, what: &'static str) -> VaultError {
        VaultError::EpochFile { path: self.0.clone(), what }
    }
}

/// Writes the text of the file.
pub(crate) fn text(epoch: i64, keyring: &Keyring) -> String {
    let (version, key) = (keyring.audit.version, &keyring.audit.current().epoch);
    let (vault, mac) = (hex::write(&keyring.vault_id), hex::write(&seal(key, keyring, epoch)));
    format!("{FIRST_LINE}\nvault {vault}\nepoch {epoch}\nmac {version} {mac}\n")
}

/// Parses vault id, epoch, key version and MAC, in exactly the form in which they are written.
fn parse(text: &str) -> Option<(&str, i64, u32, &str)> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let vault = lines.next()?.strip_prefix("vault ")?;
    let epoch = number(lines.next()?.strip_prefix("epoch ")?)?;
    let (version, mac) = lines.next()?.strip_prefix("mac ")?.split_once(' ')?;
    lines.next().is_none().then_some((vault, epoch, number(version)?, mac))
}

/// Parses a number without a plus sign and without leading zeros.
fn number<N: FromStr + ToString>(text: &str) -> Option<N> {
    text.parse().ok().filter(|number: &N| number.to_string() == text)
}

fn seal(key: &[u8; 32], keyring: &Keyring, epoch: i64) -> [u8; 32] {
    keys::mac(key, [b"strongroom epoch file 1".as_slice(), &keyring.vault_id, &epoch.to_be_bytes()])
}

/// For property tests and fuzz targets: a text that is accepted was written by this vault, byte for
/// byte.
#[cfg(any(test, fuzzing))]
pub(crate) fn holds(bytes: &[u8], keyring: &Keyring) {
    let file = EpochFile::at("v.epoch".into());
    let known = Known(String::from_utf8(bytes.to_vec()).ok());
    match file.believe(&known, keyring) {
        Ok(None) => assert!(known.0.is_none()),
        Ok(Some(epoch)) => assert_eq!(known.0, Some(text(epoch, keyring)), "nobody wrote this"),
        Err(error) => assert!(matches!(error, VaultError::EpochFile { .. }), "{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_a_folder() -> (tempfile::TempDir, EpochFile, Keyring) {
        let folder = tempfile::tempdir().unwrap();
        let file = EpochFile::at(folder.path().join("v.epoch"));
        (folder, file, Keyring::for_tests())
    }

    #[test]
    fn epoch_never_goes_back() {
        let (_folder, file, keyring) = in_a_folder();
        let known = |file: &EpochFile| file.believe(&file.read().unwrap(), &keyring).unwrap();
        assert_eq!(known(&file), None);
        for (written, there) in [(7, 7), (5, 7), (8, 8)] {
            file.write(written, &keyring).unwrap();
            assert_eq!(known(&file), Some(there));
        }
    }

    #[test]
    fn edited_file_is_rejected_and_not_overwritten() {
        let (_folder, file, keyring) = in_a_folder();
        file.write(1042, &keyring).unwrap();
        let good = fs::read_to_string(file.path()).unwrap();
        for edited in [
            good.replace("epoch 1042", "epoch 1041"),
            good.replace("mac 1", "mac 2"),
            good.replace("epoch 1042", "epoch +1042"),
            good.replace("epoch 1042", "epoch 01042"),
            good.replace("mac 1 ", "mac +1 "),
            good.trim_end().to_owned(),
            format!("{good}\n"),
            String::new(),
            "x".repeat(5000),
        ] {
            fs::write(file.path(), &edited).unwrap();
            let read = file.believe(&file.read().unwrap(), &keyring);
            assert!(matches!(read, Err(VaultError::EpochFile { .. })), "{edited}");
            assert!(file.write(2000, &keyring).is_err());
            assert_eq!(fs::read_to_string(file.path()).unwrap(), edited);
        }
        fs::write(file.path(), [0xff, 0xfe]).unwrap();
        assert!(matches!(file.read(), Err(VaultError::EpochFile { .. })));
    }

    #[test]
    fn lock_on_the_folder_does_not_block_a_write() {
        let (folder, file, keyring) = in_a_folder();
        let held = File::open(folder.path()).unwrap();
        flock(&held, FlockOperation::LockExclusive).unwrap();
        let (done, waits) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send(file.write(7, &keyring).is_ok()));
        assert_eq!(waits.recv_timeout(std::time::Duration::from_secs(30)), Ok(true));
    }

    #[test]
    fn link_or_folder_is_an_error_and_not_a_missing_file() {
        let (folder, file, keyring) = in_a_folder();
        std::os::unix::fs::symlink("/no/such/file", file.path()).unwrap();
        assert!(matches!(file.read(), Err(VaultError::File { .. })));
        fs::remove_file(file.path()).unwrap();
        fs::create_dir(file.path()).unwrap();
        assert!(file.read().is_err());
        let nowhere = EpochFile::at(folder.path().join("no/such/v.epoch"));
        let error = nowhere.write(1, &keyring).unwrap_err();
        assert!(error.to_string().contains("no/such/v.epoch"), "{error}");
    }
}
