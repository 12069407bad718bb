//! Fuzzes a key set (RFC 7517) and a token: see `strongroom::properties::key_set_and_token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom::properties::key_set_and_token(data));
