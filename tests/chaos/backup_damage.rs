//! A backup that is not as it was written, in as many ways as time allows: it is refused, and never is anything of it believed.

use std::path::PathBuf;

use strongroom::clock::{Clock, UnixTime};
use strongroom::random::Random;
use strongroom::secret::Secret;
use strongroom::vault::{
    AuditContext, BackupError, BackupSource, BackupStop, CredentialSecret, Existing, MasterKey, NewCredential,
    RestoredVault, Restorer, Vault, VaultError,
};

/// A backup of a vault, with a few chunks.
struct Scene {
    key: MasterKey,
    clock: Clock,
    folder: tempfile::TempDir,
    file: Vec<u8>,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (key, clock) = (MasterKey::generate(Random), Clock::manual(UnixTime(1_800_000_000)));
        let vault = Vault::create(&folder.path().join("v.db"), &key, clock.clone(), Random).unwrap();
        for number in 0..40 {
            let user = format!("user-{}", number % 4).parse().unwrap();
            let key = CredentialSecret::ApiKey(Secret::new("s".repeat(100 + number * 150)));
            let new = NewCredential::plain(user, "openai".parse().unwrap(), "t", key);
            vault.credentials().insert(new, &AuditContext::system()).await.unwrap();
        }
        let path = folder.path().join("backup");
        vault.backups().write(&path, Existing::Keep, &BackupStop::default()).unwrap();
        let file = std::fs::read(path).unwrap();
        Self { key, clock, folder, file }
    }

    fn verify(&self, bytes: &[u8]) -> Result<RestoredVault, BackupError> {
        let path: PathBuf = self.folder.path().join("changed");
        std::fs::write(&path, bytes).unwrap();
        let with = Restorer { master: &self.key, clock: self.clock.clone(), random: Random };
        with.verify(BackupSource::open(&path)?)
    }

    /// That it is refused, in words that fit.
    fn is_refused(&self, bytes: &[u8], how: &str) {
        match self.verify(bytes) {
            Err(BackupError::NewerFormat { .. } | BackupError::Vault(VaultError::WrongKey { .. })) => {}
            Err(error) if error.is_damage() => {}
            other => panic!("{how}: {other:?}"),
        }
    }
}

/// A random number below `end`.
fn below(end: usize) -> usize {
    usize::try_from(u64::from_be_bytes(Random.bytes()) % u64::try_from(end).unwrap()).unwrap()
}

#[tokio::test]
async fn backup_with_changed_bits_is_rejected() {
    let scene = Scene::new().await;
    scene.verify(&scene.file).unwrap();
    for _ in 0..crate::support::campaign(40, 400, 3_000) {
        let mut changed = scene.file.clone();
        let (at, bit) = (below(changed.len()), below(8));
        changed[at] ^= 1 << bit;
        scene.is_refused(&changed, &format!("bit {bit} of byte {at} of {}", changed.len()));
    }
}

#[tokio::test]
async fn cut_or_torn_backup_is_rejected() {
    let scene = Scene::new().await;
    for _ in 0..crate::support::campaign(20, 100, 500) {
        let file = &scene.file;
        let end = below(file.len());
        scene.is_refused(&file[..end], &format!("cut at {end} of {}", file.len()));
    }
    for _ in 0..crate::support::campaign(10, 40, 200) {
        let file = &scene.file;
        let mut torn = file.clone();
        let start = below(file.len()) / 4_096 * 4_096;
        let end = (start + 4_096).min(file.len());
        torn[start..end].fill(0);
        scene.is_refused(&torn, &format!("a page of zeros at {start} of {}", file.len()));
    }
}
