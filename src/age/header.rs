//! The header: a stanza for each recipient with the file's key wrapped to it, and a MAC over all of them.

use std::io::{self, BufRead, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::cipher::{self, NONCE};
use super::derive;
use super::keys::{AgeError, Identity, Recipient};
use crate::random::Random;

/// The first line of every file.
pub const INTRODUCTION: &str = "age-encryption.org/v1\n";

/// Far above what a header with a hundred recipients has.
const LARGEST: usize = 1 << 20;

/// Columns of a stanza's body.
const COLUMNS: usize = 64;

pub(super) type FileKey = Zeroizing<[u8; 16]>;

/// Writes the header.
pub(super) fn write(
    out: &mut impl Write,
    file_key: &FileKey,
    recipients: &[Recipient],
    random: Random,
) -> io::Result<()> {
    let mut header = INTRODUCTION.to_owned();
    for recipient in recipients {
        let ephemeral = StaticSecret::from(random.bytes::<32>());
        let share = PublicKey::from(&ephemeral);
        let wrapping = wrapping_key(&ephemeral, &recipient.0, &share, recipient);
        let wrapping = wrapping.ok_or_else(|| io::Error::other("a recipient of age is no point that can be used"))?;
        let body = wrap(&wrapping, file_key);
        header.extend(["-> X25519 ", &encode(share.as_bytes()), "\n", &encode(&body), "\n"]);
    }
    header.push_str("---");
    let mac = mac(file_key, header.as_bytes());
    header.extend([" ", &encode(&mac), "\n"]);
    out.write_all(header.as_bytes())
}

/// Reads the header to its end, and gives the key of the file.
pub(super) fn read(from: &mut impl BufRead, identities: &[Identity]) -> Result<FileKey, AgeError> {
    let mut header = Vec::new();
    if read_line(from, &mut header)? != INTRODUCTION.trim_end() {
        return Err(AgeError::Header);
    }
    let mut file_key = None;
    loop {
        let before = header.len();
        let line = read_line(from, &mut header)?;
        if let Some(mac_text) = line.strip_prefix("--- ") {
            let file_key = file_key.ok_or(AgeError::OtherRecipient)?;
            let stated = decode(mac_text).ok_or(AgeError::Header)?;
            let holds = mac(&file_key, &header[..before + 3]).ct_eq(stated.as_slice());
            return if bool::from(holds) { Ok(file_key) } else { Err(AgeError::Header) };
        }
        let stanza = line.strip_prefix("-> ").ok_or(AgeError::Header)?.to_owned();
        let body = read_body(from, &mut header)?;
        if file_key.is_none() {
            file_key = unwrap_by_any(&stanza, &body, identities)?;
        }
    }
}

/// One line, without its end; all that was read is kept for the MAC.
fn read_line(from: &mut impl BufRead, header: &mut Vec<u8>) -> Result<String, AgeError> {
    let start = header.len();
    // A line that never ends is not read for ever.
    let mut limited = io::Read::take(&mut *from, u64::try_from(LARGEST - start.min(LARGEST)).unwrap_or(0));
    limited.read_until(b'\n', header).map_err(|_| AgeError::Header)?;
    let line = header[start..].strip_suffix(b"\n").ok_or(AgeError::Header)?;
    String::from_utf8(line.to_vec()).map_err(|_| AgeError::Header)
}

/// The body of a stanza: full lines, and a shorter one, which may be empty, at the end.
fn read_body(from: &mut impl BufRead, header: &mut Vec<u8>) -> Result<Vec<u8>, AgeError> {
    let mut body = String::new();
    loop {
        let line = read_line(from, header)?;
        if line.len() > COLUMNS {
            return Err(AgeError::Header);
        }
        body.push_str(&line);
        if line.len() < COLUMNS {
            return decode(&body).ok_or(AgeError::Header);
        }
    }
}

/// The file's key, where the stanza is one of X25519 and to one of these. Stanzas of other kinds are for others.
fn unwrap_by_any(stanza: &str, body: &[u8], identities: &[Identity]) -> Result<Option<FileKey>, AgeError> {
    let Some(share) = stanza.strip_prefix("X25519 ") else { return Ok(None) };
    let share: [u8; 32] = decode(share).and_then(|share| share.try_into().ok()).ok_or(AgeError::Header)?;
    let body: [u8; 32] = body.try_into().map_err(|_| AgeError::Header)?;
    let share = PublicKey::from(share);
    for identity in identities {
        let recipient = identity.recipient();
        let wrapping = wrapping_key(&identity.0, share.as_bytes(), &share, &recipient).ok_or(AgeError::Header)?;
        if let Some(file_key) = unwrap(&wrapping, body) {
            return Ok(Some(file_key));
        }
    }
    Ok(None)
}

/// Both sides come to the same; `None` where the other side's point gives nothing secret.
fn wrapping_key(
    own: &StaticSecret,
    other: &[u8; 32],
    share: &PublicKey,
    recipient: &Recipient,
) -> Option<Zeroizing<[u8; 32]>> {
    let shared = own.diffie_hellman(&PublicKey::from(*other));
    let salt = [share.as_bytes().as_slice(), &recipient.0].concat();
    shared.was_contributory().then(|| derive(Some(&salt), shared.as_bytes(), b"age-encryption.org/v1/X25519"))
}

/// The nonce is zero: the wrapping key is used once.
fn wrap(wrapping: &[u8; 32], file_key: &FileKey) -> [u8; 32] {
    let mut body = [0; 32];
    let (plain, tag_place) = body.split_at_mut(16);
    plain.copy_from_slice(file_key.as_slice());
    tag_place.copy_from_slice(&cipher::seal(wrapping, [0; NONCE], plain));
    body
}

fn unwrap(wrapping: &[u8; 32], body: [u8; 32]) -> Option<FileKey> {
    let (cipher_text, tag) = body.split_first_chunk::<16>()?;
    let mut file_key = Zeroizing::new(*cipher_text);
    cipher::open(wrapping, [0; NONCE], file_key.as_mut_slice(), tag.try_into().ok()?)?;
    Some(file_key)
}

fn mac(file_key: &FileKey, header: &[u8]) -> [u8; 32] {
    let key = derive(None, file_key.as_slice(), b"header");
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_slice()).expect("HMAC takes a key of any length");
    mac.update(header);
    mac.finalize().into_bytes().into()
}

fn encode(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}
