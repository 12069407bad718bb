//! Against a file that Go's age 1.1.1 wrote, and against every way to damage one.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

const IDENTITY: &str = "AGE-SECRET-KEY-17MHU9YP5A3Q0DAQW53V240WF7HYZWL9S9VZ7CXGCLTS7C8GNNKPQVQFNKK";
const RECIPIENT: &str = "age1celvw4uwj65x8g03msgwkhd98gvl53xrq6mhrkxxq60fpzqmnfysau69hy";

/// `age -r SOMEBODY -r RECIPIENT` of the two bytes `k1`: the second stanza is ours.
const BY_GO: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBDUTF1TW5SOTBuMGZaei9ySmkvSWVIaHE0amRva0IxR2lnaFdyY2FI\
    UUc0CjhHb253S3IwaDhYWGFKMUhUN0dGdFB5SE9yVUw2NjFTN2hxZGV1ZHg1NGcKLT4gWDI1NTE5IGltZ0lhSVdFTHJIalo0N0phSWxxQlNESGY3Wmh0\
    TXg1WGVIc21CM09lbW8KRkhWbkRwOStzbHEybU1qenpESmtCSGNzVDhncHBneTl0YytxRlJIZnJDcwotLS0gYWFvUU1JWW80VDVXamZQVW1MSjc1NHQv\
    OVpTMldFaEdoSWpwSnNtYWw5cwoCknvNDRgFrzCj3MsKn1RX6NUHb/ZOskzpUbUSmhV46VWp";

fn identity() -> Identity {
    Identity::parse(IDENTITY).unwrap()
}

fn encrypt(plain: &[u8], recipients: &[Recipient]) -> Vec<u8> {
    let mut encryptor = Encryptor::new(Vec::new(), recipients, Random).unwrap();
    encryptor.write_all(plain).unwrap();
    encryptor.finish().unwrap()
}

/// What can be read before an error, and the error.
fn decrypt(file: &[u8], identity: &Identity) -> (Vec<u8>, Option<String>) {
    match Decryptor::new(file, std::slice::from_ref(identity)) {
        Err(error) => (Vec::new(), Some(error.to_string())),
        Ok(mut decryptor) => {
            let mut plain = Vec::new();
            let error = decryptor.read_to_end(&mut plain).err();
            (plain, error.map(|error| error.to_string()))
        }
    }
}

#[test]
fn a_file_that_another_age_wrote_is_read() {
    assert_eq!(identity().recipient().to_string(), RECIPIENT);
    assert_eq!(decrypt(&STANDARD.decode(BY_GO).unwrap(), &identity()), (b"k1".to_vec(), None));
}

#[test]
fn what_was_encrypted_comes_back_whatever_its_length() {
    let recipients = [RECIPIENT.parse().unwrap(), identity().recipient()];
    for length in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000] {
        let plain: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
        assert_eq!(decrypt(&encrypt(&plain, &recipients), &identity()), (plain, None), "{length}");
    }
}

#[test]
fn a_file_that_was_changed_cut_or_added_to_is_refused_and_gives_nothing_wrong() {
    let plain = vec![7; 150_000];
    let file = encrypt(&plain, &[identity().recipient()]);
    let payload = file.len() - (plain.len() + 3 * 16);
    let is_refused = |changed: &[u8], what: &str| {
        let (given, error) = decrypt(changed, &identity());
        assert!(error.is_some() && plain.starts_with(&given), "{what}");
    };
    for i in (0..payload).chain((payload..file.len()).step_by(997)) {
        let mut changed = file.clone();
        changed[i] ^= 1;
        is_refused(&changed, &format!("byte {i}"));
    }
    let chunk = 65_536 + 16;
    for end in [0, 1, payload - 1, payload, payload + chunk, payload + 2 * chunk, file.len() - 1] {
        is_refused(&file[..end], &format!("cut at {end}"));
    }
    is_refused(&[file.as_slice(), b"x"].concat(), "one byte more");
    is_refused(&[&file[..payload], &file[payload + chunk..]].concat(), "a chunk less");
}

#[test]
fn nobody_else_reads_it() {
    let file = encrypt(b"secret", &[identity().recipient()]);
    let other = Identity(x25519_dalek::StaticSecret::from([9; 32]));
    let (given, error) = decrypt(&file, &other);
    assert!(given.is_empty() && error.unwrap().contains("somebody else"));
    assert!(!file.windows(6).any(|part| part == b"secret"));
}

#[test]
fn recipients_are_read_and_mistakes_told() {
    assert_eq!(RECIPIENT.parse::<Recipient>().unwrap().to_string(), RECIPIENT);
    let typo = RECIPIENT.replace("celv", "cellv");
    for wrong in ["", "age1", "alice@example.com", &typo, &RECIPIENT.to_uppercase(), &RECIPIENT[..61]] {
        assert!(matches!(wrong.parse::<Recipient>(), Err(AgeError::Recipient)), "{wrong}");
    }
    let secret = IDENTITY.parse::<Recipient>().unwrap_err();
    assert!(matches!(secret, AgeError::SecretAsRecipient) && !secret.to_string().contains("SECRET-KEY"));
}

#[test]
fn a_file_of_identities_is_read_as_age_keygen_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("id.txt");
    std::fs::write(&path, format!("# created: today\n# public key: {RECIPIENT}\n{IDENTITY}\n")).unwrap();
    assert_eq!(Identity::read_file(&path).unwrap()[0].recipient().to_string(), RECIPIENT);
    for wrong in ["", "# nothing\n", "AGE-SECRET-KEY-1XX\n", RECIPIENT] {
        std::fs::write(&path, wrong).unwrap();
        assert!(matches!(Identity::read_file(&path), Err(AgeError::Identity(_))), "{wrong}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(Identity::read_file(&path), Err(AgeError::Unreadable { .. })));
}
