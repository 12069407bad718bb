//! Several master keys for one vault, and a new root if one of them was disclosed.

use super::*;

fn passphrase(text: &str) -> MasterKey {
    MasterKey::Passphrase(Secret::new(text))
}

#[tokio::test]
async fn key_and_passphrase_open_one_vault() {
    let bench = Bench::new();
    let stored = bench.add("alice", "p", api_key("k")).await;
    let recovery = passphrase("correct horse battery staple");
    let who = AuditContext::command_line();
    assert_eq!(bench.vault.key_slots().add(&bench.key, &recovery, &who).await.unwrap(), SlotAdded::New(2));
    assert_eq!(bench.vault.key_slots().add(&bench.key, &recovery, &who).await.unwrap(), SlotAdded::ThereAlready(2));
    let kinds: Vec<_> =
        bench.vault.key_slots().list().unwrap().iter().map(|slot| (slot.id, slot.kind, slot.is_weak)).collect();
    assert_eq!(kinds, [(1, SlotKind::Key, false), (2, SlotKind::Passphrase, false)]);
    let by_passphrase = bench.reopen_as(&recovery).unwrap();
    assert!(by_passphrase.credentials().read_secret(&stored.user, &stored.id, &who).await.unwrap().is_some());
    assert!(matches!(bench.reopen_as(&passphrase("correct horse")), Err(VaultError::WrongKey { .. })));
    assert_eq!((bench.audited("slot.add"), by_passphrase.key_slots().find(&bench.key).unwrap()), (1, Some(1)));
    assert!(bench.vault.integrity().verify().unwrap().holds());
}

#[tokio::test]
async fn removed_slot_opens_nothing_and_the_last_stays() {
    let bench = Bench::new();
    let who = AuditContext::command_line();
    let second = MasterKey::generate(Random);
    bench.vault.key_slots().add(&bench.key, &second, &who).await.unwrap();
    assert_eq!(bench.vault.key_slots().remove(1, &who).await.unwrap(), SlotRemoved::Gone);
    assert_eq!(bench.vault.key_slots().remove(1, &who).await.unwrap(), SlotRemoved::Absent);
    assert_eq!(bench.vault.key_slots().remove(2, &who).await.unwrap(), SlotRemoved::Last);
    let Err(VaultError::WrongKey { expected, given }) = bench.reopen_as(&bench.key) else { panic!("it opens") };
    assert_eq!(expected, [format!("key {} (slot 2)", second.fingerprint().unwrap())]);
    let named = format!("this master key, key {}, does not open the vault", bench.key.fingerprint().unwrap());
    assert_eq!(given, named);
    assert!(bench.reopen_as(&second).is_ok());
}

#[tokio::test]
async fn adding_a_slot_needs_a_master_key() {
    let bench = Bench::new();
    let [stranger, new] = [MasterKey::generate(Random), MasterKey::generate(Random)];
    let added = bench.vault.key_slots().add(&stranger, &new, &AuditContext::command_line()).await;
    assert!(matches!(added, Err(VaultError::WrongKey { .. })));
    bench.attack("INSERT INTO slot SELECT 2, kind, created_at, memory_kib, time_cost, lanes, salt, fingerprint, wrapped_root, checksum FROM slot");
    assert!(matches!(bench.reopen_as(&bench.key), Err(VaultError::DamagedKeyring(_))));
}

#[tokio::test]
async fn slot_with_the_maximum_id_is_damage() {
    let bench = Bench::new();
    bench.attack(
        "INSERT INTO slot SELECT 9223372036854775807, kind, created_at, memory_kib, time_cost, lanes, salt, fingerprint,
             wrapped_root, checksum FROM slot",
    );
    let added =
        bench.vault.key_slots().add(&bench.key, &MasterKey::generate(Random), &AuditContext::command_line()).await;
    assert!(matches!(added, Err(VaultError::DamagedKeyring(_))), "{added:?}");
}

#[tokio::test]
async fn old_master_key_is_useless_after_a_new_root() {
    let bench = Bench::new();
    let who = AuditContext::command_line();
    let stored = bench.add("alice", "p", api_key("k")).await;
    let (key, text) = super::api_keys::make(&bench.vault, KeyHolder::User(user("alice"))).await;
    let granted = bench.vault.api_keys().add_grant(super::grants::grant_of(key.id), &who).await.unwrap().unwrap();
    let at = super::registrations::at("https://as.example");
    bench.vault.registrations().put(&at, super::registrations::client("one"), None, &who).await.unwrap();
    bench.vault.logins().begin("state", super::pending::login(&bench, "alice"), &who).await.unwrap();
    bench.vault.key_slots().add(&bench.key, &passphrase("recovery passphrase"), &who).await.unwrap();
    let new = MasterKey::generate(Random);
    assert_eq!(bench.vault.key_slots().renew_root(&bench.key, &new, &who).await.unwrap(), 3);
    for old in [&bench.key, &passphrase("recovery passphrase")] {
        assert!(matches!(bench.reopen_as(old), Err(VaultError::WrongKey { .. })));
    }
    let again = bench.reopen_as(&new).unwrap();
    let current: Vec<_> = again.status().unwrap().keys.into_iter().filter(|key| key.state == "current").collect();
    assert_eq!(current.iter().map(|key| key.version).collect::<Vec<_>>(), [2, 2, 2], "api_key, audit, data");
    assert_eq!(
        texts(&again.credentials().read_secret(&stored.user, &stored.id, &who).await.unwrap().unwrap().1),
        ["k"]
    );
    assert_eq!(again.api_keys().authenticate(text.expose()).unwrap().unwrap().id, key.id, "API keys go on");
    assert_eq!(again.api_keys().get(key.id).unwrap().unwrap().grants.grants, [granted]);
    assert_eq!(again.registrations().get(&at).unwrap().unwrap().client_id, "one");
    let github = "github".parse().unwrap();
    assert!(
        again.logins().take(LoginFlow::External, "state", &user("alice"), &github, &who).await.unwrap().is_none(),
        "begun logins are over"
    );
    assert!(
        again.rotation().unfinished().unwrap().is_some_and(|left| left > 0),
        "what is there is still to be sealed anew"
    );
    assert!(again.integrity().verify().unwrap().holds(), "{:?}", again.integrity().verify().unwrap());
}

#[tokio::test]
async fn number_of_slots_is_bounded() {
    let bench = Bench::new();
    let who = AuditContext::command_line();
    for _ in 1..64 {
        bench.vault.key_slots().add(&bench.key, &MasterKey::generate(Random), &who).await.unwrap();
    }
    let more = bench.vault.key_slots().add(&bench.key, &MasterKey::generate(Random), &who).await;
    assert!(matches!(more, Err(VaultError::TooManySlots(64))), "{more:?}");
    let Err(wrong) = bench.reopen_as(&MasterKey::generate(Random)) else { panic!("it opened") };
    let said = wrong.to_string();
    assert!(said.contains("or one of 56 more") && said.len() < 500, "{said}");
    assert!(bench.reopen_as(&bench.key).is_ok() && bench.vault.integrity().verify().unwrap().holds());
    bench.attack("INSERT INTO slot SELECT id + 100, kind, created_at, memory_kib, time_cost, lanes, salt, fingerprint, wrapped_root, checksum FROM slot");
    let Err(VaultError::DamagedKeyring(what)) = bench.reopen_as(&passphrase("a guess")) else { panic!("it was tried") };
    assert!(what.contains("128 slots"), "{what}");
}
