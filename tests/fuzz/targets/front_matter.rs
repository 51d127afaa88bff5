#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lapce_ai::prompt::fuzzing::front_matter(input));
