//! Fuzzes a template of a URL, and the value that a stranger puts into it: see `strongroom::properties::url_template`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &str| strongroom::properties::url_template(data));
