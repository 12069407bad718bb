//! Making and opening: which error for which fault, and who may be there at one time.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

#[test]
fn wrong_key_is_rejected_with_both_fingerprints() {
    let bench = Bench::new();
    assert!(bench.reopen_as(&bench.key).is_ok());
    let other = MasterKey::generate(Random);
    let Err(VaultError::WrongKey { expected, given }) = bench.reopen_as(&other) else { panic!("it opened") };
    assert_eq!(expected, [format!("key {} (slot 1)", bench.key.fingerprint().unwrap())]);
    let named = format!("this master key, key {}, does not open the vault", other.fingerprint().unwrap());
    assert_eq!(given, named);
    let phrase = MasterKey::Passphrase(Secret::new("correct horse"));
    assert!(matches!(bench.reopen_as(&phrase), Err(VaultError::WrongKey { .. })));
}

#[test]
fn passphrase_opens_its_vault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.db");
    let clock = Clock::manual(UnixTime(0));
    let phrase = |text: &str| MasterKey::Passphrase(Secret::new(text));
    drop(Vault::create(&path, &phrase("correct horse"), clock.clone(), Random).unwrap());
    let open = |key: &MasterKey| Vault::open(&path, key, OpenMode::Server, clock.clone(), Random);
    assert!(open(&phrase("correct horse")).is_ok());
    let wrong = open(&phrase("battery staple")).err().unwrap();
    assert!(matches!(wrong, VaultError::WrongKey { .. }), "{wrong}");
    assert!(!wrong.to_string().contains("staple"));
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("UPDATE slot SET salt = randomblob(16)").unwrap();
    assert!(matches!(open(&phrase("correct horse")), Err(VaultError::DamagedKeyring(_))));
}

#[test]
fn changed_keyring_is_damage_and_not_a_wrong_key() {
    for change in [
        "UPDATE slot SET wrapped_root = randomblob(72)",
        "UPDATE slot SET fingerprint = randomblob(8)",
        "UPDATE slot SET created_at = created_at + 1",
        "UPDATE slot SET checksum = checksum + 1",
        "UPDATE slot SET id = 2",
        "DELETE FROM slot",
        "INSERT INTO slot SELECT 2, kind, created_at, memory_kib, time_cost, lanes, salt, fingerprint, wrapped_root, checksum FROM slot",
        "UPDATE vault SET vault_id = randomblob(16)",
        "UPDATE vault SET created_at = created_at + 1",
        "UPDATE vault SET key_check = randomblob(16)",
        "UPDATE vault SET keyring_mac = randomblob(32)",
        "DELETE FROM vault",
        "UPDATE key SET wrapped = randomblob(72) WHERE purpose = 'audit'",
        "UPDATE key SET state = 'retired' WHERE purpose = 'data'",
        "UPDATE key SET version = 2 WHERE purpose = 'data'",
        "DELETE FROM key WHERE purpose = 'api_key'",
    ] {
        let bench = Bench::new();
        bench.attack(change);
        let error = bench.reopen_as(&bench.key).err().unwrap_or_else(|| panic!("opened after {change}"));
        assert!(matches!(error, VaultError::DamagedKeyring(_)), "{change}: {error}");
    }
}

#[test]
fn newer_foreign_and_missing_files_have_own_errors() {
    let bench = Bench::new();
    bench.attack("PRAGMA user_version = 9");
    assert!(matches!(
        bench.reopen_as(&bench.key),
        Err(VaultError::Store(StoreError::NewerFormat { found: 9, known: crate::store::SCHEMA_VERSION }))
    ));
    let at = |name: &str| {
        let path = bench.folder.path().join(name);
        Vault::open(&path, &bench.key, OpenMode::Command, bench.clock.clone(), Random).err().unwrap()
    };
    assert!(matches!(at("absent.db"), VaultError::Store(StoreError::NotFound(_))));
    assert!(!bench.folder.path().join("absent.db").exists());
    std::fs::write(bench.folder.path().join("empty.db"), "").unwrap();
    assert!(matches!(at("empty.db"), VaultError::Store(StoreError::NotAVault(_))));
    std::fs::write(bench.folder.path().join("text.db"), "x".repeat(5000)).unwrap();
    assert!(at("text.db").is_damage());
    symlink(bench.path(), bench.folder.path().join("link.db")).unwrap();
    assert!(matches!(at("link.db"), VaultError::Store(StoreError::NotAVault(_))));
}

#[test]
fn vault_is_not_created_over_a_file() {
    let bench = Bench::new();
    let again = Vault::create(&bench.path(), &bench.key, bench.clock.clone(), Random);
    assert!(matches!(again, Err(VaultError::Store(StoreError::AlreadyExists(_)))));
    assert!(bench.reopen_as(&bench.key).is_ok());
}

#[test]
fn one_server_runs_with_commands_beside_it() {
    let bench = Bench::new();
    let server = || Vault::open(&bench.path(), &bench.key, OpenMode::Server, bench.clock.clone(), Random);
    assert!(matches!(server(), Err(VaultError::Store(StoreError::Locked(_)))));
    let command = bench.beside();
    assert!(command.status().is_ok());
    let Bench { vault, key, clock, folder } = bench;
    drop(vault);
    let path = folder.path().join("v.db");
    assert!(Vault::open(&path, &key, OpenMode::Server, clock, Random).is_ok());
}

#[tokio::test]
async fn files_are_private_and_an_open_folder_is_reported() {
    let bench = Bench::new();
    bench.vault.users().add(&user("alice"), &AuditContext::system()).await.unwrap();
    bench.vault.writable().await.unwrap();
    for name in ["v.db", "v.db-wal", "v.db-shm", "v.db.lock"] {
        let mode = std::fs::metadata(bench.folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let open_to = |mode| std::fs::set_permissions(bench.folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    open_to(0o700);
    assert!(bench.vault.status().unwrap().warnings.is_empty());
    open_to(0o750);
    let warnings = bench.vault.status().unwrap().warnings;
    assert!(matches!(&warnings[..], [one] if one.contains("the folder ") && one.contains("0750")), "{warnings:?}");
}

#[test]
fn changed_manifest_keeps_the_vault_closed() {
    for change in [
        "DELETE FROM manifest",
        "UPDATE manifest SET sealed = randomblob(length(sealed))",
        "UPDATE manifest SET epoch = epoch + 1",
    ] {
        let bench = Bench::new();
        bench.attack(change);
        let error = bench.reopen_as(&bench.key).err().unwrap();
        assert!(matches!(error, VaultError::DamagedRow { table: "manifest", .. }), "{change}: {error}");
    }
}
