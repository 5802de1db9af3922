//! tronweb and tronpy as processes.
//!
//! In: a request for one of the scripts in `tests/tron_clients`. Out: what it said. Never: a
//! client found elsewhere on the machine; tests/run has installed the pinned ones.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// What tronweb says of a node.
pub(super) async fn tronweb(request: &Value) -> Value {
    by_tronweb("read.mjs", request).await
}

/// What tronweb says of keys.
pub(super) async fn tronweb_keys(request: &Value) -> Value {
    by_tronweb("keys.mjs", request).await
}

/// What tronpy says of a node.
pub(super) async fn tronpy(request: &Value) -> Value {
    by_tronpy("read.py", request).await
}

/// What tronpy says of keys.
pub(super) async fn tronpy_keys(request: &Value) -> Value {
    by_tronpy("keys.py", request).await
}

async fn by_tronweb(script: &str, request: &Value) -> Value {
    let installed = cached("node/node_modules/tronweb/package.json");
    assert!(installed.is_file(), "tronweb is missing: tests/run installs it");
    said(Path::new("node"), script, request).await
}

async fn by_tronpy(script: &str, request: &Value) -> Value {
    let python = cached("python/bin/python");
    assert!(python.is_file(), "tronpy is missing: tests/run installs it");
    said(&python, script, request).await
}

fn cached(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache").join(name)
}

async fn said(program: &Path, script: &str, request: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tron_clients").join(script);
    let mut child = Command::new(program)
        .arg(&script)
        // Neither a proxy nor a key of the caller's belongs in this.
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .env_remove("TRONPY_HTTP_PROVIDER_URI")
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{} does not run: {error}", program.display()));
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(request.to_string().as_bytes()).await.expect("it reads its request");
    drop(stdin);
    let output = child.wait_with_output().await.expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", script.display());
    serde_json::from_slice(&output.stdout).expect("JSON")
}
