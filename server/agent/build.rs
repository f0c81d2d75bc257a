//! openh264 is built from source, and where its assembler is missing it silently becomes two and
//! a half times slower. Such a build is refused instead.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=OPENH264_NO_ASM");
    let architecture = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    // Other processors' assembly goes through the C compiler.
    if !matches!(architecture.as_str(), "x86" | "x86_64") {
        return;
    }
    if std::env::var_os("OPENH264_NO_ASM").is_some() {
        println!("cargo::error=OPENH264_NO_ASM is set: the video encoder would be slow. Unset it");
    }
    let version = Command::new("nasm").arg("-v").output();
    if !version.is_ok_and(|output| output.status.success()) {
        println!(
            "cargo::error=nasm is missing: the video encoder would be slow. Install it (on Debian: \
             apt-get install nasm), then `cargo clean -p openh264-sys2` and build again"
        );
    }
}
