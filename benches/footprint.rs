//! `cargo bench --bench footprint`: how long `serve` takes to be ready, what it needs when idle, and how large it is.
//!
//! It starts the real release binary on a fresh vault with a key file, and asks `/readyz` until it answers. The figures
//! depend on the machine; the bounds beside them are the ones of the project.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_strongroom");
const STARTS: usize = 21;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    run(folder.path(), &["init"]);
    let settings = folder.path().join("strongroom.toml");
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:{port}\"\n[vault]\npath = \"strongroom.db\"\nmaster_key = {{ file = \"strongroom.key\" }}\n"
    );
    std::fs::write(settings, config).expect("the configuration can be written");

    let mut ready: Vec<Duration> = (0..STARTS)
        .map(|_| {
            let (mut server, took) = start(folder.path(), port);
            server.kill().expect("the server can be killed");
            server.wait().expect("the server ends");
            took
        })
        .collect();
    ready.sort_unstable();
    let (mut server, _) = start(folder.path(), port);
    std::thread::sleep(Duration::from_secs(2));
    let memory = resident_kib(server.id());
    server.kill().expect("the server can be killed");
    server.wait().expect("the server ends");
    let size = std::fs::metadata(BINARY).expect("the binary is there").len();

    let mut out = std::io::stdout().lock();
    let lines = [
        format!(
            "start to ready   median {:>7.1} ms  fastest {:.1} ms   (bound: 50 ms)",
            ms(ready[STARTS / 2]),
            ms(ready[0])
        ),
        format!("resident, idle   {:>14.1} MB                  (bound: 20 MB)", mb(memory)),
        format!("binary           {:>14.1} MB                  (bound: 15 MB)", mb(size / 1024)),
    ];
    for line in lines {
        writeln!(out, "{line}").expect("stdout takes a line");
    }
}

fn mb(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).expect("less than 4 TiB")) / 1024.0
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn run(folder: &Path, arguments: &[&str]) {
    let done = Command::new(BINARY).args(arguments).current_dir(folder).stdout(Stdio::null()).status();
    assert!(done.expect("the binary runs").success());
}

fn start(folder: &Path, port: u16) -> (Child, Duration) {
    let began = Instant::now();
    let child = Command::new(BINARY)
        .arg("serve")
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    while !is_ready(port) {
        assert!(began.elapsed() < Duration::from_secs(20), "serve is not ready after 20 s");
        std::thread::sleep(Duration::from_micros(500));
    }
    (child, began.elapsed())
}

fn is_ready(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let asked = stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells VmRSS");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number of KiB")
}
