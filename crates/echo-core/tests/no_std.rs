//! Guarantee 16: codecs and `Deframer` need no std.

use std::{env, fs, path::Path, process::Command};

/// Links the crate into a library with a panic handler of its own: were std linked by it or by one
/// of its dependencies, there would be two, which the compiler refuses.
#[test]
fn codecs_and_deframer_link_without_std() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let consumer = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_std_consumer");
    fs::create_dir_all(consumer.join("src")).unwrap();
    // The versions that are tested here, and nothing from the network.
    let lock = home.join("../../Cargo.lock");
    fs::copy(lock, consumer.join("Cargo.lock")).unwrap();
    let manifest = MANIFEST.replace("HOME", &format!("{:?}", home.display().to_string()));
    fs::write(consumer.join("Cargo.toml"), manifest).unwrap();
    fs::write(consumer.join("src/lib.rs"), CONSUMER).unwrap();

    let built = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--quiet", "--target-dir", "target"])
        .current_dir(&consumer)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{stderr}");
}

const MANIFEST: &str = r#"
[package]
name = "no_std_consumer"
version = "0.0.0"
edition = "2024"

[lib]
crate-type = ["staticlib"]

[dependencies]
echo-core = { path = HOME, default-features = false }

[profile.dev]
panic = "abort"

[workspace]
"#;

const CONSUMER: &str = r#"
#![no_std]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};

use echo_core::{Deframer, Encoder, Framing, Polled};

/// True when every framing frames and deframes a payload.
#[unsafe(no_mangle)]
pub extern "C" fn frames() -> bool {
    ["line", "delim:3b", "fixed:2", "u32", "varint", "netstring", "raw"].iter().all(|text| {
        let Ok(framing) = text.parse::<Framing>() else { return false };
        let mut wire = alloc::vec::Vec::new();
        let sent = framing.codec().encode_to(b"hi", &mut wire).is_ok();
        let mut deframer = Deframer::new(framing.codec());
        deframer.push(&wire);
        sent && deframer.poll() == Ok(Polled::Frame(b"hi"))
    })
}

struct None;

#[global_allocator]
static ALLOCATOR: None = None;

// SAFETY: never gives memory, which is always allowed.
unsafe impl GlobalAlloc for None {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
"#;
