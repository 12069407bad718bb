//! A vault of an older version is opened, whole, by this one.

use super::*;
use crate::store::SCHEMA_VERSION;

/// What each version of the schema looked like when it was the newest, written by the Strongroom of that day.
const OLDER: &[(u32, &str)] = &[
    (1, include_str!("version_1.sql")),
    (2, include_str!("version_2.sql")),
    (3, include_str!("version_3.sql")),
    (4, include_str!("version_4.sql")),
    (5, include_str!("version_5.sql")),
];

/// That vault, opened by this program.
fn opened(dump: &str) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.db");
    Connection::open(&path).unwrap().execute_batch(dump).unwrap();
    let key = dump.lines().find_map(|line| line.strip_prefix("-- srm_")).unwrap();
    let key = MasterKey::parse_file_text(&format!("srm_{key}")).unwrap();
    let made: i64 =
        Connection::open(&path).unwrap().query_row("SELECT created_at FROM vault", [], |row| row.get(0)).unwrap();
    let clock = Clock::manual(UnixTime(made + 60));
    let vault = Vault::open(&path, &key, OpenMode::Server, clock.clone(), Random).unwrap();
    Bench { vault, key, clock, folder }
}

#[tokio::test]
async fn a_vault_of_version_1_opens_with_all_that_is_in_it() {
    let bench = opened(OLDER[0].1);
    let [oauth, api_key] = &bench.vault.list(&user("dev"), None, CredentialPage::default()).unwrap()[..] else {
        panic!()
    };
    assert_eq!((oauth.provider.as_str(), oauth.refreshing.possible), ("sandbox", None), "not known, and so assumed");
    assert_eq!(oauth.refreshing.refresh_at, Some(UnixTime(oauth.expires_at.unwrap().0 - 600)));
    assert_eq!(texts(&bench.read(api_key).await.unwrap().1), ["sk-of-version-1"]);
    assert!(texts(&bench.read(oauth).await.unwrap().1)[1].starts_with("sandbox_refresh_"));
    let ticket = super::refreshing::begin(&bench, oauth).await;
    let done = super::refreshing::finish(&bench, &ticket, "new").await.unwrap();
    assert_eq!(done.refreshing.possible, Some(true));
    assert_eq!(bench.vault.list(&user("dev"), None, CredentialPage::default()).unwrap().len(), 2);
    bench.assert_manifest_holds();
}

/// Two logins, a key, a host and a password are in each, a key was deleted, and a login was begun.
#[tokio::test]
async fn a_vault_of_every_version_since_opens_with_all_that_is_in_it_and_goes_on() {
    for (version, dump) in &OLDER[1..] {
        let bench = opened(dump);
        bench.assert_manifest_holds();
        assert_eq!(bench.vault.status().unwrap().schema_version, SCHEMA_VERSION);
        assert_eq!(bench.vault.status().unwrap().pending, 1, "version {version}");
        let listed = bench.vault.list(&user("dev"), None, CredentialPage::default()).unwrap();
        let mut seen = Vec::new();
        for summary in &listed {
            let (_, material) = bench.read(summary).await.unwrap();
            if matches!(material, CredentialSecret::OAuth2(_)) {
                let ticket = super::refreshing::begin(&bench, summary).await;
                super::refreshing::finish(&bench, &ticket, "new").await.unwrap();
            } else {
                seen.extend(texts(&material));
            }
        }
        let of = |what: &str| format!("{what}-of-version-{version}");
        let expected = [
            of("sk"),
            "https://internal.example:8443".to_owned(),
            format!("X-Token: {}", of("header")),
            "octocat".to_owned(),
            of("password"),
        ];
        assert_eq!((listed.len(), seen), (5, expected.to_vec()), "version {version}");
        let again = bench.add("dev", "openai", api_key("after")).await;
        assert!(bench.delete(&again, RevocationScope::Never).await.is_some());
        bench.assert_manifest_holds();
    }
}

#[test]
fn there_is_a_vault_of_every_older_version() {
    let versions: Vec<u32> = OLDER.iter().map(|(version, _)| *version).collect();
    assert_eq!(versions, (1..=versions.len().try_into().unwrap()).collect::<Vec<u32>>());
    for (version, dump) in OLDER {
        assert!(dump.ends_with(&format!("PRAGMA user_version = {version};\n")), "{version}");
    }
}
