//! `bursar init`: a commented config to start from.
//!
//! In: the path of a file that does not exist. Out: that file, and what to fill in.
//! Never: overwrites a config unless told to. Why: the first thing an installer reads.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use serde_json::json;

use crate::cli::Init;
use crate::error::{Error, input};
use crate::output::Output;

/// The config that is written: what can be set, and what it is for.
pub const TEMPLATE: &str = include_str!("bursar.toml");

/// Writes the template to `path`.
///
/// # Errors
/// When the file exists, or cannot be written.
pub fn run(path: &Path, options: &Init, output: Output) -> Result<(), Error> {
    let mut open = OpenOptions::new();
    open.write(true).create(true);
    if options.force {
        open.truncate(true)
    } else {
        open.create_new(true)
    };
    let mut file = open.open(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => {
            input(&path.display().to_string(), "exists; --force overwrites it")
        }
        _ => Error::File { path: path.to_owned(), source },
    })?;
    file.write_all(TEMPLATE.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|source| Error::File { path: path.to_owned(), source })?;
    let written = path.display().to_string();
    output.print(&json!({ "written": written }), || {
        format!(
            "Wrote {written}. Fill in, for each chain:\n\n  \
             addresses.xpub   the account key your deposit addresses come from (never an xprv)\n  \
             endpoints.url    at least one node; two or more catch each other's mistakes\n\n\
             Then: bursar check     says what is still wrong\n      \
             bursar migrate   makes the database\n      \
             bursar run       watches\n"
        )
    })
}
