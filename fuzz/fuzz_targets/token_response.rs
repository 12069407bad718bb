//! Fuzzes token responses (RFC 6749 §5): see `strongroom::properties::token_response`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom::properties::token_response(data));
