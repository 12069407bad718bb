//! Fuzzes a key slot: see `strongroom::properties::slot`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom::properties::slot(data));
