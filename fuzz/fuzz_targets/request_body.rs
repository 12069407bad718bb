//! Fuzzes request bodies of the API: see `strongroom::properties::request_body`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom::properties::request_body(data));
