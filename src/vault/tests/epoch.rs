//! An older copy of the whole file, put back by an attacker who cannot put back what is known outside
//! it.

use super::*;

/// A vault whose epoch is known outside; a copy of its file is an older vault.
struct Known {
    bench: Bench,
    file: PathBuf,
}

impl Known {
    fn new() -> Self {
        let bench = Bench::new();
        let file = bench.folder.path().join("v.epoch");
        Self { bench, file }
    }

    fn open(&self, accept_rollback: bool) -> Result<Vault, VaultError> {
        let Bench { key, clock, .. } = &self.bench;
        let how = OpenOptions { epoch_file: Some(self.file.clone()), accept_rollback, ..OpenMode::Command.into() };
        Vault::open(&self.bench.path(), key, how, clock.clone(), Random)
    }

    /// The file as a copy made after the server stopped.
    fn copy(&self) -> Vec<u8> {
        self.bench.attack("PRAGMA wal_checkpoint(TRUNCATE)");
        std::fs::read(self.bench.path()).unwrap()
    }

    /// Replaces the vault by an older copy. The vault must be closed.
    fn put_back(self, copy: &[u8]) -> Self {
        let Bench { vault, key, clock, folder } = self.bench;
        let path = folder.path().join("v.db");
        drop(vault);
        std::fs::write(&path, copy).unwrap();
        for beside in ["v.db-wal", "v.db-shm"] {
            let _ = std::fs::remove_file(folder.path().join(beside));
        }
        let vault = Vault::open(&path, &key, OpenMode::Command, clock.clone(), Random).unwrap();
        Self { bench: Bench { vault, key, clock, folder }, file: self.file }
    }

    fn epoch(&self) -> i64 {
        let text = std::fs::read_to_string(&self.file).unwrap();
        text.lines().find_map(|line| line.strip_prefix("epoch ")).unwrap().parse().unwrap()
    }

    fn epoch_of_vault(&self) -> i64 {
        self.bench.vault.core().read(Manifest::load).unwrap().epoch
    }
}

#[tokio::test]
async fn durable_write_updates_the_epoch_file_first() {
    let known = Known::new();
    let vault = known.open(false).unwrap();
    let who = AuditContext::system();
    let stored = known.bench.add("alice", "p", CredentialSecret::ApiKey(Secret::new("k"))).await;
    let (key, _) = super::api_keys::make(&vault, KeyHolder::User(user("alice"))).await;
    vault.credentials().delete(&stored.user, &stored.id, RevocationScope::Never, WEEK, &who).await.unwrap().unwrap();
    assert_eq!(known.epoch(), known.epoch_of_vault());
    assert!(vault.api_keys().revoke(key.id, &who).await.unwrap());
    assert_eq!(known.epoch(), known.epoch_of_vault());
    let removed = vault.users().remove(&user("alice"), |_| RevocationScope::Never, WEEK, &who).await;
    assert!(removed.unwrap().is_some());
    assert_eq!(known.epoch(), known.epoch_of_vault());
}

#[tokio::test]
async fn closing_writes_the_epoch_file() {
    let known = Known::new();
    let vault = known.open(false).unwrap();
    let before = known.epoch();
    for name in ["a", "b", "c"] {
        vault.users().add(&user(name), &AuditContext::system()).await.unwrap();
    }
    drop(vault);
    assert_eq!((known.epoch(), known.epoch_of_vault()), (before + 3, before + 3));
}

#[tokio::test]
async fn older_copy_is_rejected_unless_accepted() {
    let known = Known::new();
    let vault = known.open(false).unwrap();
    let (key, text) = super::api_keys::make(&vault, KeyHolder::User(user("alice"))).await;
    let older = known.copy();
    assert!(vault.api_keys().revoke(key.id, &AuditContext::system()).await.unwrap());
    let newer = known.copy();
    drop(vault);
    let seen = known.epoch();

    let known = known.put_back(&older);
    for _ in 0..2 {
        let refused = known.open(false).err().unwrap();
        let VaultError::Rollback { found, known: outside, .. } = &refused else { panic!("{refused}") };
        assert_eq!((*found, *outside), (seen - 1, seen));
        assert!(refused.is_damage());
    }
    assert_eq!(known.bench.audited("vault.accept_rollback"), 0);

    let vault = known.open(true).unwrap();
    assert!(vault.api_keys().authenticate(text.expose()).unwrap().is_some(), "that is what was accepted");
    assert_eq!((known.epoch(), known.epoch_of_vault()), (seen + 1, seen + 1));
    assert_eq!(known.bench.audited("vault.accept_rollback"), 1);
    known.bench.assert_manifest_holds();
    drop(vault);
    drop(known.open(true).unwrap());
    assert_eq!(known.bench.audited("vault.accept_rollback"), 1, "the flag alone accepts nothing");
    known.open(false).unwrap();

    let known = known.put_back(&newer);
    assert!(matches!(known.open(false), Err(VaultError::Rollback { .. })), "what was newest is an older copy now");
}

#[tokio::test]
async fn vault_may_be_ahead_of_its_own_epoch_file_only() {
    let known = Known::new();
    drop(known.open(false).unwrap());
    known.bench.vault.users().add(&user("alice"), &AuditContext::system()).await.unwrap();
    assert!(known.epoch() < known.epoch_of_vault(), "a vault that was opened without the file");
    drop(known.open(false).unwrap());
    assert_eq!(known.epoch(), known.epoch_of_vault());

    let other = Known::new();
    std::fs::copy(&known.file, &other.file).unwrap();
    for accept in [false, true] {
        let refused = other.open(accept).err().unwrap();
        assert!(matches!(refused, VaultError::EpochFile { .. }) && refused.to_string().contains("another vault"));
    }
}

#[tokio::test]
async fn missing_epoch_file_is_rejected() {
    let known = Known::new();
    drop(known.open(false).unwrap());
    std::fs::remove_file(&known.file).unwrap();
    for _ in 0..2 {
        let refused = known.open(false).err().unwrap();
        assert!(matches!(&refused, VaultError::NoEpochFile(path) if *path == known.file), "{refused}");
        assert!(refused.is_damage() && !known.file.exists());
    }
    let vault = known.open(true).unwrap();
    assert_eq!((known.epoch(), known.bench.audited("vault.accept_rollback")), (known.epoch_of_vault(), 1));
    vault.users().add(&user("alice"), &AuditContext::system()).await.unwrap();
    drop(vault);
    drop(known.open(false).unwrap());
    known.bench.assert_manifest_holds();
}

#[tokio::test]
async fn restored_vault_accepts_a_new_epoch_file() {
    let known = Known::new();
    let vault = known.open(false).unwrap();
    let backup = known.bench.folder.path().join("b");
    vault.backups().write(&backup, Existing::Keep, &BackupStop::default()).unwrap();
    let Bench { key, clock, folder, .. } = &known.bench;
    let restorer = Restorer { master: key, clock: clock.clone(), random: Random };
    let elsewhere = folder.path().join("r.db");
    restorer.restore(BackupSource::open(&backup).unwrap(), &elsewhere, true, &AuditContext::command_line()).unwrap();
    let file = folder.path().join("r.epoch");
    let how = OpenOptions { epoch_file: Some(file.clone()), ..OpenMode::Command.into() };
    let open = || Vault::open(&elsewhere, key, how.clone(), clock.clone(), Random);
    drop(open().unwrap());
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(open(), Err(VaultError::NoEpochFile(_))), "from then on there is one");
}
