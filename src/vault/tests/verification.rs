//! Verification names what is damaged, moved, missing, extra or put back, and nothing else.

use super::*;

/// Findings after an attack, as `table row`, and each with its reason for the failure message.
fn found(bench: &Bench) -> Vec<(String, String)> {
    let report = bench.beside().integrity().verify().unwrap();
    report.findings.into_iter().map(|one| (one.table, one.row)).collect()
}

fn names(bench: &Bench, table: &str, row: &str) {
    let found = found(bench);
    assert!(found.contains(&(table.to_owned(), row.to_owned())), "{table} {row}: {found:?}");
}

async fn three(bench: &Bench) -> [String; 3] {
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(bench.add("alice", "p", api_key(name)).await.id.to_string());
    }
    ids.try_into().unwrap()
}

#[tokio::test]
async fn untouched_vault_passes() {
    let bench = Bench::new();
    three(&bench).await;
    super::api_keys::make(&bench.vault, KeyHolder::User(user("alice"))).await;
    let report = bench.vault.integrity().verify().unwrap();
    assert_eq!((report.findings.as_slice(), report.records, report.api_keys), ([].as_slice(), 7, 1));
}

#[tokio::test]
async fn missing_rows_are_reported() {
    let bench = Bench::new();
    let [first, second, _] = three(&bench).await;
    bench.attack(&format!(
        "DELETE FROM credential_secret WHERE id = '{first}'; DELETE FROM credential WHERE id = '{first}';
         PRAGMA foreign_keys = OFF; DELETE FROM credential WHERE id = '{second}'"
    ));
    names(&bench, "credential", &first);
    names(&bench, "credential", &second);
    names(&bench, "credential_secret", &second);
    names(&bench, "*", "*");
}

#[tokio::test]
async fn rows_put_back_are_reported() {
    let bench = Bench::new();
    let [first, second, third] = three(&bench).await;
    bench.attack("CREATE TABLE c AS SELECT * FROM credential; CREATE TABLE s AS SELECT * FROM credential_secret");
    let of = |id: &str| id.parse::<CredentialId>().unwrap();
    let alice = user("alice");
    bench.vault.credentials().update(&alice, &of(&first), title("new"), &AuditContext::system()).await.unwrap();
    let secret = SecretUpdate::ApiKey { api_key: Some(Secret::new("new")), expires_at: None, inputs: None };
    let amendment = CredentialUpdate { title: None, secret: Some(secret), exportable: None };
    bench.vault.credentials().update(&alice, &of(&second), amendment, &AuditContext::system()).await.unwrap();
    bench
        .vault
        .credentials()
        .delete(&alice, &of(&third), RevocationScope::Never, WEEK, &AuditContext::system())
        .await
        .unwrap();
    assert!(
        bench.vault.integrity().verify().unwrap().findings.iter().all(|one| one.table == "*"),
        "two strange tables at most"
    );
    bench.attack(
        "DELETE FROM credential_secret; DELETE FROM credential;
         INSERT INTO credential SELECT * FROM c; INSERT INTO credential_secret SELECT * FROM s;
         DROP TABLE c; DROP TABLE s",
    );
    for id in [first, second, third] {
        names(&bench, "credential", &id);
    }
}

#[tokio::test]
async fn missing_or_unrevoked_api_key_is_reported() {
    let bench = Bench::new();
    let (gone, _) = super::api_keys::make(&bench.vault, KeyHolder::User(user("alice"))).await;
    let (revoked, _) = super::api_keys::make(&bench.vault, KeyHolder::User(user("alice"))).await;
    bench.attack("CREATE TABLE k AS SELECT * FROM api_key");
    bench.vault.api_keys().revoke(revoked.id, &AuditContext::command_line()).await.unwrap();
    bench.attack(&format!(
        "DELETE FROM api_key; INSERT INTO api_key SELECT * FROM k WHERE id <> '{}'; DROP TABLE k",
        gone.id
    ));
    names(&bench, "api_key", &gone.id.to_string());
    names(&bench, "api_key", &revoked.id.to_string());
}

#[tokio::test]
async fn moved_and_edited_rows_are_reported() {
    for (change, table) in [
        ("UPDATE credential SET provider = 'github'", "credential"),
        ("UPDATE credential_secret SET revision = 2", "credential_secret"),
        ("UPDATE user SET created_at = 1", "user"),
        ("UPDATE pending_authorization SET expires_at = 1", "pending_authorization"),
        ("UPDATE revocation SET attempts = 7", "revocation"),
        ("UPDATE client_registration SET created_at = 1", "client_registration"),
        ("UPDATE signing_key SET created_at = 1", "signing_key"),
        ("UPDATE api_key SET permissions = 'ADMIN'", "api_key"),
        ("UPDATE api_key SET providers = ''", "api_key"),
    ] {
        let bench = Bench::new();
        super::rotation::one_of_each(&bench).await;
        super::api_keys::make(&bench.vault, KeyHolder::User(user("alice"))).await;
        assert_eq!(found(&bench), [], "{change}");
        bench.attack(change);
        let found = found(&bench);
        assert!(found.iter().any(|(named, row)| named == table && row != "*"), "{change}: {found:?}");
    }
}

#[tokio::test]
async fn row_with_an_empty_key_is_reported() {
    for (table, sql) in [
        ("user", "INSERT INTO user SELECT '', created_at, revision, data_key, sealed FROM user LIMIT 1"),
        ("signing_key", "INSERT INTO signing_key SELECT '', created_at, revision, data_key, sealed FROM user LIMIT 1"),
        (
            "revocation",
            "INSERT INTO revocation SELECT '', id, 'p', 'c', 0, 0, 0, revision, data_key, sealed FROM user LIMIT 1",
        ),
        (
            "credential",
            "PRAGMA foreign_keys = OFF; INSERT INTO credential SELECT '', '', provider, kind, status, in_doubt, created_at,
                 updated_at, expires_at, last_used_at, refresh_at, revision, secret_revision, data_key, summary
             FROM credential LIMIT 1",
        ),
    ] {
        let bench = Bench::new();
        three(&bench).await;
        bench.attack(sql);
        names(&bench, table, "");
    }
}

#[tokio::test]
async fn changed_schema_is_reported() {
    let edit = |name: &str, from: &str, to: &str| {
        format!(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '{from}', '{to}') WHERE name = '{name}'"
        )
    };
    for (change, name) in [
        (edit("credential", "expires_at", "expiresXat"), "credential"),
        (edit("api_key", "service IN (0, 1)", "service IN (0, 7)"), "api_key"),
        (edit("pending_authorization_user", "(user)", "(user, provider)"), "pending_authorization_user"),
        ("DROP INDEX revocation_due".to_owned(), "revocation_due"),
        ("CREATE INDEX more ON audit (actor, at)".to_owned(), "more"),
        ("CREATE TRIGGER again AFTER DELETE ON user BEGIN SELECT 1; END".to_owned(), "again"),
        ("CREATE VIEW users AS SELECT * FROM user".to_owned(), "users"),
        (
            "CREATE TABLE holds_on (user TEXT, id TEXT, FOREIGN KEY (user, id) REFERENCES Credential)".to_owned(),
            "holds_on",
        ),
    ] {
        let bench = Bench::new();
        bench.add("alice", "p", api_key("a")).await;
        bench.attack("CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER); CREATE INDEX l ON _litestream_seq (seq)");
        assert_eq!(found(&bench), [], "{change}");
        bench.attack(&change);
        names(&bench, "sqlite_schema", name);
    }
}

#[tokio::test]
async fn header_that_forbids_writing_is_reported() {
    let bench = Bench::new();
    bench.add("alice", "p", api_key("a")).await;
    let (path, key, clock) = (bench.path(), bench.key.to_file_text().unwrap(), bench.clock.clone());
    drop(bench.vault);
    let file = Connection::open(&path).unwrap();
    file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(file);
    // The version for writing (the file format of SQLite, 1.3.3): what is larger than 2 may be read
    // and not written.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[18] = 3;
    std::fs::write(&path, bytes).unwrap();
    let key = MasterKey::parse_file_text(key.expose()).unwrap();
    let vault = Vault::open(&path, &key, OpenMode::Command, clock, Random).unwrap();
    let findings = vault.integrity().verify().unwrap().findings;
    assert!(matches!(&findings[..], [one] if one.what.contains("header")), "{findings:?}");
}
