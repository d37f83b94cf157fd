//! See `echo_core_fuzz::requests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| echo_core_fuzz::requests(data));
