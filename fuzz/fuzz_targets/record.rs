//! Fuzzes a sealed record: see `strongroom::properties::record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom::properties::record(data));
