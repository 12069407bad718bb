//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03 §2.3), by the crate `chacha20poly1305`.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};

/// Bytes of a nonce: long enough to be random for every record.
pub(crate) const NONCE: usize = 24;
/// Bytes of the tag.
pub(crate) const TAG: usize = 16;

/// Seals `text` in place, bound to `covered`, and returns the tag.
pub(crate) fn seal(key: &[u8; 32], nonce: &[u8; NONCE], covered: &[u8], text: &mut [u8]) -> [u8; TAG] {
    let cipher = XChaCha20Poly1305::new(key.into());
    let tag = cipher.encrypt_inout_detached(&XNonce::from(*nonce), covered, text.into());
    tag.expect("a record or a chunk is far below the cipher's limit of 256 GiB").into()
}

/// Opens `text` in place; `None` if the text, its tag or `covered` was changed. Then `text` must
/// not be used.
pub(crate) fn open(
    key: &[u8; 32],
    nonce: &[u8; NONCE],
    covered: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG],
) -> Option<()> {
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher.decrypt_inout_detached(&XNonce::from(*nonce), covered, text.into(), &Tag::from(*tag)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let read = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        std::array::from_fn(read)
    }

    /// Bytes that count upwards, as keys and nonces of the draft do.
    fn counting<const N: usize>(first: u8) -> [u8; N] {
        std::array::from_fn(|place| first + u8::try_from(place).unwrap())
    }

    #[test]
    fn draft_vector_seals_and_opens() {
        // draft-irtf-cfrg-xchacha-03 §A.3.1.
        const TEXT: &[u8; 114] = b"Ladies and Gentlemen of the class of '99: \
            If I could offer you only one tip for the future, sunscreen would be it.";
        let sealed: [u8; 114] = bytes(
            "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c\
             54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812\
             f615c68b13b52e",
        );
        let (key, nonce) = (counting(0x80), counting(0x40));
        let covered: [u8; 12] = bytes("50515253c0c1c2c3c4c5c6c7");
        let mut text = *TEXT;
        let tag = seal(&key, &nonce, &covered, &mut text);
        assert_eq!((text, tag), (sealed, bytes("c0875924c1c7987947deafd8780acf49")));
        assert_eq!(open(&key, &nonce, &covered, &mut text, &tag), Some(()));
        assert_eq!(text, *TEXT);
    }

    /// One value of each kind, sealed by the implementation on ring that commit d411db9 had: its
    /// functions for records, wrapped keys, backup chunks and exports were run with these inputs.
    struct KnownAnswer {
        name: &'static str,
        key: &'static str,
        nonce: &'static str,
        aad: &'static str,
        plain: &'static str,
        sealed: &'static str,
    }

    const KNOWN_ANSWERS: [KnownAnswer; 4] = [
        KnownAnswer {
            name: "record",
            key: "59495c8fa1685a657186fa2a117f4c2a11073ef6eb1a4fa6a940acfb9b740bb9",
            nonce: "70ce871f8a3d3fb449bc3c3ace6547cef02dfc74ffe48d91",
            aad: "000000137374726f6e67726f6f6d207265636f7264203100000010090909090909090909090909090909090000\
             000475736572000000067365616c656400000005616c6963650000000800000000000000010000000000000000\
             00000005616c69636500000000000000000000000000000000000000000000000000000008000000006b49d200",
            plain: "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
             00000000000000000000000000000000000000",
            sealed: "0faea1a2c1f83f13e6d64877c3f7b5c8b020a859b0a2c827fc46d1212a7659bc8fcaecf864709e5e45d48e8ed9\
             dedfa83e2fe063eae3199127ba98879876535cdc095022ecfdcd4c0aea172c45e82cd8",
        },
        KnownAnswer {
            name: "wrapped key",
            key: "b794385f2d1ef7ab4d9273d1906381b44f2f6f2588a3efb96a49188331984753",
            nonce: "f0a289923ed634acec748941a7fab6a057e5d4a5cb29e5e2",
            aad: "000000107374726f6e67726f6f6d206b6579203100000010090909090909090909090909090909090000000464\
             6174610000000400000001",
            plain: "0707070707070707070707070707070707070707070707070707070707070707",
            sealed: "c36f5710e3ac047b75ca6dab4b28d778331b3e82d83a8703e7b3d99a2c1098e52cf477c3fcf2a91d427778f4bb\
             9625c1",
        },
        KnownAnswer {
            name: "last chunk of a backup",
            key: "42f35ebeda1aae772b7834b8a6947a49de2e6ad4af0a80250d4d7a155cbc5d86",
            nonce: "000000000000000000000000000000000000000000000003",
            aad: "000000197374726f6e67726f6f6d206261636b7570206368756e6b203100000020010101010101010101010101\
             01010101010101010101010101010101010101010000000800000000000000030000000101",
            plain: "726f7773206f662061206261636b7570",
            sealed: "09bb3b0cfab572e2ac0f961bd1009048513c7de00cafcc603e04da64644b928a",
        },
        KnownAnswer {
            name: "first record of an export",
            key: "c82e453c0a47378433f4d879ecc5aea33e7eb5bcb59bd5142b1e8f3c6dd6889d",
            nonce: "d46aee08cc49f6d1eb41800c1d6bab4506c960c700cff0ef",
            aad: "000000187374726f6e67726f6f6d206578706f7274207265636f72640000005802020202020202020202020202\
             020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202\
             020202020202020202020202020202020202020202020202020202020202000000080000000000000000000000\
             0100",
            plain: "0000000a63726564656e7469616c00000000000000000000000000000000000000000000000000000000000000\
             00000000000000000000000000000000000000",
            sealed: "5070a4d755a153c7c1cde21159f3023eb7b07bd4b111b9868e564198c05f3ba1ec4abb1e11790a31c02f44fad6\
             d25cb2fe8972741ee7108b1e6b3b442c7f14ef9067b135c1cd4631781bf007bd8bee6c",
        },
    ];

    fn variable(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn known_answers_seal_and_open() {
        for KnownAnswer { name, key, nonce, aad, plain, sealed } in KNOWN_ANSWERS {
            let (key, nonce, aad): ([u8; 32], [u8; NONCE], _) = (bytes(key), bytes(nonce), variable(aad));
            let mut text = variable(plain);
            let tag = seal(&key, &nonce, &aad, &mut text);
            assert_eq!([text.as_slice(), &tag].concat(), variable(sealed), "{name}");
            assert_eq!(open(&key, &nonce, &aad, &mut text, &tag), Some(()), "{name}");
            assert_eq!(text, variable(plain), "{name}");
        }
    }

    proptest! {
        /// Nothing opens after one bit was changed anywhere.
        #[test]
        fn every_changed_bit_is_detected(
            key: [u8; 32], nonce: [u8; NONCE], covered in vec(any::<u8>(), 1..60), text in vec(any::<u8>(), 1..200),
            place: prop::sample::Index, bit in 0..8u32,
        ) {
            let mut sealed = text;
            let tag = seal(&key, &nonce, &covered, &mut sealed);
            let mut whole = [key.as_slice(), &nonce, &covered, &sealed, &tag].concat();
            let place = place.index(whole.len());
            whole[place] ^= 1 << bit;
            let (key, rest) = whole.split_first_chunk::<32>().unwrap();
            let (nonce, rest) = rest.split_first_chunk::<NONCE>().unwrap();
            let (covered, rest) = rest.split_at(covered.len());
            let (sealed, tag) = rest.split_last_chunk::<TAG>().unwrap();
            prop_assert_eq!(open(key, nonce, covered, &mut sealed.to_vec(), tag), None);
        }
    }
}
