//! Fuzzes a path with its query, and a pattern: see `strongroom::properties::canonical_path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &str| strongroom::properties::canonical_path(data));
