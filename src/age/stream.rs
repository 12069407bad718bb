//! The payload: STREAM over ChaCha20-Poly1305, chunks of 64 KiB, each with its number and whether it is the last in its nonce.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

use super::cipher::{self, NONCE, TAG};

const CHUNK: usize = 64 * 1024;

struct Chunks {
    key: Zeroizing<[u8; 32]>,
    number: u64,
}

impl Chunks {
    fn new(key: &[u8; 32]) -> Self {
        Self { key: Zeroizing::new(*key), number: 0 }
    }

    /// Eleven bytes of number, and one that is 1 for the last.
    fn next_nonce(&mut self, last: bool) -> [u8; NONCE] {
        let mut nonce = [0; NONCE];
        nonce[3..11].copy_from_slice(&self.number.to_be_bytes());
        nonce[11] = u8::from(last);
        self.number += 1;
        nonce
    }
}

/// Seals chunk by chunk; one is sealed when it is known whether it is the last.
pub(super) struct Sealer<W> {
    out: W,
    chunks: Chunks,
    plain: Zeroizing<Vec<u8>>,
}

impl<W: Write> Sealer<W> {
    pub(super) fn new(out: W, key: &[u8; 32]) -> Self {
        Self { out, chunks: Chunks::new(key), plain: Zeroizing::new(Vec::with_capacity(CHUNK)) }
    }

    pub(super) fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.plain.len() == CHUNK {
                self.seal(false)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.plain.len()));
            self.plain.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let nonce = self.chunks.next_nonce(last);
        let tag = cipher::seal(&self.chunks.key, nonce, &mut self.plain);
        self.out.write_all(&self.plain)?;
        self.out.write_all(&tag)?;
        self.plain.clear();
        Ok(())
    }
}

/// Opens chunk by chunk: whether one is the last is seen from what comes behind it.
pub(super) struct Opener<R> {
    from: R,
    chunks: Chunks,
    /// What was read and not opened yet: a chunk, and the first bytes of the next.
    ahead: Vec<u8>,
    plain: Zeroizing<Vec<u8>>,
    taken: usize,
    ended: bool,
}

impl<R: Read> Opener<R> {
    pub(super) fn new(from: R, key: &[u8; 32]) -> Self {
        Self {
            from,
            chunks: Chunks::new(key),
            ahead: Vec::with_capacity(CHUNK + TAG + 1),
            plain: Zeroizing::new(Vec::with_capacity(CHUNK)),
            taken: 0,
            ended: false,
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.plain.len() && !self.ended {
            self.next_chunk()?;
        }
        let now = buffer.len().min(self.plain.len() - self.taken);
        buffer[..now].copy_from_slice(&self.plain[self.taken..self.taken + now]);
        self.taken += now;
        Ok(now)
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let wanted = CHUNK + TAG + 1 - self.ahead.len();
        self.from.by_ref().take(u64::try_from(wanted).unwrap_or(u64::MAX)).read_to_end(&mut self.ahead)?;
        let last = self.ahead.len() <= CHUNK + TAG;
        let sealed = self.ahead.len().min(CHUNK + TAG);
        let (cipher_text, tag) =
            self.ahead[..sealed].split_last_chunk::<TAG>().ok_or_else(|| invalid("it is cut off"))?;
        // An empty chunk is there only where all of the payload is empty.
        if cipher_text.is_empty() && self.chunks.number > 0 {
            return Err(invalid("it ends in an empty chunk"));
        }
        self.plain.clear();
        self.plain.extend_from_slice(cipher_text);
        self.taken = 0;
        let nonce = self.chunks.next_nonce(last);
        if cipher::open(&self.chunks.key, nonce, &mut self.plain, *tag).is_none() {
            self.plain.clear();
            return Err(invalid("it was changed or cut off"));
        }
        self.ahead.drain(..sealed);
        self.ended = last;
        Ok(())
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
