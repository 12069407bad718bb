//! Fuzzes strict JSON: see `strongroom::properties::json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom::properties::json(data));
