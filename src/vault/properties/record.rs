//! A sealed record: it opens in its own place to what was put into it, or not at all.

use crate::policy::HostPattern;
use crate::policy::KeyGrant;
use crate::property::Script;
use crate::random::Random;
use crate::vault::VaultError;
use crate::vault::approvals::approval::RequestToApprove;
use crate::vault::credentials::metadata::CredentialMetadata;
use crate::vault::crypto::fields::{Value, encode};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keys;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::logins::pending_login::PendingAuthorization;
use crate::vault::registrations::{ClientRegistration, RegisteredAt};
use crate::vault::revocations::queued_revocation::QueuedRevocation;
use crate::vault::secrets::credential_secret::CredentialSecret;
use crate::vault::transfer::transferred_credential::TransferredCredential;
use crate::vault::txn::manifest::Manifest;

/// Plaintext of the seeds that open.
pub(super) const SEALED: &[u8] = b"what was sealed";

const HOSTS: [Option<&str>; 5] =
    [None, Some("a.example"), Some("http://a.example"), Some("a.example:8443"), Some("*.a.example")];
const WORDS: [&str; 6] = ["", "alice", "bob", "github", "api_key", "active"];

thread_local! {
    static KEYRING: Keyring = Keyring::for_tests();
    static PATTERNS: Vec<Option<HostPattern>> =
        HOSTS.iter().map(|host| host.map(|host| host.parse().unwrap())).collect();
}

/// The first byte says what the rest is: a record that is edited after it was sealed, one that was
/// found, or what stands in one that we sealed.
pub(crate) fn record(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    match script.byte() % 3 {
        0 => KEYRING.with(|keyring| edited(keyring, script)),
        1 => KEYRING.with(|keyring| found(keyring, script.rest())),
        _ => KEYRING.with(|keyring| inside(keyring, script.rest())),
    }
}

/// A place that can be changed.
#[derive(Clone, PartialEq)]
struct Spot {
    table: &'static str,
    column: &'static str,
    texts: [String; 5],
    revision: i64,
    in_doubt: Option<i64>,
    expiry: Option<i64>,
    host: usize,
    more: [i64; 3],
}

impl Spot {
    fn read(script: &mut Script<'_>) -> Self {
        Self {
            table: script.one_of(&["credential", "credential_secret", "user"]),
            column: script.one_of(&["summary", "secret", "sealed"]),
            texts: std::array::from_fn(|_| script.one_of(&WORDS).to_owned()),
            revision: script.number(),
            in_doubt: script.perhaps(),
            expiry: script.perhaps(),
            host: script.below(HOSTS.len()),
            more: std::array::from_fn(|_| script.number()),
        }
    }

    fn aad<'a>(&'a self, patterns: &'a [Option<HostPattern>]) -> RecordAad<'a> {
        let [row, kind, provider, user, status] = &self.texts;
        RecordAad {
            table: self.table,
            column: self.column,
            row,
            revision: self.revision,
            kind,
            provider,
            user,
            status,
            in_doubt: self.in_doubt,
            expiry: self.expiry,
            host: patterns[self.host].as_ref(),
            more: self.more,
        }
    }

    /// An attacker edits the row, or moves the record elsewhere.
    fn edit(&mut self, script: &mut Script<'_>) {
        let which = script.below(5);
        match script.byte() % 9 {
            0 => self.table = script.one_of(&["credential", "credential_secret", "user"]),
            1 => self.column = script.one_of(&["summary", "secret", "sealed"]),
            2 => script.one_of(&WORDS).clone_into(&mut self.texts[which]),
            3 => self.texts[which].push(char::from(script.byte())),
            // What ends one text begins the next: the whole is the same, and the parts are not.
            4 => {
                let moved = self.texts[which].pop();
                self.texts[(which + 1) % 5].extend(moved);
            }
            5 => self.revision = script.number(),
            6 => self.in_doubt = script.perhaps(),
            7 => self.expiry = script.perhaps(),
            _ if script.byte() > 127 => self.host = script.below(HOSTS.len()),
            _ => self.more[script.below(3)] = script.number(),
        }
    }
}

fn edited(keyring: &Keyring, mut script: Script<'_>) {
    let plain = script.piece();
    let own = Spot::read(&mut script);
    PATTERNS.with(|patterns| {
        let sealed = record::seal(keyring, &own.aad(patterns), plain, Random).unwrap();
        let (mut bytes, mut there, mut data_key) = (sealed.clone(), own.clone(), 1);
        while !script.is_over() {
            match script.byte() % 4 {
                0 | 1 => script.edit(&mut bytes),
                2 => there.edit(&mut script),
                _ => data_key = u32::from(script.byte()),
            }
        }
        let untouched = bytes == sealed && there == own && data_key == 1;
        match record::open(keyring, &there.aad(patterns), data_key, &bytes) {
            Ok(opened) => assert!(untouched && *opened == plain),
            Err(error) => assert!(!untouched && matches!(error, VaultError::DamagedRow { .. }), "{error}"),
        }
    });
}

/// Associated data of the seeds that open.
pub(super) fn place_of_seeds() -> RecordAad<'static> {
    RecordAad { table: "credential", column: "summary", row: "r", revision: 1, user: "alice", ..RecordAad::default() }
}

fn found(keyring: &Keyring, bytes: &[u8]) {
    match record::open(keyring, &place_of_seeds(), 1, bytes) {
        Ok(opened) => assert_eq!(*opened, SEALED, "nobody sealed this"),
        Err(error) => assert!(matches!(error, VaultError::DamagedRow { .. }), "{error}"),
    }
    // To be counted, a record has to have a tag; what it says is not looked at.
    let _ = record::item(keyring, &place_of_seeds(), bytes);
}

/// Whatever stands behind the seal is given as it is, or refused, and read or refused by everybody
/// who reads records.
fn inside(keyring: &Keyring, plain: &[u8]) {
    let place = place_of_seeds();
    let (header, key) = ([1, 0, 0, 0, 1], &keyring.data.current().record);
    let covered = place.associated_data(&keyring.vault_id);
    let sealed = keys::encrypt(key, &header, &covered, &mut plain.to_vec(), Random);
    let stated = plain.split_first_chunk::<4>().map(|(length, rest)| (u32::from_be_bytes(*length), rest));
    let fields = stated.and_then(|(length, rest)| rest.get(..usize::try_from(length).ok()?));
    match record::open(keyring, &place, 1, &sealed) {
        Ok(opened) => assert_eq!(Some(opened.as_slice()), fields),
        Err(error) => assert!(fields.is_none() && matches!(error, VaultError::DamagedRow { .. }), "{error}"),
    }
    if let Some(fields) = fields {
        are_read_as_written(fields);
    }
}

/// Asserts that what can be decoded is the same after encoding and decoding again.
fn are_read_as_written(fields: &[u8]) {
    is_read_as_written::<Manifest>(fields);
    is_read_as_written::<CredentialSecret>(fields);
    is_read_as_written::<CredentialMetadata>(fields);
    is_read_as_written::<PendingAuthorization>(fields);
    is_read_as_written::<QueuedRevocation>(fields);
    is_read_as_written::<(RegisteredAt, ClientRegistration)>(fields);
    is_read_as_written::<TransferredCredential>(fields);
    is_read_as_written::<RequestToApprove>(fields);
    is_read_as_written::<Vec<KeyGrant>>(fields);
}

fn is_read_as_written<T: Value>(fields: &[u8]) {
    let Some(value) = T::read(fields) else { return };
    let written = encode(&value);
    let again = T::read(&written).expect("what was written can be read");
    assert!(*encode(&again) == *written);
}
