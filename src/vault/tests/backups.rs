//! Backups: what comes back, and what a file that is not as it was written gives.

use std::path::Path;

use super::*;

/// The plaintext of a full chunk with its length and its tag.
const CHUNK: usize = 4 + 64 * 1024 + 16;

impl Bench {
    /// A vault with enough in it for a few chunks.
    async fn filled() -> (Self, Vec<CredentialMetadata>) {
        let bench = Self::new();
        let mut all = Vec::new();
        for user in ["alice", "bob", "carol", "dave"] {
            all.push(bench.add(user, "openai", api_key(&format!("sk-{}", user.repeat(9_000)))).await);
            all.push(bench.add(user, "github", tokens(&format!("at-{user}"), &format!("rt-{user}"))).await);
        }
        (bench, all)
    }

    fn in_folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn back_up(&self, name: &str) -> PathBuf {
        let path = self.in_folder(name);
        self.vault.backups().write(&path, Existing::Keep, &BackupStop::default()).unwrap();
        path
    }

    fn restorer<'k>(&self, key: &'k MasterKey) -> Restorer<'k> {
        Restorer { master: key, clock: self.clock.clone(), random: Random }
    }

    fn verify(&self, path: &Path) -> Result<RestoredVault, BackupError> {
        self.restorer(&self.key).verify(BackupSource::open(path)?)
    }

    pub(super) fn restore(&self, backup: &Path, name: &str, live: bool) -> Vault {
        let target = self.in_folder(name);
        let source = BackupSource::open(backup).unwrap();
        self.restorer(&self.key).restore(source, &target, live, &AuditContext::command_line()).unwrap();
        Vault::open(&target, &self.key, OpenMode::Command, self.clock.clone(), Random).unwrap()
    }

    /// Names of the files in the folder, without those of the vault.
    fn files(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.starts_with("v.db"));
        names.sort();
        names
    }
}

#[tokio::test]
async fn restored_vault_equals_the_backed_up_one() {
    let (bench, all) = Bench::filled().await;
    let new = NewApiKey {
        name: None,
        holder: KeyHolder::User(user("alice")),
        permissions: "READ_INTEGRATIONS".parse().into_iter().collect(),
        limits: KeyLimits::new(vec!["github".parse().unwrap()], vec![all[0].id]).unwrap(),
        unmatched: Unmatched::default(),
        expires_at: None,
    };
    let (made, key) = bench.vault.api_keys().create(new, &AuditContext::command_line()).await.unwrap();
    let grant = super::grants::grant_of(made.id);
    bench.vault.api_keys().add_grant(grant, &AuditContext::command_line()).await.unwrap().unwrap();
    let backup = bench.back_up("b");
    let later = bench.add("erin", "openai", api_key("sk-later")).await;
    let restored =
        Bench { vault: bench.restore(&backup, "r.db", false), folder: tempfile::tempdir().unwrap(), ..bench.aside() };
    for one in &all {
        let (there, here) = (restored.read(one).await.unwrap(), bench.read(one).await.unwrap());
        assert_eq!(texts(&there.1), texts(&here.1));
        assert_eq!(
            (there.0.title, there.0.created_at, there.0.account),
            (here.0.title, here.0.created_at, here.0.account)
        );
    }
    assert!(restored.read(&later).await.is_none(), "it came after the backup");
    let found = restored.vault.api_keys().authenticate(key.expose()).unwrap();
    let expected = bench.vault.api_keys().get(made.id).unwrap();
    assert!(expected.as_ref().is_some_and(|key| key.grants.grants.len() == 1));
    assert_eq!(found, expected, "API keys work, within their limits and grants");
    assert_eq!(bench.audited("vault.backup"), 0);
    bench.vault.backups().record(&AuditContext::command_line()).await.unwrap();
    assert_eq!(bench.audited("vault.backup"), 1);
}

impl Bench {
    /// The same key and clock, for another file.
    fn aside(&self) -> Bench {
        Bench {
            vault: self.vault.clone(),
            key: self.key.clone(),
            clock: self.clock.clone(),
            folder: tempfile::tempdir().unwrap(),
        }
    }
}

#[tokio::test]
async fn restored_vault_passes_verification() {
    let (bench, _) = Bench::filled().await;
    let backup = bench.back_up("b");
    let other = tempfile::tempdir().unwrap();
    let source = BackupSource::open(&backup).unwrap();
    let target = other.path().join("v.db");
    let told = bench.restorer(&bench.key).restore(source, &target, false, &AuditContext::command_line()).unwrap();
    let (credentials, users) = (told.contents.credentials, told.contents.users);
    assert_eq!((credentials, users, told.may_be_stale), (8, 4, 4));
    assert_eq!(told.opened, 2 * credentials + users, "each credential has two records");
    let vault = Vault::open(&target, &bench.key, OpenMode::Server, bench.clock.clone(), Random).unwrap();
    let restored = Bench { vault, folder: other, ..bench.aside() };
    restored.assert_manifest_holds();
    assert_eq!((restored.audited("vault.restore"), restored.audited("credential.create")), (1, 8));
    assert_eq!(restored.files(), Vec::<String>::new(), "nothing is left beside it");
}

#[tokio::test]
async fn backup_contains_no_plain_text_of_the_vault() {
    let (bench, _) = Bench::filled().await;
    let file = std::fs::read(bench.back_up("b")).unwrap();
    for text in ["alice", "sk-alice", "rt-bob", "github", "openai", "credential", "octocat", "CREATE"] {
        assert!(!file.windows(text.len()).any(|part| part == text.as_bytes()), "{text}");
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(bench.in_folder("b")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn truncated_backup_is_rejected() {
    let (bench, _) = Bench::filled().await;
    let path = bench.back_up("b");
    let file = std::fs::read(&path).unwrap();
    let head = head_length(&file);
    assert!(file.len() > head + 2 * CHUNK, "a few chunks are wanted");
    let borders = (0..).map(|n| head + n * CHUNK).take_while(|border| *border < file.len());
    let around = borders.flat_map(|border| [border - 1, border, border + 1, border + 4]);
    let more = [0, 1, 17, 18, 24, head - 32, file.len() - 33, file.len() - 32, file.len() - 31, file.len() - 1];
    for end in around.chain(more) {
        std::fs::write(&path, &file[..end]).unwrap();
        let error = bench.verify(&path).unwrap_err();
        assert!(error.is_damage(), "cut at {end}: {error}");
    }
    std::fs::write(&path, [file.as_slice(), b"\0"].concat()).unwrap();
    assert!(matches!(bench.verify(&path), Err(BackupError::Damaged(_))), "one byte more");
    std::fs::write(&path, &file).unwrap();
    bench.verify(&path).unwrap();
}

#[tokio::test]
async fn moved_or_foreign_chunks_do_not_open() {
    let (bench, _) = Bench::filled().await;
    let path = bench.back_up("b");
    let (file, other) = (std::fs::read(&path).unwrap(), std::fs::read(bench.back_up("c")).unwrap());
    let head = head_length(&file);
    let chunk = |of: &[u8], n: usize| of[head + n * CHUNK..head + (n + 1) * CHUNK].to_vec();
    let rest = &file[head + 2 * CHUNK..];
    let swapped = [&file[..head], &chunk(&file, 1), &chunk(&file, 0), rest].concat();
    let left_out = [&file[..head], &chunk(&file, 1), rest].concat();
    let foreign = [&file[..head], &chunk(&other, 0), &chunk(&file, 1), rest].concat();
    let another_head = [&other[..head], &file[head..]].concat();
    for (what, bytes) in
        [("swapped", swapped), ("left out", left_out), ("foreign", foreign), ("another head", another_head)]
    {
        std::fs::write(&path, resummed(bytes)).unwrap();
        assert!(matches!(bench.verify(&path), Err(BackupError::Damaged(_))), "{what}");
    }
}

#[tokio::test]
async fn changed_byte_of_a_backup_is_detected() {
    let (bench, _) = Bench::filled().await;
    let path = bench.back_up("b");
    let file = std::fs::read(&path).unwrap();
    let head = head_length(&file);
    for i in (0..head).step_by(3).chain((head..file.len()).step_by(file.len() / 50)).chain(file.len() - 33..file.len())
    {
        let mut changed = file.clone();
        changed[i] ^= 1 << (i % 8);
        std::fs::write(&path, changed).unwrap();
        let refused = bench.verify(&path);
        let wrong_key = matches!(refused, Err(BackupError::Vault(VaultError::WrongKey { .. })));
        let newer = matches!(refused, Err(BackupError::NewerFormat { .. }));
        assert!(wrong_key || newer || refused.as_ref().is_err_and(BackupError::is_damage), "byte {i}: {refused:?}");
        assert!(i < head || !wrong_key, "byte {i}");
    }
}

#[tokio::test]
async fn backup_needs_the_master_key_of_its_time() {
    let (bench, _) = Bench::filled().await;
    let path = bench.back_up("b");
    let other = MasterKey::generate(Random);
    let target = bench.in_folder("r.db");
    let source = BackupSource::open(&path).unwrap();
    let refused = bench.restorer(&other).restore(source, &target, false, &AuditContext::command_line());
    let Err(BackupError::Vault(VaultError::WrongKey { given, .. })) = refused else { panic!("{refused:?}") };
    assert!(given.contains(&other.fingerprint().unwrap()));
    assert_eq!(bench.files(), ["b"], "nothing was begun");
}

#[tokio::test]
async fn existing_file_is_not_overwritten() {
    let (bench, _) = Bench::filled().await;
    let path = bench.back_up("b");
    let before = std::fs::read(&path).unwrap();
    let again = bench.vault.backups().write(&path, Existing::Keep, &BackupStop::default());
    assert!(matches!(again, Err(BackupError::AlreadyExists(_))));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    bench.vault.backups().write(&path, Existing::Replace, &BackupStop::default()).unwrap();
    assert_ne!(std::fs::read(&path).unwrap(), before, "that was asked for");
    for taken in ["r.db", "r.db-wal", "r.db-shm", "r.db-journal"] {
        std::fs::write(bench.in_folder(taken), "somebody's").unwrap();
        let (source, target) = (BackupSource::open(&path).unwrap(), bench.in_folder("r.db"));
        let refused = bench.restorer(&bench.key).restore(source, &target, true, &AuditContext::command_line());
        assert!(
            matches!(refused, Err(BackupError::Vault(VaultError::Store(StoreError::AlreadyExists(_))))),
            "{taken}: {refused:?}"
        );
        assert_eq!(std::fs::read(bench.in_folder(taken)).unwrap(), b"somebody's");
        std::fs::remove_file(bench.in_folder(taken)).unwrap();
    }
    assert_eq!(bench.files(), ["b"]);
}

#[tokio::test]
async fn stopped_or_failed_backup_leaves_no_file() {
    let (bench, _) = Bench::filled().await;
    let stop = BackupStop::default();
    stop.ask();
    let given_up = bench.vault.backups().write(&bench.in_folder("b"), Existing::Keep, &stop);
    assert!(matches!(given_up, Err(BackupError::GivenUp)));
    let nowhere = bench.vault.backups().write(&bench.in_folder("none/b"), Existing::Keep, &BackupStop::default());
    assert!(matches!(nowhere, Err(BackupError::Vault(VaultError::File { .. }))));
    assert_eq!(bench.files(), Vec::<String>::new());
}

#[tokio::test]
async fn abandoned_files_are_removed_and_running_ones_stay() {
    let bench = Bench::new();
    let name = |what: &str| format!(".{}{what}", bench.vault.backups().file_prefix());
    let (abandoned, other) = (bench.in_folder(&name("x.backup.1.part")), bench.in_folder(".other.1.part"));
    let busy = bench.in_folder(&name("y.backup.2.part"));
    for path in [&abandoned, &other, &busy] {
        std::fs::write(path, "half").unwrap();
    }
    let writer = std::fs::File::open(&busy).unwrap();
    rustix::fs::flock(&writer, rustix::fs::FlockOperation::LockExclusive).unwrap();
    remove_abandoned(bench.folder.path(), &bench.vault.backups().file_prefix());
    assert!(!abandoned.exists() && other.exists() && busy.exists());
}

#[tokio::test]
async fn damaged_vault_is_detected_in_its_backup() {
    let (bench, all) = Bench::filled().await;
    bench.attack(&format!("UPDATE credential SET provider = 'gitlab' WHERE id = '{}'", all[1].id));
    let backup = bench.back_up("b");
    let error = bench.verify(&backup).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains(&all[1].id.to_string()), "{error}");
}

#[tokio::test]
async fn foreign_table_is_not_backed_up() {
    let (bench, _) = Bench::filled().await;
    bench.attack(
        "CREATE TABLE planted (a) ; INSERT INTO planted VALUES ('x');
        CREATE TRIGGER t AFTER DELETE ON user BEGIN SELECT 1; END",
    );
    let backup = bench.back_up("b");
    bench.restore(&backup, "r.db", false);
    let connection = Connection::open(bench.in_folder("r.db")).unwrap();
    let planted = "SELECT count(*) FROM sqlite_schema WHERE name IN ('planted', 't')";
    assert_eq!(connection.query_row(planted, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[tokio::test]
async fn standby_mark_is_sealed_and_removed_by_promotion_only() {
    let (bench, all) = Bench::filled().await;
    let backup = bench.back_up("b");
    let old_manifest: Vec<u8> = {
        let connection = Connection::open(bench.path()).unwrap();
        connection.query_row("SELECT sealed FROM manifest", [], |row| row.get(0)).unwrap()
    };
    let vault = bench.restore(&backup, "r.db", false);
    let restored = vault.standby().mark().unwrap().unwrap();
    assert_eq!(restored.backup_at, bench.clock.now());
    drop(vault);
    // An attacker with a SQL shell puts back the manifest from before the restore: it is of another
    // epoch.
    let connection = Connection::open(bench.in_folder("r.db")).unwrap();
    let sealed: Vec<u8> = connection.query_row("SELECT sealed FROM manifest", [], |row| row.get(0)).unwrap();
    connection.execute("UPDATE manifest SET sealed = ?", [&old_manifest]).unwrap();
    let reopen = || Vault::open(&bench.in_folder("r.db"), &bench.key, OpenMode::Command, bench.clock.clone(), Random);
    assert!(reopen().err().unwrap().is_damage());
    connection.execute("UPDATE manifest SET sealed = ?", [&sealed]).unwrap();
    drop(connection);
    let vault = reopen().unwrap();
    assert!(
        vault.standby().mark().unwrap().is_some()
            && vault.standby().may_be_stale(&all[1])
            && !vault.standby().may_be_stale(&all[0])
    );
    assert!(vault.standby().promote(&AuditContext::command_line()).await.unwrap());
    assert!(!vault.standby().promote(&AuditContext::command_line()).await.unwrap(), "once");
    let vault = reopen().unwrap();
    assert_eq!(
        (vault.standby().mark().unwrap(), vault.standby().count_stale().unwrap()),
        (None, 4),
        "stale until they are renewed"
    );
    assert!(!bench.vault.standby().may_be_stale(&all[1]), "the vault that was backed up knows nothing of it");
}

#[tokio::test]
async fn tokens_after_a_restore_are_not_stale() {
    let (bench, all) = Bench::filled().await;
    let backup = bench.back_up("b");
    let restored = Bench { vault: bench.restore(&backup, "r.db", true), ..bench.aside() };
    assert_eq!(restored.vault.standby().mark().unwrap(), None, "it lives at once");
    assert_eq!(restored.vault.standby().count_stale().unwrap(), 4);
    let ticket = super::refreshing::begin(&restored, &all[1]).await;
    let refreshed = super::refreshing::finish(&restored, &ticket, "new").await.unwrap();
    assert!(!restored.vault.standby().may_be_stale(&refreshed));
    let replaced = restored.replace(&all[3], new("bob", "github", tokens("at2", "rt2"))).await.unwrap();
    assert!(!restored.vault.standby().may_be_stale(&replaced));
    let added = restored.add("erin", "github", tokens("a", "r")).await;
    assert!(!restored.vault.standby().may_be_stale(&added));
    let theirs = Bench::new();
    let mut elsewhere = theirs.add("frank", "github", tokens("b", "s")).await;
    elsewhere.refreshing.restores = 7;
    for candidate in [
        restored.vault.transfer().candidate(&new("frank", "github", tokens("c", "t")), "n8n:1".into()),
        restored.vault.transfer().moved_candidate(
            TransferredCredential { summary: elsewhere, material: tokens("b", "s"), registration: None },
            Some(&user("grace")),
        ),
    ] {
        restored.vault.transfer().importer(false).import(candidate, &AuditContext::command_line()).await.unwrap();
    }
    assert_eq!(restored.vault.standby().count_stale().unwrap(), 2, "what is imported came after the restore");
    let again = restored.in_folder("b2");
    restored.vault.backups().write(&again, Existing::Keep, &BackupStop::default()).unwrap();
    let twice = restored.restore(&again, "r2.db", false);
    assert_eq!(twice.standby().count_stale().unwrap(), 7, "a second restore makes all of them doubtful again");
}

#[tokio::test]
async fn backup_keeps_the_keys_of_its_time() {
    let (bench, all) = Bench::filled().await;
    let before = bench.back_up("before");
    bench.vault.rotation().begin(&AuditContext::command_line()).await.unwrap();
    let mut place = RotationPlace::default();
    while bench.vault.rotation().reseal_some(&mut place, 3).await.unwrap().is_some() {
        let name = format!("amid-{}", bench.files().len());
        let told = bench.verify(&bench.back_up(&name)).unwrap();
        assert_eq!(told.contents.credentials, 8, "with half of it under each key");
    }
    bench.vault.rotation().end(&AuditContext::command_line()).await.unwrap();
    let new = MasterKey::generate(Random);
    bench.vault.key_slots().renew_root(&bench.key, &new, &AuditContext::command_line()).await.unwrap();
    let mut place = RotationPlace::default();
    while bench.vault.rotation().reseal_some(&mut place, 100).await.unwrap().is_some() {}
    bench.vault.rotation().end(&AuditContext::command_line()).await.unwrap();
    let after = bench.back_up("after");
    for (backup, opens, does_not) in [(&before, &bench.key, &new), (&after, &new, &bench.key)] {
        bench.restorer(opens).verify(BackupSource::open(backup).unwrap()).unwrap();
        let refused = bench.restorer(does_not).verify(BackupSource::open(backup).unwrap());
        assert!(matches!(refused, Err(BackupError::Vault(VaultError::WrongKey { .. }))), "{refused:?}");
    }
    let old = Bench { vault: bench.restore(&before, "old.db", false), ..bench.aside() };
    assert_eq!(texts(&old.read(&all[0]).await.unwrap().1), texts(&bench.read(&all[0]).await.unwrap().1));
}

/// Magic, format, length, fields, MAC.
fn head_length(file: &[u8]) -> usize {
    24 + usize::try_from(u32::from_be_bytes(file[20..24].try_into().unwrap())).unwrap() + 32
}

/// With a valid checksum, as an attacker without a key could write it.
fn resummed(mut file: Vec<u8>) -> Vec<u8> {
    use sha2::Digest as _;

    file.truncate(file.len() - 32);
    let sum: [u8; 32] = sha2::Sha256::digest(&file).into();
    file.extend_from_slice(&sum);
    file
}
