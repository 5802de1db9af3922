//! The real `bursar`, built once and run as a process.
//!
//! In: arguments. Out: its exit code and what it wrote. Never: a copy of what `main` does.
//! Why: kill -9, exit codes and signals only exist for processes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The binary of this build. A stale one would prove nothing, so cargo is asked to build it.
pub(crate) fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let built = Command::new(cargo)
            // Chosen beside the tests, its dependencies have the features that were built for them.
            .args(["build", "--quiet", "--package", "tests", "--package", "bursar"])
            .args(["--bin", "bursar", "--manifest-path"])
            .arg(manifest)
            .status()
            .expect("cargo runs");
        assert!(built.success(), "the bursar binary does not build");
        // The test binary is target/PROFILE/deps/tests-HASH.
        let tests = std::env::current_exe().expect("the test binary has a path");
        let profile = tests.parent().and_then(Path::parent).expect("a profile folder");
        let path = profile.join("bursar");
        assert!(path.is_file(), "{} is not there", path.display());
        path
    })
}

/// Runs it to its end. The environment has no config and no log filter of the caller's.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder).args(arguments).output().expect("bursar runs")
}

/// A command for it in `folder`.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(path());
    command.current_dir(folder).env_remove("BURSAR_CONFIG").env_remove("BURSAR_LOG");
    command
}
