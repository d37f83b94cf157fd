//! See `echo_core_fuzz::netstring`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| echo_core_fuzz::netstring(data));
