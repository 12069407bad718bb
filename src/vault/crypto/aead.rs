//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03 §2.3): ChaCha20-Poly1305 (RFC 8439) by ring, under a subkey that HChaCha20
//! makes of the key and the first 16 bytes of the nonce.
//!
//! ring's is assembly, chosen at run time by what the processor has. The vector code of the crates `chacha20` and `poly1305`
//! is compiled into calls that are not inlined wherever the program has to run on any x86-64, and takes three times as long.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a nonce: long enough to be drawn at random for every record.
pub(in crate::vault) const NONCE: usize = 24;
/// Bytes of the tag.
pub(in crate::vault) const TAG: usize = 16;

/// "expand 32-byte k" (RFC 8439 §2.3).
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// Seals `text` in place, bound to `covered`, and gives the tag.
pub(in crate::vault) fn seal(key: &[u8; 32], nonce: &[u8; NONCE], covered: &[u8], text: &mut [u8]) -> [u8; TAG] {
    let (cipher, nonce) = under_subkey(key, nonce);
    let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(covered), text);
    let tag = tag.expect("a record or a chunk is far below the cipher's limit of 256 GiB");
    tag.as_ref().try_into().expect("a tag of Poly1305 has 16 bytes")
}

/// Opens `text` in place; `None` where it, its tag or what it is bound to was changed, and then there is nothing in `text`
/// that may be used.
pub(in crate::vault) fn open(
    key: &[u8; 32],
    nonce: &[u8; NONCE],
    covered: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG],
) -> Option<()> {
    let (cipher, nonce) = under_subkey(key, nonce);
    cipher.open_in_place_separate_tag(nonce, Aad::from(covered), Tag::from(*tag), text, 0..).ok().map(|_| ())
}

/// The cipher of one nonce, and the nonce that it takes. ring does not wipe its copy of the subkey, which opens nothing but
/// this one record, and what that holds is in memory with it.
fn under_subkey(key: &[u8; 32], nonce: &[u8; NONCE]) -> (LessSafeKey, Nonce) {
    let (first, last) = nonce.split_first_chunk::<16>().expect("24 bytes are more than 16");
    let subkey = hchacha20(key, first);
    let cipher = UnboundKey::new(&CHACHA20_POLY1305, subkey.as_slice()).expect("32 bytes are a key");
    let mut short = [0; 12];
    short[4..].copy_from_slice(last);
    (LessSafeKey::new(cipher), Nonce::assume_unique_for_key(short))
}

/// HChaCha20 (draft-irtf-cfrg-xchacha-03 §2.2): the twenty rounds of ChaCha20 over key and nonce, of which the first and the
/// last row are the subkey.
fn hchacha20(key: &[u8; 32], nonce: &[u8; 16]) -> Zeroizing<[u8; 32]> {
    let mut state = [0u32; 16];
    state[..4].copy_from_slice(&CONSTANTS);
    let words = key.chunks_exact(4).chain(nonce.chunks_exact(4));
    for (word, bytes) in state[4..].iter_mut().zip(words) {
        *word = u32::from_le_bytes(bytes.try_into().expect("chunks of four"));
    }
    for _ in 0..10 {
        for column in 0..4 {
            quarter_round(&mut state, [column, 4 + column, 8 + column, 12 + column]);
        }
        for column in 0..4 {
            let diagonal = [column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4];
            quarter_round(&mut state, diagonal);
        }
    }
    let mut subkey = Zeroizing::new([0; 32]);
    let ends = state[..4].iter().chain(&state[12..]);
    for (bytes, word) in subkey.chunks_exact_mut(4).zip(ends) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    state.zeroize();
    subkey
}

/// RFC 8439 §2.1.
#[inline(always)]
#[expect(clippy::inline_always, reason = "its places are constants only where it is inlined into the unrolled rounds")]
fn quarter_round(state: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    for (first, second) in [(16, 12), (8, 7)] {
        state[a] = state[a].wrapping_add(state[b]);
        state[d] = (state[d] ^ state[a]).rotate_left(first);
        state[c] = state[c].wrapping_add(state[d]);
        state[b] = (state[b] ^ state[c]).rotate_left(second);
    }
}

#[cfg(test)]
mod tests {
    use chacha20poly1305::aead::{AeadInOut, KeyInit};
    use chacha20poly1305::{XChaCha20Poly1305, XNonce};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let read = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        std::array::from_fn(read)
    }

    /// Keys and nonces of the drafts count upwards.
    fn counting<const N: usize>(first: u8) -> [u8; N] {
        std::array::from_fn(|place| first + u8::try_from(place).unwrap())
    }

    #[test]
    fn hchacha20_is_that_of_the_draft() {
        // draft-irtf-cfrg-xchacha-03 §2.2.1.
        let subkey = hchacha20(&counting(0), &bytes("000000090000004a0000000031415927"));
        let expected: [u8; 32] = bytes("82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc");
        assert_eq!(*subkey, expected);
    }

    #[test]
    fn the_cipher_is_that_of_the_draft() {
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

    /// One sealed thing of each kind, as the implementation on ring sealed it.
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
        /// The crate that sealed every record so far reads what we write, and we read what it wrote.
        #[test]
        fn what_one_implementation_seals_the_other_opens(
            key: [u8; 32], nonce: [u8; NONCE], covered in vec(any::<u8>(), 0..300), text in vec(any::<u8>(), 0..2000),
        ) {
            let (theirs, their_nonce) = (XChaCha20Poly1305::new(&key.into()), XNonce::from(nonce));
            let (mut ours, mut other) = (text.clone(), text.clone());
            let tag = seal(&key, &nonce, &covered, &mut ours);
            let their_tag = theirs.encrypt_inout_detached(&their_nonce, &covered, other.as_mut_slice().into()).unwrap();
            prop_assert_eq!((&ours, tag.as_slice()), (&other, their_tag.as_slice()));
            theirs
                .decrypt_inout_detached(&their_nonce, &covered, ours.as_mut_slice().into(), &tag.into())
                .expect("theirs opens ours");
            prop_assert_eq!(open(&key, &nonce, &covered, &mut other, &tag), Some(()));
            prop_assert_eq!((&ours, &other), (&text, &text));
        }

        /// One changed bit anywhere, and it does not open.
        #[test]
        fn every_bit_counts(
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
