//! Fuzzes a callback URL: see `strongroom::properties::callback_url`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &str| strongroom::properties::callback_url(data));
