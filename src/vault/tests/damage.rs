//! Somebody with a SQL shell: what was moved, swapped or edited is refused, by name.

use super::*;

/// Two credentials of alice and one of bob, all API keys of one provider.
async fn three(bench: &Bench) -> [Summary; 3] {
    [
        bench.add("alice", "p", api_key("first")).await,
        bench.add("alice", "p", api_key("second")).await,
        bench.add("bob", "p", api_key("third")).await,
    ]
}

#[tokio::test]
async fn edited_rows_are_refused_by_name() {
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
        let read = bench.vault.material(&first.user, &first.id, &Who::system()).await;
        let Err(VaultError::DamagedRow { table: found, id, .. }) = read else { panic!("read after {change}") };
        assert_eq!((found, id), (table, first.id.to_string()), "{change}");
        assert_eq!(bench.audited("credential.read"), 0);
        assert_eq!(bench.vault.list(&first.user, None, Page::default()).is_err(), table == "credential", "{change}");
    }
}

#[tokio::test]
async fn swapped_and_moved_records_do_not_open() {
    for column in [("credential", "summary"), ("credential_secret", "secret")] {
        let (table, column) = column;
        let bench = Bench::new();
        let three = three(&bench).await;
        bench.attack(&format!(
            "CREATE TABLE old AS SELECT * FROM {table};
             UPDATE {table} SET {column} = (SELECT {column} FROM old WHERE old.id <> {table}.id LIMIT 1)"
        ));
        for summary in three {
            let read = bench.vault.material(&summary.user, &summary.id, &Who::system()).await;
            assert!(matches!(read, Err(VaultError::DamagedRow { .. })), "{table}");
        }
    }
}

#[tokio::test]
async fn a_whole_row_given_to_another_user_does_not_open() {
    let bench = Bench::new();
    let [first, ..] = three(&bench).await;
    bench.attack(
        "PRAGMA foreign_keys = OFF; UPDATE credential SET user = 'bob'; UPDATE credential_secret SET user = 'bob'",
    );
    let bob = user("bob");
    let read = bench.vault.material(&bob, &first.id, &Who::system()).await;
    assert!(matches!(read, Err(VaultError::DamagedRow { table: "credential", .. })));
    assert!(bench.vault.list(&bob, None, Page::default()).is_err());
}

#[tokio::test]
async fn an_older_secret_that_is_put_back_is_refused() {
    let bench = Bench::new();
    let [first, ..] = three(&bench).await;
    bench.attack("CREATE TABLE saved AS SELECT * FROM credential_secret");
    bench.replace(&first, new("alice", "p", api_key("newer"))).await.unwrap();
    bench.attack("DELETE FROM credential_secret; INSERT INTO credential_secret SELECT * FROM saved");
    let read = bench.vault.material(&first.user, &first.id, &Who::system()).await;
    assert!(matches!(read, Err(VaultError::DamagedRow { table: "credential_secret", .. })));
}

#[tokio::test]
async fn the_host_of_a_secret_cannot_be_exchanged() {
    let bench = Bench::new();
    let scoped = |host: &str| Material::HostScoped {
        host: host.parse().unwrap(),
        headers: BTreeMap::from([("A".to_owned(), Secret::new("b"))]),
    };
    let [good, bad] = [
        bench.add("alice", "http", scoped("good.example")).await,
        bench.add("alice", "http", scoped("bad.example")).await,
    ];
    // Even somebody who could seal a summary for another host would not open the secret with it.
    let opened = bench.vault.look(|view, keyring| {
        let row = view.credential("alice", &good.id.to_string())?.unwrap();
        let secret = view.secret("alice", &good.id.to_string())?.unwrap();
        let place = |host| record::Place {
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
            ..record::Place::default()
        };
        let open = |host| record::open(keyring, &place(host), 1, &secret.secret).is_ok();
        Ok((open(good.host.as_ref()), open(bad.host.as_ref()), open(None)))
    });
    assert_eq!(opened.unwrap(), (true, false, false));
}

#[tokio::test]
async fn an_edited_login_user_or_revocation_is_refused() {
    let bench = Bench::new();
    bench.vault.put_pending("s", super::pending::login(&bench, "alice"), &Who::system()).await.unwrap();
    bench.attack("UPDATE pending_authorization SET expires_at = expires_at + 1000000, user = 'bob'");
    let taken = bench.vault.take_pending("s", &user("bob"), &"github".parse().unwrap(), &Who::system()).await;
    assert!(matches!(taken, Err(VaultError::DamagedRow { table: "pending_authorization", .. })));
    let stored = bench.connect("alice", None).await;
    bench.delete(&stored, Revocation::Token).await;
    bench.attack("UPDATE revocation SET not_before = 0");
    let due = bench.vault.due_revocations(bench.clock.now(), bench.clock.now(), 9).unwrap();
    assert!(matches!(due[..], [Err(VaultError::DamagedRow { table: "revocation", .. })]));
    bench.attack("UPDATE user SET created_at = 0");
    assert!(matches!(bench.vault.users(), Err(VaultError::DamagedRow { table: "user", .. })));
}

#[tokio::test]
async fn a_trigger_or_a_view_that_was_put_into_the_file_does_nothing() {
    let bench = Bench::new();
    let (github, who) = ("github".parse().unwrap(), Who::system());
    bench.vault.put_pending("s", super::pending::login(&bench, "alice"), &who).await.unwrap();
    bench.attack(
        "CREATE TRIGGER again AFTER DELETE ON pending_authorization BEGIN
             INSERT INTO pending_authorization VALUES (OLD.state_hash, OLD.user, OLD.provider, OLD.created_at,
                 OLD.expires_at, OLD.revision, OLD.data_key, OLD.sealed);
         END;
         CREATE TRIGGER untouched BEFORE UPDATE ON api_key BEGIN SELECT RAISE(IGNORE); END;",
    );
    let alice = user("alice");
    assert!(bench.vault.take_pending("s", &alice, &github, &who).await.unwrap().is_some());
    assert!(bench.vault.take_pending("s", &alice, &github, &who).await.unwrap().is_none(), "a state works once");
    let (key, text) = super::api_keys::make(&bench.vault, Holder::User(alice)).await;
    assert!(bench.vault.revoke_api_key(key.id, &who).await.unwrap());
    assert!(bench.vault.authenticate(text.expose()).unwrap().is_none());
    bench.assert_manifest_holds();
    bench.attack("ALTER TABLE user RENAME TO kept; CREATE VIEW user AS SELECT * FROM kept");
    assert!(bench.beside().users().is_err());
}

#[tokio::test]
async fn a_value_that_no_column_can_have_is_damage() {
    for change in [
        "UPDATE credential SET data_key = -1",
        "UPDATE credential SET provider = CAST(x'ff' AS TEXT)",
        "UPDATE credential_secret SET data_key = 5000000000",
        "PRAGMA ignore_check_constraints = ON; UPDATE api_key SET mac = x'00'",
        "UPDATE manifest SET data_key = -1",
    ] {
        let bench = Bench::new();
        let [first, ..] = three(&bench).await;
        let (_, text) = super::api_keys::make(&bench.vault, Holder::User(user("alice"))).await;
        bench.attack(change);
        let asked = bench.vault.authenticate(text.expose()).map(|_| ());
        let read = bench.vault.material(&first.user, &first.id, &Who::system()).await.map(|_| ());
        let error = asked.and(read).expect_err(change);
        assert!(error.is_damage(), "{change}: {error}");
    }
}

#[tokio::test]
async fn a_damaged_row_in_the_queue_does_not_keep_the_others_from_their_turn() {
    let bench = Bench::new();
    for account in ["1", "2"] {
        let stored = bench.connect("alice", Some(account)).await;
        bench.delete(&stored, Revocation::Token).await;
    }
    let later = bench.clock.now().plus(Duration::from_secs(61));
    bench.attack("UPDATE revocation SET not_before = 0 WHERE id = (SELECT min(id) FROM revocation)");
    let due = bench.vault.due_revocations(later, later, 9).unwrap();
    assert!(matches!(due[..], [Err(VaultError::DamagedRow { table: "revocation", .. }), Ok(_)]), "the oldest first");
    bench.attack("UPDATE revocation SET data_key = -1 WHERE not_before = 0");
    let due = bench.vault.due_revocations(later, later, 9).unwrap();
    assert!(matches!(&due[..], [Err(error), Ok(_)] if error.is_damage()), "one that cannot even be read");
}

#[tokio::test]
async fn a_revocation_whose_end_was_edited_is_not_given_up_for_it() {
    let bench = Bench::new();
    for account in ["1", "2"] {
        let stored = bench.connect("alice", Some(account)).await;
        bench.delete(&stored, Revocation::Token).await;
    }
    let bounds = RetryBounds { time: WEEK, tries: 40 };
    for edit in ["give_up_at = 1", "give_up_at = 9000000000, attempts = 99", "give_up_at = 1, data_key = -1"] {
        bench.attack(&format!("UPDATE revocation SET {edit} WHERE id = (SELECT min(id) FROM revocation)"));
        let dropped = bench.vault.drop_expired_revocations(bench.clock.now(), bounds).await.unwrap();
        assert!(matches!(&dropped[..], [Err(error)] if error.is_damage()), "{edit}");
        assert_eq!(bench.audited("revocation.give_up"), 0, "{edit}");
    }
    let end = bench.clock.now().plus(WEEK);
    let dropped = bench.vault.drop_expired_revocations(end, bounds).await.unwrap();
    assert!(matches!(&dropped[..], [Err(_), Ok(_)]), "it keeps no other from being given up");
    assert_eq!((bench.audited("revocation.give_up"), bench.vault.status().unwrap().revocations), (1, 1));
}

#[tokio::test]
async fn a_begun_login_that_is_damaged_stays_to_be_named_and_keeps_no_other_from_its_end() {
    for edit in ["provider = 'x'", "expires_at = 1", "data_key = -1", "sealed = zeroblob(500)"] {
        let bench = Bench::new();
        for state in ["s", "t"] {
            bench.vault.put_pending(state, super::pending::login(&bench, "alice"), &Who::system()).await.unwrap();
        }
        let first = "state_hash = (SELECT min(state_hash) FROM pending_authorization)";
        bench.attack(&format!("UPDATE pending_authorization SET {edit} WHERE {first}"));
        assert_eq!(bench.vault.purge_pending(bench.clock.now()).await.unwrap(), 0, "{edit}");
        let end = bench.clock.now().plus(Duration::from_secs(600));
        assert_eq!(bench.vault.purge_pending(end).await.unwrap(), 1, "{edit}");
        assert_eq!(bench.vault.status().unwrap().pending, 1, "{edit}");
        assert!(!bench.beside().verify().unwrap().holds(), "{edit}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_just_now_is_not_erased_as_damaged() {
    let bench = Bench::new();
    let [first, ..] = three(&bench).await;
    // A failure that is no damage of the row: under this schema no statement finds its secret.
    bench.attack("ALTER TABLE credential_secret RENAME COLUMN secret TO elsewhere");
    let refused = bench.vault.remove_damaged(&first.id, &Who::command_line()).await;
    assert!(matches!(refused, Err(VaultError::DoesNotHold { .. })), "{refused:?}");
    bench.attack("ALTER TABLE credential_secret RENAME COLUMN elsewhere TO secret");
    assert!(bench.read(&first).await.is_some());
}

#[tokio::test]
async fn a_damaged_credential_keeps_no_other_from_being_seen() {
    for change in [
        "UPDATE credential SET status = 'needs_reauth'",
        "UPDATE credential SET data_key = -1",
        "UPDATE credential SET provider = CAST(x'70ff' AS TEXT)",
    ] {
        let bench = Bench::new();
        let [first, second, _] = three(&bench).await;
        bench.attack(&format!("{change} WHERE id = '{}'", first.id));
        let mut listed = Vec::new();
        let each = |row: Result<&Summary, VaultError>| listed.push(row.map(|summary| summary.id));
        bench.vault.list_each(&first.user, None, Page::default(), each).unwrap();
        let [Err(VaultError::DamagedRow { id, .. }), Ok(other)] = &listed[..] else { panic!("{change}") };
        assert_eq!((id, *other), (&first.id.to_string(), second.id), "{change}");
    }
}

#[tokio::test]
async fn a_damaged_credential_is_erased_and_the_manifest_holds_for_the_rest() {
    for change in [
        "UPDATE credential SET summary = randomblob(109)",
        "UPDATE credential SET revision = 7",
        "UPDATE credential SET data_key = -1",
        "UPDATE credential_secret SET secret = randomblob(3)",
        "DELETE FROM credential_secret",
        "DELETE FROM credential",
    ] {
        let bench = Bench::new();
        let [first, second, _] = three(&bench).await;
        let who = Who::command_line();
        assert_eq!(bench.vault.remove_damaged(&first.id, &who).await.unwrap(), DamagedRemoval::Sound, "{change}");
        bench.attack(&format!("PRAGMA foreign_keys = OFF; {change} WHERE id = '{}'", first.id));
        assert!(!bench.vault.verify().unwrap().holds(), "{change}");
        let removed = bench.vault.remove_damaged(&first.id, &who).await.unwrap();
        assert_eq!(removed, DamagedRemoval::Done { holds: true }, "{change}");
        assert_eq!(bench.vault.verify().unwrap().findings, [], "{change}");
        assert_eq!(bench.vault.list(&first.user, None, Page::default()).unwrap().len(), 1);
        assert!(bench.read(&second).await.is_some());
        let again = bench.vault.remove_damaged(&first.id, &who).await.unwrap();
        assert_eq!(again, DamagedRemoval::Absent, "{change}");
    }
}

#[tokio::test]
async fn erasing_a_damaged_credential_covers_up_nothing_else() {
    let bench = Bench::new();
    let [first, second, third] = three(&bench).await;
    bench.attack(&format!(
        "UPDATE credential SET revision = 7 WHERE id = '{}';
         DELETE FROM credential_secret WHERE id = '{}'; DELETE FROM credential WHERE id = '{}'",
        first.id, second.id, second.id
    ));
    let removed = bench.vault.remove_damaged(&first.id, &Who::command_line()).await.unwrap();
    assert_eq!(removed, DamagedRemoval::Done { holds: false });
    let named = bench.vault.verify().unwrap().findings;
    assert!(named.iter().any(|found| found.row == second.id.to_string()), "{named:?}");
    assert!(bench.read(&third).await.is_some());
}

#[tokio::test]
async fn a_grant_that_a_damaged_credential_may_hang_on_is_not_ended() {
    let bench = Bench::new();
    let (first, second) = (bench.connect("alice", Some("1")).await, bench.connect("alice", Some("2")).await);
    bench.attack(&format!("UPDATE credential SET updated_at = 1 WHERE id = '{}'", first.id));
    let deleted = bench.delete(&second, Revocation::UnlessShared(vec!["github".parse().unwrap()])).await.unwrap();
    assert!(deleted.revocation.is_none());
}

#[tokio::test]
async fn a_login_that_comes_back_to_a_damaged_credential_loses_no_tokens() {
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
        let kept = bench.vault.keep_login(login, Some(replacement(&old)), &Who::system()).await.unwrap();
        let KeptLogin::Kept { first, further } = kept else { panic!("refused after {damage}") };
        assert!(first.id != old.id && further[0].id != old.id, "{damage}");
        assert_eq!(texts(&bench.read(&first).await.unwrap().1)[0], "first");
        assert_eq!(texts(&bench.read(&further[0]).await.unwrap().1)[0], "further");
        let damaged = bench.vault.material(&old.user, &old.id, &Who::system()).await;
        assert!(matches!(damaged, Err(VaultError::DamagedRow { .. })), "{damage}: it is still told of");
    }
}

/// A login that is begun by alice, two revocations, a registration and a key of our own.
async fn passing(bench: &Bench) {
    let who = Who::system();
    for state in ["sound", "damaged"] {
        bench.vault.put_pending(state, super::pending::login(bench, "alice"), &who).await.unwrap();
        let stored = bench.connect("alice", Some(state)).await;
        bench.delete(&stored, Revocation::Token).await.unwrap();
    }
    let at = RegisteredAt { issuer: "https://a.example".into(), redirect_uri: "https://b.example".into() };
    let client = ClientRegistration {
        client_id: "c".into(),
        client_secret: None,
        secret_expires_at: None,
        token_auth: "none".into(),
    };
    bench.vault.put_registration(&at, client, None, &who).await.unwrap();
    bench.vault.ensure_signing_key(&who).await.unwrap();
}

async fn repair(bench: &Bench, rest: Rest) -> Repair {
    bench.vault.repair(rest, &Who::command_line()).await.unwrap()
}

/// Tables whose rows can be done without, the columns of their keys, and how many of two are left when one is erased.
const PASSING: [(&str, &str, i64); 4] = [
    ("pending_authorization", "state_hash", 1),
    ("revocation", "id", 1),
    ("client_registration", "lookup", 0),
    ("signing_key", "id", 0),
];

fn change_one(table: &str, key: &str, change: &str) -> String {
    format!("UPDATE {table} SET {change} WHERE {key} = (SELECT max({key}) FROM {table})")
}

fn count(bench: &Bench, table: &str) -> i64 {
    let connection = Connection::open(bench.path()).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn what_can_be_done_without_is_erased_where_it_is_damaged_and_nothing_else_is() {
    for (table, key, left) in PASSING {
        for change in [
            "revision = 7".to_owned(),
            "data_key = -1".to_owned(),
            "sealed = randomblob(109)".to_owned(),
            // A key of which nothing can be made; what is a hash has to have its length.
            format!("{key} = CAST(x'{}' AS {})", "ff".repeat(32), if key == "id" { "TEXT" } else { "BLOB" }),
        ] {
            let bench = Bench::new();
            let [first, ..] = three(&bench).await;
            passing(&bench).await;
            let nothing = repair(&bench, Rest::Doubted).await;
            assert_eq!(nothing, Repair { erased: Vec::new(), accepted: Vec::new(), holds: true });
            bench.attack(&change_one(table, key, &change));
            assert!(!bench.vault.verify().unwrap().holds(), "{table} {change}");
            let done = repair(&bench, Rest::Doubted).await;
            assert!(matches!(&done.erased[..], [one] if one.table == table), "{table} {change}: {:?}", done.erased);
            // Whether what was erased is what was counted cannot be told any more.
            assert!(!done.holds && !bench.vault.verify().unwrap().holds(), "{table} {change}");
            let done = repair(&bench, Rest::Accepted).await;
            assert_eq!((done.erased.len(), done.accepted.len(), done.holds), (0, 0, true), "{table} {change}");
            assert_eq!(bench.vault.verify().unwrap().findings, [], "{table} {change}");
            assert_eq!(bench.audited("vault.repair"), 2, "the row, and that what is left was accepted");
            assert_eq!(count(&bench, table), left, "{table} {change}");
            assert_eq!((count(&bench, "credential"), count(&bench, "user")), (3, 2), "{table} {change}");
            assert!(bench.read(&first).await.is_some());
        }
    }
}

#[tokio::test]
async fn damage_of_what_is_not_counted_is_shown_to_be_all_and_needs_no_faith() {
    for (table, key, left) in PASSING {
        let bench = Bench::new();
        passing(&bench).await;
        let column = if table == "revocation" { "not_before" } else { "created_at" };
        bench.attack(&change_one(table, key, &format!("{column} = 7")));
        let done = repair(&bench, Rest::Doubted).await;
        assert_eq!((done.erased.len(), done.holds), (1, true), "{table}");
        assert_eq!(bench.vault.verify().unwrap().findings, [], "{table}");
        assert_eq!(count(&bench, table), left, "{table}");
    }
}

#[tokio::test]
async fn what_somebody_put_there_is_erased_and_the_manifest_is_as_it_was() {
    let bench = Bench::new();
    passing(&bench).await;
    bench.attack(GARBAGE);
    let done = repair(&bench, Rest::Doubted).await;
    assert_eq!((done.erased.len(), done.holds), (1, true));
    assert_eq!(bench.vault.verify().unwrap().findings, []);
}

/// A revocation that nobody queued.
const GARBAGE: &str =
    "INSERT INTO revocation SELECT 'x', user, provider, credential, 0, 0, 0, 1, 1, sealed FROM revocation LIMIT 1";

#[tokio::test]
async fn what_somebody_put_there_pays_for_nothing_that_is_missing() {
    let bench = Bench::new();
    passing(&bench).await;
    bench.attack(GARBAGE);
    bench.attack(
        "DELETE FROM pending_authorization WHERE state_hash = (SELECT max(state_hash) FROM pending_authorization)",
    );
    let done = repair(&bench, Rest::Doubted).await;
    assert_eq!((done.erased.len(), done.holds), (1, false));
    assert!(!bench.vault.verify().unwrap().holds());
}

#[tokio::test]
async fn a_forged_log_lends_no_faith() {
    let bench = Bench::new();
    let [first, second, _] = three(&bench).await;
    bench.attack(&format!(
        "INSERT INTO audit SELECT 1000000, at, 'credential.delete', result, actor, user, provider, '{second}', NULL, address,
             request_id, key_version, mac FROM audit WHERE credential = '{second}';
         DELETE FROM credential_secret WHERE id = '{second}'; DELETE FROM credential WHERE id = '{second}';
         INSERT INTO credential SELECT user, 'y', provider, kind, status, in_doubt, created_at, updated_at, expires_at,
             last_used_at, revision, secret_revision, data_key, summary, refresh_at FROM credential WHERE id = '{first}';
         INSERT INTO credential_secret SELECT user, 'y', revision, data_key, secret FROM credential_secret WHERE id = '{first}';
         UPDATE credential SET revision = 9 WHERE id = '{first}'",
        first = first.id,
        second = second.id
    ));
    let removed = bench.vault.remove_damaged(&first.id, &Who::command_line()).await.unwrap();
    assert_eq!(removed, DamagedRemoval::Done { holds: false });
    bench.attack("DELETE FROM audit WHERE seq = 1000000");
    let named = bench.vault.verify().unwrap().findings;
    assert!(named.iter().any(|found| found.row == second.id.to_string()), "{named:?}");
}

#[tokio::test]
async fn of_several_that_are_damaged_the_last_one_closes_the_account() {
    let bench = Bench::new();
    let [first, second, third] = three(&bench).await;
    bench.attack(&format!(
        "UPDATE credential SET revision = 7 WHERE id = '{}'; UPDATE credential SET data_key = -1 WHERE id = '{}'",
        first.id, second.id
    ));
    let who = Who::command_line();
    assert_eq!(bench.vault.remove_damaged(&first.id, &who).await.unwrap(), DamagedRemoval::Done { holds: false });
    assert!(!bench.vault.verify().unwrap().holds());
    assert_eq!(bench.vault.remove_damaged(&second.id, &who).await.unwrap(), DamagedRemoval::Done { holds: true });
    assert_eq!(bench.vault.verify().unwrap().findings, []);
    assert!(bench.read(&third).await.is_some());
}

#[tokio::test]
async fn where_the_log_cannot_be_read_a_damaged_credential_can_be_erased_all_the_same() {
    let bench = Bench::new();
    let [first, second, _] = three(&bench).await;
    bench.attack(&format!(
        "UPDATE audit SET action = CAST(x'70ff' AS TEXT) WHERE seq = 2; UPDATE credential SET revision = 7 WHERE id = '{}'",
        first.id
    ));
    let removed = bench.vault.remove_damaged(&first.id, &Who::command_line()).await.unwrap();
    assert_eq!(removed, DamagedRemoval::Done { holds: false });
    assert!(bench.read(&second).await.is_some());
}

#[tokio::test]
async fn where_the_schema_was_changed_nothing_is_taken_for_damaged() {
    let bench = Bench::new();
    let [first, ..] = three(&bench).await;
    passing(&bench).await;
    bench.attack(
        "ALTER TABLE pending_authorization RENAME COLUMN user TO other;
         ALTER TABLE pending_authorization RENAME COLUMN provider TO user;
         ALTER TABLE pending_authorization RENAME COLUMN other TO provider",
    );
    let refused = bench.vault.repair(Rest::Accepted, &Who::command_line()).await;
    assert!(matches!(refused, Err(VaultError::DoesNotHold { .. })), "{refused:?}");
    let refused = bench.vault.remove_damaged(&first.id, &Who::command_line()).await;
    assert!(matches!(refused, Err(VaultError::DoesNotHold { .. })), "{refused:?}");
    assert_eq!(count(&bench, "pending_authorization"), 2);
}

#[tokio::test]
async fn what_does_not_open_is_not_accepted_and_what_is_accepted_is_told() {
    let bench = Bench::new();
    let [first, second, third] = three(&bench).await;
    passing(&bench).await;
    bench.attack(&format!(
        "UPDATE pending_authorization SET revision = 7; UPDATE credential SET revision = 9 WHERE id = '{first}';
         DELETE FROM credential_secret WHERE id = '{second}'; DELETE FROM credential WHERE id = '{second}'",
        first = first.id,
        second = second.id
    ));
    let who = Who::command_line();
    let refused = bench.vault.repair(Rest::Accepted, &who).await;
    assert!(matches!(refused, Err(VaultError::DoesNotHold { .. })), "{refused:?}");
    assert_eq!(count(&bench, "pending_authorization"), 2, "nothing was changed");
    assert_eq!(bench.vault.remove_damaged(&first.id, &who).await.unwrap(), DamagedRemoval::Done { holds: false });
    let done = repair(&bench, Rest::Accepted).await;
    assert_eq!((done.erased.len(), done.holds), (2, true));
    assert!(matches!(&done.accepted[..], [one] if one.row == second.id.to_string()), "{:?}", done.accepted);
    assert_eq!(bench.vault.verify().unwrap().findings, []);
    assert_eq!(bench.audited("credential.delete"), 4, "those of the vault's own, and the one that was missing");
    assert!(bench.read(&third).await.is_some());
}

#[tokio::test]
async fn a_repair_covers_up_nothing_that_was_put_back() {
    let bench = Bench::new();
    let [first, second, _] = three(&bench).await;
    passing(&bench).await;
    put_back(&bench, &second).await;
    bench.attack("UPDATE pending_authorization SET revision = 7");
    let done = repair(&bench, Rest::Doubted).await;
    assert_eq!((done.erased.len(), done.holds), (2, false));
    let named = bench.vault.verify().unwrap().findings;
    assert!(named.iter().any(|found| found.row == second.id.to_string()), "{named:?}");
    assert!(named.iter().all(|found| found.row != first.id.to_string()), "{named:?}");
}

#[tokio::test]
async fn erasing_a_damaged_credential_covers_up_nothing_that_was_put_back() {
    let bench = Bench::new();
    let [first, second, _] = three(&bench).await;
    put_back(&bench, &second).await;
    bench.attack(&format!("UPDATE credential SET updated_at = 7 WHERE id = '{}'", first.id));
    let removed = bench.vault.remove_damaged(&first.id, &Who::command_line()).await.unwrap();
    assert_eq!(removed, DamagedRemoval::Done { holds: false });
    let named = bench.vault.verify().unwrap().findings;
    assert!(named.iter().any(|found| found.row == second.id.to_string()), "{named:?}");
}

/// Changes a credential's secret, and puts both of its records back to what they were before.
async fn put_back(bench: &Bench, of: &Summary) {
    bench.attack("CREATE TABLE c AS SELECT * FROM credential; CREATE TABLE s AS SELECT * FROM credential_secret");
    bench.replace(of, new("alice", "p", api_key("newer"))).await.unwrap();
    bench.attack(&format!(
        "PRAGMA foreign_keys = OFF; DELETE FROM credential WHERE id = '{id}'; DELETE FROM credential_secret WHERE id = '{id}';
         INSERT INTO credential SELECT * FROM c WHERE id = '{id}';
         INSERT INTO credential_secret SELECT * FROM s WHERE id = '{id}'; DROP TABLE c; DROP TABLE s",
        id = of.id
    ));
}

#[tokio::test]
async fn a_damaged_credential_that_was_given_to_somebody_else_is_erased_for_good() {
    let bench = Bench::new();
    let [first, ..] = three(&bench).await;
    bench.attack(&format!(
        "PRAGMA foreign_keys = OFF; UPDATE credential SET user = 'bob' WHERE id = '{id}';
         UPDATE credential_secret SET user = 'bob' WHERE id = '{id}'",
        id = first.id
    ));
    let removed = bench.vault.remove_damaged(&first.id, &Who::command_line()).await.unwrap();
    assert_eq!(removed, DamagedRemoval::Done { holds: true });
    assert_eq!(bench.vault.verify().unwrap().findings, []);
}

#[tokio::test]
async fn a_damaged_revocation_keeps_no_other_from_being_seen() {
    for change in ["revision = 7", "attempts = -1", "credential = 'x'", "user = CAST(x'70ff' AS TEXT)"] {
        let bench = Bench::new();
        passing(&bench).await;
        bench.attack(&format!("UPDATE revocation SET {change} WHERE id = (SELECT max(id) FROM revocation)"));
        let queue = bench.vault.revocations(|_| true, Page::default()).unwrap();
        assert_eq!((queue.waiting.len(), queue.damaged.len(), queue.more), (1, 1, false), "{change}");
    }
}

#[tokio::test]
async fn a_page_of_revocations_goes_on_behind_one_that_cannot_be_read() {
    let bench = Bench::new();
    passing(&bench).await;
    // Three of one credential, of which the second cannot be read; the third is a copy that opens as little.
    bench.attack(
        "INSERT INTO revocation SELECT 'zz' || id, user, provider, credential, -1, 0, 0, 1, 1, sealed FROM revocation
             ORDER BY credential LIMIT 1",
    );
    let (mut after, mut seen) = (None, 0);
    for _ in 0..4 {
        let queue = bench.vault.revocations(|_| true, Page { limit: Some(1), after }).unwrap();
        seen += queue.waiting.len();
        after = queue.waiting.last().map(|last| last.credential_id);
        if !queue.more {
            break;
        }
    }
    assert_eq!(seen, 2);
}

#[tokio::test]
async fn a_forged_log_lowers_no_count_for_the_next_removal() {
    let bench = Bench::new();
    let [first, second, _] = three(&bench).await;
    passing(&bench).await;
    let stray = "01900000-0000-7000-8000-000000000000";
    bench.attack(&format!(
        "INSERT INTO audit SELECT 1000000, at, 'credential.create', result, actor, user, provider, '{stray}', 'revision:1.1', address,
             request_id, key_version, mac FROM audit WHERE credential = '{first}';
         INSERT INTO credential SELECT user, '{stray}', provider, kind, status, in_doubt, created_at, updated_at, expires_at,
             last_used_at, revision, secret_revision, data_key, summary, refresh_at FROM credential WHERE id = '{first}';
         DELETE FROM revocation;
         UPDATE credential SET revision = 9 WHERE id = '{second}'",
        first = first.id,
        second = second.id
    ));
    let who = Who::command_line();
    let removed = bench.vault.remove_damaged(&stray.parse().unwrap(), &who).await.unwrap();
    assert_eq!(removed, DamagedRemoval::Done { holds: false });
    bench.attack("DELETE FROM audit WHERE seq = 1000000");
    let removed = bench.vault.remove_damaged(&second.id, &who).await.unwrap();
    assert_eq!(removed, DamagedRemoval::Done { holds: false });
}

#[tokio::test]
async fn a_stray_secret_under_the_id_of_a_sound_credential_is_erased_and_the_credential_stays() {
    let bench = Bench::new();
    let [first, ..] = three(&bench).await;
    bench.attack(
        "PRAGMA foreign_keys = OFF; INSERT INTO credential_secret SELECT 'zzz', id, revision, data_key, secret
                  FROM credential_secret WHERE user = 'alice' ORDER BY id LIMIT 1",
    );
    assert!(!bench.vault.verify().unwrap().holds());
    let removed = bench.vault.remove_damaged(&first.id, &Who::command_line()).await.unwrap();
    assert_eq!(removed, DamagedRemoval::Done { holds: true });
    assert_eq!(bench.vault.verify().unwrap().findings, []);
    assert!(bench.read(&first).await.is_some());
}

#[tokio::test]
async fn what_does_not_hold_elsewhere_is_not_called_whole() {
    for damage in ["DELETE FROM api_key", "UPDATE credential SET status = 'needs_reauth'"] {
        let bench = Bench::new();
        three(&bench).await;
        super::api_keys::make(&bench.vault, Holder::User(user("alice"))).await;
        passing(&bench).await;
        bench.attack(&format!("{damage}; UPDATE revocation SET not_before = 7"));
        let done = repair(&bench, Rest::Doubted).await;
        assert_eq!((done.erased.len(), done.holds), (2, false), "{damage}");
    }
}

#[tokio::test]
async fn what_somebody_wrote_into_a_key_gets_into_no_log() {
    let bench = Bench::new();
    passing(&bench).await;
    bench.attack(&change_one("revocation", "id", "id = 'zz\u{1b}[2J' || hex(zeroblob(5000))"));
    let done = repair(&bench, Rest::Doubted).await;
    assert!(
        matches!(&done.erased[..], [one] if one.row.starts_with("7a7a1b5b324a") && one.row.len() == 64),
        "{done:?}"
    );
}
