//! The data key changes under a running vault: nothing new is sealed under the old one, and nothing old is lost.

use super::*;

/// Makes data key 2 the current one, as another process would.
fn rotate(bench: &Bench) {
    let keyring = bench.vault.keyring();
    let (wrapped, mac) = bench.vault.look(|view, _| keyring.with_a_second_data_key(view)).unwrap();
    bench.attack(&format!(
        "BEGIN; UPDATE key SET state = 'retired' WHERE purpose = 'data';
         INSERT INTO key (purpose, version, state, created_at, wrapped) VALUES ('data', 2, 'current', 0, x'{}');
         UPDATE vault SET keyring_mac = x'{}'; COMMIT",
        hex::write(&wrapped),
        hex::write(&mac)
    ));
}

fn sealed_under(bench: &Bench, id: CredentialId) -> (u32, Vec<u8>) {
    let connection = Connection::open(bench.path()).unwrap();
    let sql = "SELECT data_key, summary FROM credential WHERE id = ?";
    connection.query_row(sql, [id.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

#[tokio::test]
async fn a_record_sealed_under_the_old_key_is_sealed_again_before_it_is_stored() {
    let bench = Bench::new();
    let old = bench.add("alice", "p", api_key("old")).await;
    bench.vault.put_pending("state", super::pending::login(&bench, "alice"), &Who::system()).await.unwrap();
    let reader = bench.beside();
    rotate(&bench);
    let new = bench.add("alice", "p", api_key("new")).await;
    let (version, record) = sealed_under(&bench, new.id);
    assert_eq!((version, &record[1..5]), (2, [0, 0, 0, 2].as_slice()));
    assert_eq!(sealed_under(&bench, old.id).0, 1);
    assert_eq!(reader.list(&user("alice"), None, Page::default()).unwrap().len(), 2);
    assert_eq!(texts(&bench.read(&old).await.unwrap().1), ["old"]);
    let github = "github".parse().unwrap();
    assert!(bench.vault.take_pending("state", &user("alice"), &github, &Who::system()).await.unwrap().is_some());
    assert!(bench.delete(&old, Revocation::Never).await.is_some());
    assert_eq!(bench.vault.status().unwrap().data_key_version, 2);
    bench.assert_manifest_holds();
}
