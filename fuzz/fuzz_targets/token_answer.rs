//! Fuzzes the token endpoint's answer (RFC 6749 §5): two bytes choose status, content type and entry: see `strongroom::properties::token_answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom::properties::token_answer(data));
