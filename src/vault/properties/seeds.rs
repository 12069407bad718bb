//! The seeds of the targets whose bytes are sealed: valid ones, which cannot be written by hand. Run it
//! where a format has changed, and commit what it writes: `cargo test --lib
//! seeds_are_regenerated -- --ignored`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::{record, slot, subject};
use crate::clock::UnixTime;
use crate::jose::SigningKey;
use crate::random::Random;
use crate::secret::Secret;
use crate::vault::credentials::credential_record::summary_of;
use crate::vault::crypto::fields::encode;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record as sealed_record;
use crate::vault::txn::epoch_file;
use crate::vault::txn::manifest::{Manifest, RestoreMark};
use crate::vault::{
    CredentialSecret, DevicePolling, Exportable, LoginFlow, NewCredential, PendingAuthorization, Renewal,
    ReplacedTokens, ServiceAccount, Tokens, TransferredCredential,
};

/// The id of the credential in the seeds.
const ID: &str = "0192d3f0-7c3a-7000-8000-000000000001";

#[test]
#[ignore = "it writes into fuzz/corpus"]
fn seeds_are_regenerated() {
    records();
    slots();
    let subject = subject();
    write("backup", "found", &[&[2], &subject.backup(10)]);
    write("backup", "inside", &[&[3], &subject.plaintext()]);
    write("epoch_file", "written", &[epoch_file::text(1042, &Keyring::for_tests()).as_bytes()]);
}

fn write(target: &str, name: &str, parts: &[&[u8]]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), parts.concat()).unwrap();
}

fn records() {
    let found = sealed_record::seal(&Keyring::for_tests(), &record::place_of_seeds(), record::SEALED, Random).unwrap();
    write("record", "found", &[&[1], &found]);
    let inside = |name: &str, fields: &[u8]| {
        let length = u32::try_from(fields.len()).unwrap().to_be_bytes();
        write("record", name, &[&[2], &length, fields]);
    };
    for material in materials() {
        let kind = material.kind();
        inside(&format!("inside_{kind}"), &encode(&material));
        let new = NewCredential {
            user: "alice".parse().unwrap(),
            provider: "github".parse().unwrap(),
            title: "a title".into(),
            material,
            scopes: Some(vec!["read".into(), "write".into()]),
            username: Some("octocat".into()),
            server: None,
            inputs: None,
            account: Some("1".into()),
            client_id: Some("c".into()),
            expires_at: Some(UnixTime(9)),
            refresh_at: Some(UnixTime(8)),
            exportable: Exportable(true),
        };
        let id = ID.parse().unwrap();
        let summary = summary_of(id, &new, UnixTime(1), UnixTime(2));
        inside(&format!("inside_summary_{kind}"), &encode(&summary));
        inside(
            &format!("inside_portable_{kind}"),
            &encode(&TransferredCredential { summary, material: new.material, registration: None }),
        );
    }
    inside("inside_pending", &encode(&pending()));
    let restored = Some(RestoreMark { at: UnixTime(8), backup_at: UnixTime(7) });
    let manifest = Manifest { epoch: 7, audit_length: 2, restores: 2, restored, ..Manifest::default() };
    inside("inside_manifest", &encode(&manifest));
}

fn materials() -> [CredentialSecret; 4] {
    let secret = |text: &str| Secret::new(text);
    let account = ServiceAccount {
        key: secret("-----BEGIN PRIVATE KEY-----"),
        key_id: Some("k".into()),
        issuer: "a@example.org".into(),
        subject: Some("b@example.org".into()),
    };
    let tokens = Tokens {
        access_token: secret("at"),
        refresh_token: Some(secret("rt")),
        token_type: "Bearer".into(),
        lifetime: Some(Duration::from_secs(3600)),
        refresh_expires_at: Some(UnixTime(10)),
        metadata: BTreeMap::from([("team".into(), json!({"id": 1}))]),
        renewal: Some(Box::new(Renewal::ServiceAccount(account))),
        dpop_key: Some(SigningKey::generate().into()),
        redirect_uri: Some("https://app.example/cb".into()),
        discovery: Some("x".into()),
        issued_by: Some("x".into()),
        replaced: Some(vec![ReplacedTokens { access_token: secret("a"), refresh_token: Some(secret("r")) }]),
    };
    [
        CredentialSecret::OAuth2(tokens),
        CredentialSecret::ApiKey(secret("sk-1")),
        CredentialSecret::UserPassword { username: secret("u"), password: secret("p") },
        CredentialSecret::HostScoped {
            host: "a.example".parse().unwrap(),
            headers: BTreeMap::from([("X-Key".into(), secret("v")), ("X-Other".into(), secret("w"))]),
        },
    ]
}

fn pending() -> PendingAuthorization {
    PendingAuthorization {
        user: "alice".parse().unwrap(),
        provider: "github".parse().unwrap(),
        flow: LoginFlow::Device,
        api_key_id: None,
        client_id: "c".into(),
        redirect_uri: "https://app.example/cb".into(),
        code_verifier: Some(Secret::new("v")),
        dpop_key: Some(SigningKey::generate().into()),
        scopes: vec!["read".into()],
        further_scopes: BTreeMap::from([("bot".into(), vec!["write".into()])]),
        discovery: Some("x".into()),
        inputs: BTreeMap::from([("shop".into(), "acme".into())]),
        state_metadata: serde_json::Map::from_iter([("a".into(), json!([1]))]),
        issuer: Some("https://issuer.example".into()),
        reconnect: Some(ID.parse().unwrap()),
        any_account: true,
        exportable: Exportable(true),
        device: Some(DevicePolling { code: Secret::new("d"), interval: Duration::from_secs(5), next_poll_at: 7 }),
        begun_at: None,
        created_at: UnixTime(1),
        expires_at: UnixTime(2),
    }
}

fn slots() {
    let [for_key, for_passphrase] = slot::good();
    write("slot", "found_key", &[&[0], &encode(&for_key)]);
    write("slot", "found_passphrase", &[&[0], &encode(&for_passphrase)]);
    for (name, memory_kib, time_cost, lanes) in
        [("too_much_memory", 1 << 21, 3, 4), ("too_much_time", 1 << 16, 11, 4), ("too_cheap", 8, 2, 1)]
    {
        let (memory_kib, time_cost, lanes) = (Some(memory_kib), Some(time_cost), Some(lanes));
        let row = crate::store::SlotRow { memory_kib, time_cost, lanes, ..for_passphrase.clone() };
        write("slot", name, &[&[0], &encode(&row)]);
    }
}
