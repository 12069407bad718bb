//! The data key changes under a running vault: nothing new is sealed under the old one, nothing old
//! is lost, and afterwards the old one opens nothing.

use super::*;

/// Seals everything again in small steps; calls `meanwhile` between them.
async fn reseal(vault: &Vault, meanwhile: impl AsyncFn(u32)) -> RotationPlace {
    let mut place = RotationPlace::default();
    let mut step = 0;
    while vault.rotation().reseal_some(&mut place, 2).await.unwrap().is_some() {
        meanwhile(step).await;
        step += 1;
    }
    place
}

/// A rotation from its beginning to its end.
async fn rotate(vault: &Vault) -> RotationEnd {
    vault.rotation().begin(&AuditContext::command_line()).await.unwrap();
    assert!(reseal(vault, async |_| {}).await.damaged.is_empty());
    vault.rotation().end(&AuditContext::command_line()).await.unwrap()
}

fn sealed_under(bench: &Bench, id: CredentialId) -> (u32, Vec<u8>) {
    let connection = Connection::open(bench.path()).unwrap();
    let sql = "SELECT data_key, summary FROM credential WHERE id = ?";
    connection.query_row(sql, [id.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

/// One of everything that is sealed.
pub(super) async fn one_of_each(bench: &Bench) -> CredentialMetadata {
    let vault = &bench.vault;
    let kept = bench.add("alice", "p", api_key("old")).await;
    let gone = bench.connect("alice", None).await;
    bench.delete(&gone, RevocationScope::Token).await;
    vault.logins().begin("state", super::pending::login(bench, "alice"), &AuditContext::system()).await.unwrap();
    let at = super::registrations::at("https://as.example");
    vault.registrations().put(&at, super::registrations::client("one"), None, &AuditContext::system()).await.unwrap();
    vault.signing_keys().ensure(&AuditContext::system()).await.unwrap();
    let (asking, _) = super::api_keys::make(vault, KeyHolder::User(user("alice"))).await;
    super::approvals::pending(vault, super::approvals::request(asking.id, 1)).await;
    kept
}

/// Asserts that every record of [`one_of_each`] can still be used.
async fn assert_all_of_use(bench: &Bench, kept: &CredentialMetadata) {
    let vault = &bench.vault;
    assert_eq!(texts(&bench.read(kept).await.unwrap().1), ["old"]);
    let github = "github".parse().unwrap();
    assert!(
        vault
            .logins()
            .take(LoginFlow::External, "state", &user("alice"), &github, &AuditContext::system())
            .await
            .unwrap()
            .is_some()
    );
    let at = super::registrations::at("https://as.example");
    assert_eq!(vault.registrations().get(&at).unwrap().unwrap().client_id, "one");
    assert_eq!(vault.signing_keys().list().unwrap().len(), 1);
    let asked = vault.approvals().list(|_| true, None, 9).unwrap().approvals;
    assert_eq!(asked[0].request.url, "https://api.github.com/repos");
    let queued = vault.revocations().list(|_, _, _| true, None, None).unwrap().waiting;
    assert_eq!(queued[0].tokens.refresh_token.as_ref().unwrap().expose(), "rt");
    assert!(vault.users().exists(&user("alice")).unwrap());
    assert!(vault.integrity().verify().unwrap().holds(), "{:?}", vault.integrity().verify().unwrap());
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn stale_data_key_is_replaced_before_a_write() {
    let bench = Bench::new();
    let old = bench.add("alice", "p", api_key("old")).await;
    let reader = bench.beside();
    bench.beside().rotation().begin(&AuditContext::command_line()).await.unwrap();
    let new = bench.add("alice", "p", api_key("new")).await;
    let (version, record) = sealed_under(&bench, new.id);
    assert_eq!((version, &record[1..5]), (2, [0, 0, 0, 2].as_slice()));
    assert_eq!(sealed_under(&bench, old.id).0, 1);
    assert_eq!(reader.credentials().list(&user("alice"), None, CredentialPage::default()).unwrap().len(), 2);
    assert_eq!(texts(&bench.read(&old).await.unwrap().1), ["old"]);
    assert!(bench.delete(&old, RevocationScope::Never).await.is_some());
    assert_eq!(bench.vault.status().unwrap().data_key_version, 2);
    bench.assert_manifest_holds();
}

#[tokio::test]
// Requirement 55.
async fn rotation_keeps_all_data_and_ends_the_old_key() {
    let bench = Bench::new();
    let kept = one_of_each(&bench).await;
    let wrapped: Vec<u8> = {
        let sql = "SELECT wrapped FROM key WHERE purpose = 'data' AND version = 1";
        Connection::open(bench.path()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(rotate(&bench.beside()).await, RotationEnd::Destroyed(vec![1]));
    assert_eq!(bench.vault.status().unwrap().rotation_left, None);
    assert_eq!(sealed_under(&bench, kept.id).0, 2);
    assert_all_of_use(&bench, &kept).await;
    // The old key is nowhere in the file, not even wrapped.
    for suffix in ["", "-wal"] {
        let file = std::fs::read(format!("{}{suffix}", bench.path().display())).unwrap_or_default();
        assert!(!file.windows(wrapped.len()).any(|window| window == wrapped), "strongroom.db{suffix}");
    }
}

#[tokio::test]
// Requirement 55.
async fn interrupted_rotation_continues() {
    let bench = Bench::new();
    for i in 0..9 {
        bench.add("alice", "p", api_key(&i.to_string())).await;
    }
    let command = bench.beside();
    command.rotation().begin(&AuditContext::command_line()).await.unwrap();
    let mut place = RotationPlace::default();
    for _ in 0..3 {
        command.rotation().reseal_some(&mut place, 2).await.unwrap();
    }
    drop(command);
    let again = bench.reopen_as(&bench.key).unwrap();
    let left = again.rotation().unfinished().unwrap().unwrap();
    assert!((1..19).contains(&left), "{left}");
    assert_eq!(again.rotation().end(&AuditContext::command_line()).await.unwrap(), RotationEnd::StillUsed(left));
    let begun = again.rotation().begin(&AuditContext::command_line()).await.unwrap();
    assert_eq!(begun, RotationBegun { data_key: 2, resumed: true, left });
    assert_eq!(rotate(&again).await, RotationEnd::Destroyed(vec![1]));
    assert_eq!(bench.vault.credentials().list(&user("alice"), None, CredentialPage::default()).unwrap().len(), 9);
    assert!(bench.vault.integrity().verify().unwrap().holds());
}

#[tokio::test]
async fn operations_succeed_during_a_rotation() {
    let bench = Bench::new();
    let kept = one_of_each(&bench).await;
    let refreshed = bench.connect("bob", Some("7")).await;
    let ticket = super::refreshing::begin(&bench, &refreshed).await;
    let command = bench.beside();
    command.rotation().begin(&AuditContext::command_line()).await.unwrap();
    let bench_ref = &bench;
    reseal(&command, async |step| {
        let stored = bench_ref.add("carol", "p", api_key(&format!("c{step}"))).await;
        if step % 2 == 0 {
            bench_ref.delete(&stored, RevocationScope::Never).await.unwrap();
        } else {
            bench_ref
                .vault
                .credentials()
                .update(&stored.user, &stored.id, title("t"), &AuditContext::system())
                .await
                .unwrap();
        }
    })
    .await;
    let done = super::refreshing::finish(&bench, &ticket, "fresh").await.expect("a refresh under way ends as it would");
    assert_eq!(done.refreshing.failures, 0);
    assert_eq!(command.rotation().end(&AuditContext::command_line()).await.unwrap(), RotationEnd::Destroyed(vec![1]));
    assert_all_of_use(&bench, &kept).await;
}

#[tokio::test]
async fn damaged_record_keeps_the_old_key_and_is_reported() {
    let bench = Bench::new();
    let [good, bad] = [bench.add("alice", "p", api_key("a")).await, bench.add("alice", "p", api_key("b")).await];
    bench.attack(&format!("UPDATE credential SET expires_at = 5 WHERE id = '{}'", bad.id));
    bench.vault.rotation().begin(&AuditContext::command_line()).await.unwrap();
    let place = reseal(&bench.vault, async |_| {}).await;
    let named = |table: &str| (table.to_owned(), bad.id.to_string());
    assert_eq!(place.damaged, [named("credential"), named("credential_secret")]);
    assert_eq!(bench.vault.rotation().end(&AuditContext::command_line()).await.unwrap(), RotationEnd::StillUsed(2));
    assert_eq!(texts(&bench.read(&good).await.unwrap().1), ["a"]);
}

#[tokio::test]
async fn login_during_a_foreign_rotation_replaces_its_credential() {
    for ends in [false, true] {
        let bench = Bench::new();
        let old = bench.connect("alice", Some("42")).await;
        let command = bench.beside();
        command.rotation().begin(&AuditContext::command_line()).await.unwrap();
        reseal(&command, async |_| {}).await;
        if ends {
            command.rotation().end(&AuditContext::command_line()).await.unwrap();
        }
        // What the server has in memory does not open the row any more: it is not damaged for that.
        let first = NewCredential { account: Some("42".into()), ..new("alice", "github", tokens("new", "refresh")) };
        let login = NewLogin { first, further: Vec::new() };
        let kept =
            bench.vault.credentials().keep_login(login, reconnecting(&old), &AuditContext::system()).await.unwrap();
        let KeptLogin::Kept { first, .. } = kept else { panic!("refused") };
        assert_eq!(first.id, old.id, "the rotation has ended: {ends}");
        assert_eq!(texts(&bench.read(&old).await.unwrap().1)[0], "new");
        assert_eq!(bench.vault.credentials().list(&old.user, None, CredentialPage::default()).unwrap().len(), 1);
        bench.assert_manifest_holds();
    }
}
