//! The sealed body of a backup or an export: chunks of up to 64 KiB, each bound to its position, and
//! a checksum over everything that was written through it.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::error::BackupError;
use crate::secret;
use crate::vault::crypto::aead::{self, NONCE, TAG};
use crate::vault::crypto::encoding::cover;
use crate::vault::crypto::keys::Key;

/// Bytes of plaintext in every chunk but the last.
pub(crate) const CHUNK: usize = 64 * 1024;
/// Marks the last chunk in the length field.
const LAST: u32 = 1 << 31;
/// Bytes of the checksum.
const SUM: usize = 32;

/// Reader or writer that computes the checksum of what passes through.
pub(crate) struct Summed<T> {
    inner: T,
    sum: Sha256,
}

impl<T> Summed<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, sum: Sha256::new() }
    }

    fn sum(&self) -> [u8; SUM] {
        self.sum.clone().finalize().into()
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sum.update(&buffer[..read]);
        Ok(read)
    }
}

/// Key, head and number of a chunk, from which nonce and associated data are made.
struct Place {
    key: Key,
    head: [u8; 32],
    number: u64,
}

impl Place {
    fn new(key: &Key, head: [u8; 32]) -> Self {
        Self { key: key.clone(), head, number: 0 }
    }

    /// Returns the nonce. The key is used for one file only, so a counter never repeats a
    /// nonce.
    fn nonce(&self) -> [u8; NONCE] {
        let mut nonce = [0; NONCE];
        nonce[16..].copy_from_slice(&self.number.to_be_bytes());
        nonce
    }

    fn covered(&self, last: bool) -> Vec<u8> {
        let number = self.number.to_be_bytes();
        cover([b"strongroom chunk 1".as_slice(), &self.head, &number, &[u8::from(last)]])
    }
}

/// Writer that seals chunks.
pub(crate) struct Sealer<W> {
    out: Summed<W>,
    place: Place,
    plain: Zeroizing<Vec<u8>>,
}

impl<W: Write> Sealer<W> {
    /// Starts after the head, which was already written to `out`.
    pub(crate) fn new(out: Summed<W>, key: &Key, head: [u8; 32]) -> Self {
        Self { out, place: Place::new(key, head), plain: Zeroizing::new(Vec::with_capacity(CHUNK)) }
    }

    /// Writes bytes. A chunk is sealed when more bytes follow, because the last chunk is
    /// marked.
    pub(crate) fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
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

    /// Seals the last chunk, writes the checksum, and returns the output.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        let sum = self.out.sum();
        self.out.write_all(&sum)?;
        Ok(self.out.inner)
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let length = u32::try_from(self.plain.len()).expect("at most CHUNK");
        let (nonce, covered) = (self.place.nonce(), self.place.covered(last));
        let tag = aead::seal(&self.place.key, &nonce, &covered, &mut self.plain);
        self.out.write_all(&(length | if last { LAST } else { 0 }).to_be_bytes())?;
        self.out.write_all(&self.plain)?;
        self.out.write_all(&tag)?;
        self.plain.clear();
        self.place.number += 1;
        Ok(())
    }
}

fn cut_off() -> BackupError {
    BackupError::Damaged("its last entry is cut off")
}

/// Reader that opens chunks.
pub(crate) struct Opener<R> {
    from: Summed<R>,
    place: Place,
    plain: Zeroizing<Vec<u8>>,
    /// Number of bytes of the chunk that were returned.
    taken: usize,
    ended: bool,
}

impl<R: Read> Opener<R> {
    /// Starts after the head, which was already read from `from`.
    pub(crate) fn new(from: Summed<R>, key: &Key, head: [u8; 32]) -> Self {
        let plain = Zeroizing::new(Vec::with_capacity(CHUNK + TAG));
        Self { from, place: Place::new(key, head), plain, taken: 0, ended: false }
    }

    /// Fills `wanted`; returns false at the end. All returned bytes are authenticated, and the
    /// end is too.
    pub(crate) fn take(&mut self, wanted: &mut [u8]) -> Result<bool, BackupError> {
        let mut filled = 0;
        while filled < wanted.len() {
            let some = self.some(wanted.len() - filled)?;
            if some.is_empty() {
                return if filled == 0 { Ok(false) } else { Err(cut_off()) };
            }
            wanted[filled..filled + some.len()].copy_from_slice(some);
            filled += some.len();
        }
        Ok(true)
    }

    /// Appends `length` bytes to `to`. The buffer grows with the bytes that exist, not with a
    /// claimed length.
    pub(crate) fn append(&mut self, to: &mut Zeroizing<Vec<u8>>, length: usize) -> Result<(), BackupError> {
        let mut left = length;
        while left > 0 {
            let some = self.some(left)?;
            if some.is_empty() {
                return Err(cut_off());
            }
            secret::append(to, some);
            left -= some.len();
        }
        Ok(())
    }

    /// Returns the next bytes, up to `most`; empty at the end.
    fn some(&mut self, most: usize) -> Result<&[u8], BackupError> {
        while self.taken == self.plain.len() {
            if self.ended {
                return Ok(&[]);
            }
            self.next_chunk()?;
        }
        let from = self.taken;
        self.taken += most.min(self.plain.len() - from);
        Ok(&self.plain[from..self.taken])
    }

    fn next_chunk(&mut self) -> Result<(), BackupError> {
        let mut length = [0; 4];
        self.from.read_exact(&mut length).map_err(BackupError::reading)?;
        let length = u32::from_be_bytes(length);
        let (length, last) = (usize::try_from(length & !LAST).unwrap_or(usize::MAX), length & LAST != 0);
        if length > CHUNK || (!last && length < CHUNK) {
            return Err(BackupError::Damaged("a chunk has a length that none can have"));
        }
        self.plain.resize(length, 0);
        self.taken = 0;
        self.from.read_exact(&mut self.plain).map_err(BackupError::reading)?;
        let mut tag = [0; TAG];
        self.from.read_exact(&mut tag).map_err(BackupError::reading)?;
        let (nonce, covered) = (self.place.nonce(), self.place.covered(last));
        if aead::open(&self.place.key, &nonce, &covered, &mut self.plain, &tag).is_none() {
            // A caller that continues after the error must not get bytes that were not
            // authenticated.
            self.plain.clear();
            return Err(BackupError::Damaged("a chunk was changed, or is not where it was put"));
        }
        self.place.number += 1;
        self.ended = last;
        if last { self.end() } else { Ok(()) }
    }

    /// Checks the checksum, and that nothing follows it.
    fn end(&mut self) -> Result<(), BackupError> {
        let sum = self.from.sum();
        let mut written = [0; SUM];
        self.from.read_exact(&mut written).map_err(BackupError::reading)?;
        if written != sum {
            return Err(BackupError::Damaged("its checksum does not hold"));
        }
        match self.from.read(&mut [0]).map_err(BackupError::reading)? {
            0 => Ok(()),
            _ => Err(BackupError::Damaged("something was added behind its end")),
        }
    }
}
