//! Limits of this machine: bare warp, raw SQLite, a sync, one AEAD.

pub mod raw_vault;
pub mod warp_server;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use strongroom::random::Random;

use self::raw_vault::open;
use super::client::request;
use super::installation::Server;
use super::load::{Load, Outcome, Requests};

/// The bare warp server.
pub struct BareWarp {
    _server: Server,
    address: SocketAddr,
}

impl BareWarp {
    pub fn start() -> Self {
        let this = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(this).arg("--bare-warp").stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it is");
        Self { _server: Server(child), address: line.trim().parse().expect("an address") }
    }

    pub fn measure(&self, connections: usize, time: Duration) -> Outcome {
        let requests = Requests::same(request("GET", "/limit", &[], ""));
        Load { address: self.address, connections, time, requests, right: &[200] }.run()
    }
}

/// One row of 200 bytes: `group` rows a commit, each in a savepoint.
pub fn plain_sqlite(folder: &Path, group: usize, time: Duration) -> f64 {
    let connection = open(&folder.join(format!("plain-{group}.db")));
    connection.execute_batch("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v BLOB) STRICT").expect("a table");
    let (began, mut done) = (Instant::now(), 0);
    while began.elapsed() < time {
        connection.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
        for _ in 0..group {
            connection.execute_batch("SAVEPOINT job").expect("a savepoint");
            let mut insert = connection.prepare_cached("INSERT INTO t (v) VALUES (?)").expect("a statement");
            insert.execute([Random.bytes::<200>()]).expect("a row");
            connection.execute_batch("RELEASE job").expect("a savepoint");
        }
        connection.execute_batch("COMMIT").expect("a commit");
        done += group;
    }
    done as f64 / began.elapsed().as_secs_f64()
}

/// Writes of 4 KiB, each synced.
pub fn fdatasync(folder: &Path, time: Duration) -> f64 {
    let mut file = std::fs::File::create(folder.join("synced")).expect("a file");
    file.write_all(&vec![1; 1 << 20]).expect("room");
    let (began, mut done) = (Instant::now(), 0u64);
    while began.elapsed() < time {
        file.write_all_at(&[done as u8; 4096], done % 256 * 4096).expect("room");
        file.sync_data().expect("the disk syncs");
        done += 1;
    }
    done as f64 / began.elapsed().as_secs_f64()
}

/// XChaCha20-Poly1305 of 1 KiB, as this program was compiled.
pub fn aead(time: Duration) -> f64 {
    let cipher = XChaCha20Poly1305::new(&Random.bytes::<32>().into());
    let nonce = XNonce::from(Random.bytes::<24>());
    let (began, mut done, mut plain) = (Instant::now(), 0u64, [0u8; 1024]);
    while began.elapsed() < time {
        for _ in 0..100 {
            let buffer = std::hint::black_box(plain.as_mut_slice());
            let tag = cipher.encrypt_inout_detached(&nonce, b"", buffer.into()).expect("1 KiB");
            std::hint::black_box(tag);
        }
        done += 100;
    }
    done as f64 / began.elapsed().as_secs_f64()
}
