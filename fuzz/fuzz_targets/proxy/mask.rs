//! Fuzzes masking of a secret in a stream: see `strongroom::properties::mask`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom::properties::mask(data));
