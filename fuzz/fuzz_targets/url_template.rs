//! Fuzzes a URL template and an untrusted value: see `strongroom::properties::url_template`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &str| strongroom::properties::url_template(data));
