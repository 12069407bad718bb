//! Fuzzes a backup: see `strongroom::properties::backup`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom::properties::backup(data));
