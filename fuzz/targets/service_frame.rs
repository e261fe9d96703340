//! Entry point for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| longhaul_fuzz::services::frame(data));
