//! The high-water mark: the next unused index of an account, kept outside the database.
//!
//! In: an index about to be used. Out: a file that never goes back.
//! Never: written after the address was shown; the file is on disk first.
//! Why: a restored backup forgets the orders made since, and must not hand out their addresses.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use store::point;

use crate::error::{Error, input};

/// What is read of the file at most, in bytes; it has two lines.
const LARGEST: u64 = 4096;

/// The open, locked file of one account.
#[derive(Debug)]
pub struct HighWater {
    path: PathBuf,
    fingerprint: String,
    file: File,
    next: u32,
}

impl HighWater {
    /// Opens and locks the mark of an account; other processes wait for it. A missing file is a
    /// mark of zero. Blocks the thread while another process holds it.
    ///
    /// # Errors
    /// When the file cannot be used, or belongs to another account.
    pub fn open(path: &Path, fingerprint: &str) -> Result<Self, Error> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        let mut file = locked(path).map_err(failed)?;
        let mut text = String::new();
        std::io::Read::by_ref(&mut file).take(LARGEST).read_to_string(&mut text).map_err(failed)?;
        let next = read(path, fingerprint, &text)?;
        Ok(Self { path: path.to_owned(), fingerprint: fingerprint.to_owned(), file, next })
    }

    /// The mark of an account as it stands, without waiting and without making the file: zero
    /// where it is missing.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn peek(path: &Path, fingerprint: &str) -> Result<u32, Error> {
        let mut text = String::new();
        let file = File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
        match file {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(source) => Err(Error::File { path: path.to_owned(), source }),
            Ok(_) => read(path, fingerprint, &text),
        }
    }

    /// The lowest index that was never used.
    #[must_use]
    pub const fn next(&self) -> u32 {
        self.next
    }

    /// Marks every index below `next` as used, on disk before this returns.
    ///
    /// # Errors
    /// When the file cannot be written; then the index must not be used.
    pub fn raise(&mut self, next: u32) -> Result<(), Error> {
        if next <= self.next {
            return Ok(());
        }
        let line = format!("account {}\nnext {next:010}\n", self.fingerprint);
        let failed = |source| Error::File { path: self.path.clone(), source };
        // The line has a fixed length, so a torn write cannot leave a longer number behind.
        self.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        self.file.write_all(line.as_bytes()).map_err(failed)?;
        point!("high_water.raised");
        self.file.sync_all().map_err(failed)?;
        point!("high_water.written");
        self.next = next;
        Ok(())
    }
}

/// Opens a file for this process alone, and makes it where it is missing. Blocks the thread while
/// another process holds it.
///
/// # Errors
/// What the file system says.
pub(crate) fn locked(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
    file.lock()?;
    Ok(file)
}

/// The mark that a file of `text` has; one that was just made has none.
fn read(path: &Path, fingerprint: &str, text: &str) -> Result<u32, Error> {
    if text.trim().is_empty() {
        return Ok(0);
    }
    let (account, next) = parse(text).ok_or_else(|| {
        input(&path.display().to_string(), "is not a high-water mark; restore it or ask why")
    })?;
    if account != fingerprint {
        let why = format!("belongs to account {account}, not {fingerprint}");
        return Err(input(&path.display().to_string(), why));
    }
    Ok(next)
}

fn parse(text: &str) -> Option<(String, u32)> {
    let mut lines = text.lines();
    let account = lines.next()?.strip_prefix("account ")?.to_owned();
    let next = lines.next()?.strip_prefix("next ")?.parse().ok()?;
    Some((account, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_survives_and_never_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut mark = HighWater::open(&path, "aa").unwrap();
        assert_eq!(mark.next(), 0);
        mark.raise(7).unwrap();
        mark.raise(3).unwrap();
        drop(mark);
        assert_eq!(HighWater::open(&path, "aa").unwrap().next(), 7);
        assert!(HighWater::open(&path, "bb").unwrap_err().line().contains("belongs to account aa"));
        std::fs::write(&path, "junk").unwrap();
        assert_eq!(HighWater::open(&path, "aa").unwrap_err().exit_code(), 2);
    }
}
