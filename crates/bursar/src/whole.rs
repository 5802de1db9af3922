//! A file that somebody named, written whole or not at all.
//!
//! In: a path after `--out`, and bytes. Out: `FILE.partial` until all of it is there, then `FILE`.
//! Never: what was there lost, unless that was asked for; half of a file under its own name.
//! Why: what is named by mistake may be the database, and what lies there is handed to an auditor.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, input};

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It stays, and nothing is written.
    Kept,
    /// It is replaced, since `--force` says so.
    Forced,
    /// It is replaced, and what a killed run left of it too: its name is one of ours.
    Ours,
}

impl Existing {
    /// What `--force` means.
    pub(crate) const fn forced(force: bool) -> Self {
        if force { Self::Forced } else { Self::Kept }
    }
}

/// A file that is being written beside its place.
pub(crate) struct Whole {
    target: PathBuf,
    partial: PathBuf,
    out: BufWriter<File>,
    existing: Existing,
    is_placed: bool,
}

impl Whole {
    /// Begins it, before anything is read for it.
    ///
    /// # Errors
    /// Exit 2 where a file is there that is to stay, or none can be made.
    pub(crate) fn begin(path: &Path, existing: Existing) -> Result<Self, Error> {
        let failed = |path: &Path, why: io::Error| refused(path, &format!(": {why}"));
        let (target, permissions) = match fs::symlink_metadata(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
            Err(why) => return Err(failed(path, why)),
            Ok(there) => {
                // What a link leads to is replaced, and the link stays.
                let target = match there.is_symlink() {
                    true => path.canonicalize().map_err(|why| failed(path, why))?,
                    false => path.to_owned(),
                };
                let found = fs::metadata(&target).map_err(|why| failed(path, why))?;
                if !found.is_file() {
                    return Err(refused(path, " exists, and is no file"));
                }
                (target, Some(found.permissions()))
            }
        };
        if existing == Existing::Kept && permissions.is_some() {
            return Err(refused(path, " exists; --force overwrites it"));
        }
        let mut partial = target.clone().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = create(&partial, existing, permissions).map_err(|why| match why.kind() {
            io::ErrorKind::AlreadyExists => refused(
                &partial,
                " exists: another command writes it, or one was killed; remove it",
            ),
            _ => failed(&partial, why),
        })?;
        Ok(Self { target, partial, out: BufWriter::new(file), existing, is_placed: false })
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// Where not all of it could be written; then none of it is left.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        let done = self.flush().and_then(|()| self.out.get_ref().sync_all());
        let done = done.and_then(|()| self.put());
        done.map_err(|source| Error::File { path: self.target.clone(), source })
    }

    fn put(&mut self) -> io::Result<()> {
        // It may have come meanwhile.
        if self.existing == Existing::Kept && fs::symlink_metadata(&self.target).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::rename(&self.partial, &self.target)?;
        self.is_placed = true;
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for Whole {
    /// What was not put in its place is not whole.
    fn drop(&mut self) {
        if !self.is_placed {
            let _ = fs::remove_file(&self.partial);
        }
    }
}

fn create(
    partial: &Path,
    existing: Existing,
    permissions: Option<Permissions>,
) -> io::Result<File> {
    let file = match File::create_new(partial) {
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists && existing == Existing::Ours => {
            fs::remove_file(partial)?;
            File::create_new(partial)?
        }
        other => other?,
    };
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    Ok(file)
}

fn refused(path: &Path, why: &str) -> Error {
    input("--out", format!("{}{why}", path.display()))
}
