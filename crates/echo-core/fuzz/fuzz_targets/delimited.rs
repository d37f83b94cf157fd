//! See `echo_core_fuzz::delimited`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| echo_core_fuzz::delimited(data));
