//! Compiles the Cython modules into `OUT_DIR`, from where maturin packs them into the wheel
//! (`include … from = "out-dir"` in pyproject.toml).

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs, io};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../../cython");
    println!("cargo:rerun-if-env-changed=PYO3_PYTHON");
    if env::var_os("CARGO_FEATURE_CYTHON").is_none() {
        return;
    }
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // Whatever lies there was made for another interpreter or from a module that is gone.
    match fs::remove_dir_all(out_dir.join("keepvip")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            panic!("cannot clear {}: {error}", out_dir.display())
        }
        _ => {}
    }
    let python = env::var_os("PYO3_PYTHON").unwrap_or_else(|| "python3".into());
    let status = Command::new(&python)
        .args(["../../cython/build.py".as_ref(), out_dir.as_os_str()])
        .status()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", python.display()));
    assert!(status.success(), "compiling the Cython modules failed ({status})");
}
