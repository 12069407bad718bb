//! An attacker with a SQL shell: moved, swapped and edited records are rejected by name.

use super::*;

/// Two credentials of alice and one of bob, all API keys of one provider.
pub(super) async fn three(bench: &Bench) -> [CredentialMetadata; 3] {
    [
        bench.add("alice", "p", api_key("first")).await,
        bench.add("alice", "p", api_key("second")).await,
        bench.add("bob", "p", api_key("third")).await,
    ]
}

#[tokio::test]
async fn edited_rows_are_rejected_by_name() {
    for (table, change) in [
        ("credential", "UPDATE credential SET provider = 'q'"),
        ("credential", "UPDATE credential SET kind = 'user_password'"),
        ("credential", "UPDATE credential SET status = 'needs_reauth'"),
        ("credential", "UPDATE credential SET in_doubt = 1"),
        ("credential", "UPDATE credential SET expires_at = NULL"),
        ("credential", "UPDATE credential SET created_at = 1"),
        ("credential", "UPDATE credential SET updated_at = 1"),
        ("credential", "UPDATE credential SET revision = 2"),
        ("credential", "UPDATE credential SET secret_revision = 2"),
        ("credential", "UPDATE credential SET data_key = 2"),
        ("credential", "UPDATE credential SET summary = randomblob(109)"),
        ("credential_secret", "UPDATE credential_secret SET revision = 2"),
        ("credential_secret", "UPDATE credential_secret SET data_key = 2"),
        ("credential_secret", "UPDATE credential_secret SET secret = randomblob(109)"),
        ("credential_secret", "DELETE FROM credential_secret"),
    ] {
        let bench = Bench::new();
        let [first, ..] = three(&bench).await;
        bench.attack(change);
        let read = bench.vault.credentials().read_secret(&first.user, &first.id, &AuditContext::system()).await;
        let Err(VaultError::DamagedRow { table: found, id, .. }) = read else { panic!("read after {change}") };
        assert_eq!((found, id), (table, first.id.to_string()), "{change}");
        assert_eq!(bench.audited("credential.read"), 0);
        assert_eq!(
            bench.vault.credentials().list(&first.user, None, CredentialPage::default()).is_err(),
            table == "credential",
            "{change}"
        );
    }
}

#[tokio::test]
async fn moved_records_do_not_open() {
    for column in [("credential", "summary"), ("credential_secret", "secret")] {
        let (table, column) = column;
        let bench = Bench::new();
        let three = three(&bench).await;
        bench.attack(&format!(
            "CREATE TABLE old AS SELECT * FROM {table};
             UPDATE {table} SET {column} = (SELECT {column} FROM old WHERE old.id <> {table}.id LIMIT 1)"
        ));
        for summary in three {
            let read = bench.vault.credentials().read_secret(&summary.user, &summary.id, &AuditContext::system()).await;
            assert!(matches!(read, Err(VaultError::DamagedRow { .. })), "{table}");
        }
    }
}

#[tokio::test]
async fn row_moved_to_another_user_does_not_open() {
    let bench = Bench::new();
    let [first, ..] = three(&bench).await;
    bench.attack(
        "PRAGMA foreign_keys = OFF; UPDATE credential SET user = 'bob'; UPDATE credential_secret SET user = 'bob'",
    );
    let bob = user("bob");
    let read = bench.vault.credentials().read_secret(&bob, &first.id, &AuditContext::system()).await;
    assert!(matches!(read, Err(VaultError::DamagedRow { table: "credential", .. })));
    assert!(bench.vault.credentials().list(&bob, None, CredentialPage::default()).is_err());
}

#[tokio::test]
async fn older_secret_is_rejected() {
    let bench = Bench::new();
    let [first, ..] = three(&bench).await;
    bench.attack("CREATE TABLE saved AS SELECT * FROM credential_secret");
    bench.replace(&first, new("alice", "p", api_key("newer"))).await.unwrap();
    bench.attack("DELETE FROM credential_secret; INSERT INTO credential_secret SELECT * FROM saved");
    let read = bench.vault.credentials().read_secret(&first.user, &first.id, &AuditContext::system()).await;
    assert!(matches!(read, Err(VaultError::DamagedRow { table: "credential_secret", .. })));
}

#[tokio::test]
async fn host_is_bound_to_the_secret() {
    let bench = Bench::new();
    let scoped = |host: &str| CredentialSecret::HostScoped {
        host: host.parse().unwrap(),
        headers: BTreeMap::from([("A".to_owned(), Secret::new("b"))]),
    };
    let [good, bad] = [
        bench.add("alice", "http", scoped("good.example")).await,
        bench.add("alice", "http", scoped("bad.example")).await,
    ];
    // Even an attacker who could seal metadata for another host could not open the secret with it.
    let opened = bench.vault.core().read(|view, keyring| {
        let row = view.credential("alice", &good.id.to_string())?.unwrap();
        let secret = view.secret("alice", &good.id.to_string())?.unwrap();
        let place = |host| record::RecordAad {
            table: "credential_secret",
            column: "secret",
            row: &row.id,
            revision: 1,
            kind: &row.kind,
            provider: &row.provider,
            user: &row.user,
            status: &row.status,
            expiry: row.expires_at,
            host,
            ..record::RecordAad::default()
        };
        let open = |host| record::open(keyring, &place(host), 1, &secret.secret).is_ok();
        Ok((open(good.host.as_ref()), open(bad.host.as_ref()), open(None)))
    });
    assert_eq!(opened.unwrap(), (true, false, false));
}

#[tokio::test]
async fn edited_login_user_or_revocation_is_rejected() {
    let bench = Bench::new();
    bench.vault.logins().begin("s", super::pending::login(&bench, "alice"), &AuditContext::system()).await.unwrap();
    bench.attack("UPDATE pending_authorization SET expires_at = expires_at + 1000000, user = 'bob'");
    let taken = bench
        .vault
        .logins()
        .take(LoginFlow::External, "s", &user("bob"), &"github".parse().unwrap(), &AuditContext::system())
        .await;
    assert!(matches!(taken, Err(VaultError::DamagedRow { table: "pending_authorization", .. })));
    let stored = bench.connect("alice", None).await;
    bench.delete(&stored, RevocationScope::Token).await;
    bench.attack("UPDATE revocation SET not_before = 0");
    let due = bench.vault.revocations().due(bench.clock.now(), bench.clock.now(), 9).unwrap();
    assert!(matches!(due[..], [Err(VaultError::DamagedRow { table: "revocation", .. })]));
    bench.attack("UPDATE user SET created_at = 0");
    assert!(matches!(bench.vault.users().list(), Err(VaultError::DamagedRow { table: "user", .. })));
}

#[tokio::test]
async fn inserted_trigger_or_view_has_no_effect() {
    let bench = Bench::new();
    let (github, who) = ("github".parse().unwrap(), AuditContext::system());
    bench.vault.logins().begin("s", super::pending::login(&bench, "alice"), &who).await.unwrap();
    bench.attack(
        "CREATE TRIGGER again AFTER DELETE ON pending_authorization BEGIN
             INSERT INTO pending_authorization VALUES (OLD.state_hash, OLD.user, OLD.provider, OLD.created_at,
                 OLD.expires_at, OLD.revision, OLD.data_key, OLD.sealed);
         END;
         CREATE TRIGGER untouched BEFORE UPDATE ON api_key BEGIN SELECT RAISE(IGNORE); END;",
    );
    let alice = user("alice");
    assert!(bench.vault.logins().take(LoginFlow::External, "s", &alice, &github, &who).await.unwrap().is_some());
    assert!(
        bench.vault.logins().take(LoginFlow::External, "s", &alice, &github, &who).await.unwrap().is_none(),
        "a state works once"
    );
    let (key, text) = super::api_keys::make(&bench.vault, KeyHolder::User(alice)).await;
    assert!(bench.vault.api_keys().revoke(key.id, &who).await.unwrap());
    assert!(bench.vault.api_keys().authenticate(text.expose()).unwrap().is_none());
    bench.assert_manifest_holds();
    bench.attack("ALTER TABLE user RENAME TO kept; CREATE VIEW user AS SELECT * FROM kept");
    assert!(bench.beside().users().list().is_err());
}

#[tokio::test]
async fn impossible_column_value_is_damage() {
    for change in [
        "UPDATE credential SET data_key = -1",
        "UPDATE credential SET provider = CAST(x'ff' AS TEXT)",
        "UPDATE credential_secret SET data_key = 5000000000",
        "PRAGMA ignore_check_constraints = ON; UPDATE api_key SET mac = x'00'",
        "UPDATE manifest SET data_key = -1",
    ] {
        let bench = Bench::new();
        let [first, ..] = three(&bench).await;
        let (_, text) = super::api_keys::make(&bench.vault, KeyHolder::User(user("alice"))).await;
        bench.attack(change);
        let asked = bench.vault.api_keys().authenticate(text.expose()).map(|_| ());
        let read =
            bench.vault.credentials().read_secret(&first.user, &first.id, &AuditContext::system()).await.map(|_| ());
        let error = asked.and(read).expect_err(change);
        assert!(error.is_damage(), "{change}: {error}");
    }
}

#[tokio::test]
async fn damaged_revocation_does_not_block_the_others() {
    let bench = Bench::new();
    for account in ["1", "2"] {
        let stored = bench.connect("alice", Some(account)).await;
        bench.delete(&stored, RevocationScope::Token).await;
    }
    let later = bench.clock.now().plus(Duration::from_secs(61));
    bench.attack("UPDATE revocation SET not_before = 0 WHERE id = (SELECT min(id) FROM revocation)");
    let due = bench.vault.revocations().due(later, later, 9).unwrap();
    assert!(matches!(due[..], [Err(VaultError::DamagedRow { table: "revocation", .. }), Ok(_)]), "the oldest first");
    bench.attack("UPDATE revocation SET data_key = -1 WHERE not_before = 0");
    let due = bench.vault.revocations().due(later, later, 9).unwrap();
    assert!(matches!(&due[..], [Err(error), Ok(_)] if error.is_damage()), "one that cannot even be read");
}

#[tokio::test]
async fn edited_end_does_not_give_up_a_revocation() {
    let bench = Bench::new();
    for account in ["1", "2"] {
        let stored = bench.connect("alice", Some(account)).await;
        bench.delete(&stored, RevocationScope::Token).await;
    }
    let bounds = RetryBounds { time: WEEK, tries: 40 };
    for edit in ["give_up_at = 1", "give_up_at = 9000000000, attempts = 99", "give_up_at = 1, data_key = -1"] {
        bench.attack(&format!("UPDATE revocation SET {edit} WHERE id = (SELECT min(id) FROM revocation)"));
        let dropped = bench.vault.revocations().drop_expired(bench.clock.now(), bounds).await.unwrap();
        assert!(matches!(&dropped[..], [Err(error)] if error.is_damage()), "{edit}");
        assert_eq!(bench.audited("revocation.give_up"), 0, "{edit}");
    }
    let end = bench.clock.now().plus(WEEK);
    let dropped = bench.vault.revocations().drop_expired(end, bounds).await.unwrap();
    assert!(matches!(&dropped[..], [Err(_), Ok(_)]), "it keeps no other from being given up");
    assert_eq!((bench.audited("revocation.give_up"), bench.vault.status().unwrap().revocations), (1, 1));
}

#[tokio::test]
async fn damaged_login_stays_and_does_not_block_clean_up() {
    for edit in ["provider = 'x'", "expires_at = 1", "data_key = -1", "sealed = zeroblob(500)"] {
        let bench = Bench::new();
        for state in ["s", "t"] {
            bench
                .vault
                .logins()
                .begin(state, super::pending::login(&bench, "alice"), &AuditContext::system())
                .await
                .unwrap();
        }
        let first = "state_hash = (SELECT min(state_hash) FROM pending_authorization)";
        bench.attack(&format!("UPDATE pending_authorization SET {edit} WHERE {first}"));
        assert_eq!(bench.vault.logins().purge_expired(bench.clock.now()).await.unwrap(), 0, "{edit}");
        let end = bench.clock.now().plus(Duration::from_secs(600));
        assert_eq!(bench.vault.logins().purge_expired(end).await.unwrap(), 1, "{edit}");
        assert_eq!(bench.vault.status().unwrap().pending, 1, "{edit}");
        assert!(!bench.beside().integrity().verify().unwrap().holds(), "{edit}");
    }
}

#[tokio::test]
async fn damaged_credential_does_not_hide_the_others() {
    for change in [
        "UPDATE credential SET status = 'needs_reauth'",
        "UPDATE credential SET data_key = -1",
        "UPDATE credential SET provider = CAST(x'70ff' AS TEXT)",
    ] {
        let bench = Bench::new();
        let [first, second, _] = three(&bench).await;
        bench.attack(&format!("{change} WHERE id = '{}'", first.id));
        let listed = bench
            .vault
            .credentials()
            .list_each(&first.user, &KeyLimits::default(), None, CredentialPage::default())
            .unwrap();
        let [Err(VaultError::DamagedRow { id, .. }), Ok(other)] = &listed[..] else { panic!("{change}") };
        assert_eq!((id, other.id), (&first.id.to_string(), second.id), "{change}");
    }
}

#[tokio::test]
async fn grant_of_a_damaged_credential_is_not_revoked() {
    let bench = Bench::new();
    let (first, second) = (bench.connect("alice", Some("1")).await, bench.connect("alice", Some("2")).await);
    bench.attack(&format!("UPDATE credential SET updated_at = 1 WHERE id = '{}'", first.id));
    let deleted = bench.delete(&second, RevocationScope::UnlessShared(vec!["github".parse().unwrap()])).await.unwrap();
    assert!(deleted.revocation.is_none());
}

#[tokio::test]
async fn login_for_a_damaged_credential_keeps_its_tokens() {
    for damage in [
        "UPDATE credential SET summary = randomblob(109)",
        "UPDATE credential_secret SET secret = randomblob(109)",
        "DELETE FROM credential_secret",
    ] {
        let bench = Bench::new();
        let old = bench.connect("alice", Some("42")).await;
        bench.attack(damage);
        let granted = |access: &str| new("alice", "github", tokens(access, "refresh"));
        let login = NewLogin { first: granted("first"), further: vec![("user".into(), granted("further"))] };
        let kept =
            bench.vault.credentials().keep_login(login, reconnecting(&old), &AuditContext::system()).await.unwrap();
        let KeptLogin::Kept { first, further } = kept else { panic!("refused after {damage}") };
        assert!(first.id != old.id && further[0].id != old.id, "{damage}");
        assert_eq!(texts(&bench.read(&first).await.unwrap().1)[0], "first");
        assert_eq!(texts(&bench.read(&further[0]).await.unwrap().1)[0], "further");
        let damaged = bench.vault.credentials().read_secret(&old.user, &old.id, &AuditContext::system()).await;
        assert!(matches!(damaged, Err(VaultError::DamagedRow { .. })), "{damage}: it is still told of");
    }
}

#[tokio::test]
async fn damaged_rows_of_a_removed_user_stay_for_a_repair() {
    for change in [
        "UPDATE credential SET updated_at = 1",
        "UPDATE credential SET data_key = -1",
        "UPDATE credential_secret SET secret = randomblob(109)",
        "DELETE FROM credential_secret",
    ] {
        let (bench, who) = (Bench::new(), AuditContext::command_line());
        let (first, second) = (bench.connect("alice", Some("1")).await, bench.connect("alice", Some("2")).await);
        for state in ["s", "t"] {
            bench.vault.logins().begin(state, super::pending::login(&bench, "alice"), &who).await.unwrap();
        }
        super::api_keys::make(&bench.vault, KeyHolder::User(user("alice"))).await;
        let login = "state_hash = (SELECT min(state_hash) FROM pending_authorization)";
        bench.attack(&format!("{change} WHERE id = '{}'", first.id));
        bench.attack(&format!("UPDATE pending_authorization SET data_key = -1 WHERE {login}"));
        let alice = user("alice");
        let remove = || bench.vault.users().remove(&alice, |_| RevocationScope::Token, WEEK, &who);
        let removed = remove().await.unwrap().unwrap();
        assert_eq!((removed.damaged, removed.credentials.len()), (1, 1), "{change}");
        assert_eq!(removed.credentials[0].summary.id, second.id);
        assert!(removed.credentials[0].revocation.is_some());
        let status = bench.vault.status().unwrap();
        assert_eq!((status.credentials, status.pending, status.api_keys), (1, 1, 0), "{change}");
        assert!(bench.vault.users().exists(&alice).unwrap(), "its credential refers to it");
        let plan = bench.vault.integrity().plan_repair(&who).await.unwrap();
        assert_eq!(plan.damaged.len(), 2, "{change}: {plan:?}");
        bench.vault.integrity().repair(&plan, &who).await.unwrap();
        assert_eq!(remove().await.unwrap().unwrap().damaged, 0);
        assert!(!bench.vault.users().exists(&alice).unwrap());
        assert_eq!(bench.vault.integrity().verify().unwrap().findings, [], "{change}");
    }
}

#[tokio::test]
async fn credential_with_a_damaged_secret_is_not_deleted() {
    let bench = Bench::new();
    let stored = bench.add("alice", "x", api_key("k")).await;
    bench.attack("UPDATE credential_secret SET secret = randomblob(109)");
    let (alice, who) = (user("alice"), AuditContext::system());
    let deleted = bench.vault.credentials().delete(&alice, &stored.id, RevocationScope::Never, WEEK, &who).await;
    assert!(matches!(deleted, Err(VaultError::DamagedRow { .. })));
    let plan = bench.vault.integrity().plan_repair(&who).await.unwrap();
    assert_eq!((plan.damaged.len(), plan.rest.len()), (1, 0));
}
