//! For the property tests and the fuzz targets: what is decrypted was encrypted to us, as far as it was read.

use std::io::{Read as _, Write as _};

use super::{AgeError, Decryptor, Encryptor, Identity};
use crate::properties::Script;
use crate::random::Random;

const IDENTITY: &str = "AGE-SECRET-KEY-17MHU9YP5A3Q0DAQW53V240WF7HYZWL9S9VZ7CXGCLTS7C8GNNKPQVQFNKK";

/// What is in the seeds that open.
pub(crate) const ENCRYPTED: &[u8] = b"k1";

thread_local! {
    static OURS: Identity = Identity::parse(IDENTITY).expect("an identity");
    static GOOD: Vec<u8> = encrypted(&[b'x'; 65 * 1024]);
}

/// The first byte says what the rest is: a file that was found, or what is done to a good one of two chunks.
pub(crate) fn opens_what_was_encrypted(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    if script.byte().is_multiple_of(2) {
        let (plain, whole) = decrypted(script.rest());
        assert!(if whole { plain == ENCRYPTED } else { ENCRYPTED.starts_with(&plain) }, "nobody encrypted this");
        return;
    }
    let good = GOOD.with(Vec::clone);
    let mut file = good.clone();
    while !script.is_over() {
        script.edit(&mut file);
    }
    let (plain, whole) = decrypted(&file);
    assert!(plain.iter().all(|byte| *byte == b'x') && plain.len() <= 65 * 1024, "nobody encrypted this");
    assert_eq!(whole, file == good, "a file that was changed is read to its end");
}

/// What can be read, and whether that is all of it.
fn decrypted(file: &[u8]) -> (Vec<u8>, bool) {
    let mut plain = Vec::new();
    let opened = OURS.with(|identity| Decryptor::new(file, std::slice::from_ref(identity)));
    let whole = match opened {
        Ok(mut decryptor) => match decryptor.read_to_end(&mut plain) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}");
                false
            }
        },
        Err(error) => {
            assert!(matches!(error, AgeError::Header | AgeError::OtherRecipient), "{error}");
            false
        }
    };
    (plain, whole)
}

pub(crate) fn encrypted(plain: &[u8]) -> Vec<u8> {
    let recipient = OURS.with(Identity::recipient);
    let mut encryptor = Encryptor::new(Vec::new(), &[recipient], Random).expect("memory can be written");
    encryptor.write_all(plain).expect("memory can be written");
    encryptor.finish().expect("memory can be written")
}
