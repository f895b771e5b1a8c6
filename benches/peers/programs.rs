//! Where the programs under test are, and how they are built.

use crate::support::process::run;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const REMEDY: &str = "install it: .ci/install bench";

/// Where what a run leaves is put: cargo's target directory is the parent of the one that it gives to benches.
pub(crate) fn output_directory() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let directory = target.join("bench");
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// The sidecar, with no setting from the environment.
pub(crate) fn tenure() -> Command {
    let mut command = Command::new(tenure_path());
    for name in ["POD_NAME", "POD_IP", "TENURE_URL", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

pub(crate) fn tenure_path() -> PathBuf {
    let built = || tenure_target().join("release/tenure");
    std::env::var_os(TENURE_BIN).map_or_else(built, PathBuf::from)
}

/// Names another binary to measure than the release.
const TENURE_BIN: &str = "TENURE_BIN";

/// Apart from where cargo builds for benches: what these alone need adds features to crates of the sidecar's.
fn tenure_target() -> PathBuf {
    output_directory().join("tenure")
}

/// Builds the sidecar as it is released, unless another binary is to be measured.
///
/// # Panics
/// Where it can't be built.
pub(crate) fn build_tenure() {
    if std::env::var_os(TENURE_BIN).is_some() {
        return;
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("CARGO_BUILD_TARGET")
        .args(["build", "--release", "--locked", "--target-dir"])
        .arg(tenure_target());
    assert!(cargo.status().unwrap().success(), "{cargo:?}");
}

pub(crate) fn go_path() -> PathBuf {
    output_directory().join("go-peer")
}

/// Where Debian has it; else by name.
pub(crate) fn etcdctl_path() -> PathBuf {
    let debian = PathBuf::from("/usr/bin/etcdctl");
    if debian.exists() {
        debian
    } else {
        PathBuf::from("etcdctl")
    }
}

/// Builds the Go peer against Debian's packages, without modules or network.
///
/// # Panics
/// Where it can't be built.
pub(crate) fn build_go() {
    let debian = Path::new("/usr/lib/go-1.19/bin/go");
    let go = if debian.exists() {
        debian
    } else {
        Path::new("go")
    };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/go/main.go");
    let output = run(
        Command::new(go)
            .arg("build")
            .arg("-o")
            .arg(go_path())
            .arg(source)
            .env("GO111MODULE", "off")
            .env("GOPATH", "/usr/share/gocode")
            .env("GOCACHE", output_directory().join("go-cache")),
        REMEDY,
    );
    assert_eq!(output.code, Some(0), "{}: {REMEDY}", output.stderr);
}

/// The bytes of a program without its symbols; none where that can't be told.
pub(crate) fn stripped_size(program: &Path) -> Option<u64> {
    let copy = output_directory().join("stripped");
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&copy).arg(program);
    let is_stripped = strip.status().ok()?.success();
    let size = fs::metadata(&copy).ok()?.len();
    fs::remove_file(copy).ok()?;
    is_stripped.then_some(size)
}
