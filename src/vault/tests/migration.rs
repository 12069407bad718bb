//! A vault of an older version is opened, whole, by this one.

use super::*;

/// Written by Strongroom as it was before version 2.
const VERSION_1: &str = include_str!("version_1.sql");

#[tokio::test]
async fn a_vault_of_version_1_opens_with_all_that_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.db");
    Connection::open(&path).unwrap().execute_batch(VERSION_1).unwrap();
    let key = VERSION_1.lines().find_map(|line| line.strip_prefix("-- srm_")).unwrap();
    let key = MasterKey::parse_file_text(&format!("srm_{key}")).unwrap();
    let clock = Clock::manual(UnixTime(1_795_525_500));
    let vault = Vault::open(&path, &key, Mode::Server, clock.clone(), Random).unwrap();
    let bench = Bench { vault, key, clock, folder };
    let [oauth, api_key] = &bench.vault.list(&user("dev"), None, Page::default()).unwrap()[..] else { panic!() };
    assert_eq!((oauth.provider.as_str(), oauth.refreshing.possible), ("sandbox", None), "not known, and so assumed");
    assert_eq!(oauth.refreshing.refresh_at, Some(UnixTime(oauth.expires_at.unwrap().0 - 600)));
    assert_eq!(texts(&bench.read(api_key).await.unwrap().1), ["sk-of-version-1"]);
    assert!(texts(&bench.read(oauth).await.unwrap().1)[1].starts_with("sandbox_refresh_"));
    let ticket = super::refreshing::begin(&bench, oauth).await;
    let done = super::refreshing::finish(&bench, &ticket, "new").await.unwrap();
    assert_eq!(done.refreshing.possible, Some(true));
    assert_eq!(bench.vault.list(&user("dev"), None, Page::default()).unwrap().len(), 2);
    bench.assert_manifest_holds();
}
