//! A file that somebody named, written whole or not at all.
//!
//! In: a path after `--out`, and bytes. Out: `FILE.partial` until all of it is there, then `FILE`.
//! Never: what was there lost, unless that was asked for; half of a file under its own name.
//! Why: what is named by mistake may be the database, and what lies there is handed to an auditor.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use crate::error::{Error, input};

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It stays, and nothing is written.
    Kept,
    /// It is replaced.
    Replaced,
}

impl Existing {
    /// What `--force` means.
    pub(crate) const fn forced(force: bool) -> Self {
        if force { Self::Replaced } else { Self::Kept }
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
        let (target, found) = match fs::symlink_metadata(path) {
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
                (target, Some(found))
            }
        };
        if existing == Existing::Kept && found.is_some() {
            return Err(refused(path, " exists; --force overwrites it"));
        }
        let mut partial = target.clone().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = create(&partial, existing, found.as_ref()).map_err(|why| match why.kind() {
            io::ErrorKind::AlreadyExists => {
                let left = match existing {
                    Existing::Kept => "if one was killed, --force replaces it",
                    Existing::Replaced => "if none does, it was left behind: delete it",
                };
                refused(&partial, &format!(" exists: another command writes it; {left}"))
            }
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
        // It is there whole, also where its folder cannot be read or be synced.
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        Ok(())
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

/// Makes the file, and locks it: one that nobody has locked was left by a command that was killed.
fn create(partial: &Path, existing: Existing, like: Option<&Metadata>) -> io::Result<File> {
    loop {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        if let Some(like) = like {
            options.mode(like.mode());
        }
        let (file, is_new) = match options.open(partial) {
            // It may be another program's, which locks nothing.
            Err(why)
                if why.kind() == io::ErrorKind::AlreadyExists && existing == Existing::Replaced =>
            {
                (left(partial)?, false)
            }
            made => (made?, true),
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(TryLockError::Error(why)) if why.kind() != io::ErrorKind::Unsupported => {
                return Err(why);
            }
            // A file system without locks leaves what is there to a person.
            Err(_) if !is_new => return Err(io::ErrorKind::AlreadyExists.into()),
            Ok(()) | Err(_) => {}
        }
        // Who had it before may have put it in its place meanwhile.
        if !is_at(&file, partial)? {
            continue;
        }
        if !is_new {
            fs::remove_file(partial)?;
            continue;
        }
        if let Some(like) = like {
            // As far as one may: what others could read stays theirs to read.
            let _ = fchown(&file, None, Some(like.gid()));
            let _ = fchown(&file, Some(like.uid()), None);
            file.set_permissions(like.permissions())?;
        }
        return Ok(file);
    }
}

/// What lies there, where it is a file.
fn left(partial: &Path) -> io::Result<File> {
    if !fs::symlink_metadata(partial)?.is_file() {
        return Err(io::Error::other("exists, and is no file"));
    }
    OpenOptions::new().write(true).open(partial)
}

/// Whether this is the file of that name.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (own.dev(), own.ino())),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(why) => Err(why),
    }
}

fn refused(path: &Path, why: &str) -> Error {
    input("--out", format!("{}{why}", path.display()))
}
