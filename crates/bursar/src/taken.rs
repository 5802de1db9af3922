//! The imported addresses that were given to an order, kept outside the database.
//!
//! In: an address about to be given. Out: a file that only grows, one address a line.
//! Never: written after the address was shown; its line is on disk first.
//! Why: a restored backup forgets the orders made since, and the imported list gives them again.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use payments::address::{Address, Spelling};
use store::point;

use crate::error::{Error, input};
use crate::high_water::locked;

/// A longer file is a mistake, in bytes: lines of more than six million addresses.
const LARGEST: u64 = 256 * 1024 * 1024;

/// The open, locked list.
#[derive(Debug)]
pub struct Taken {
    path: PathBuf,
    file: File,
    known: BTreeSet<Address>,
}

impl Taken {
    /// Opens and locks the list; other processes wait for it. A missing file is an empty list.
    /// Blocks the thread while another process holds it.
    ///
    /// # Errors
    /// When the file cannot be used, or a line of it is no address.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        let mut file = locked(path).map_err(failed)?;
        let (known, end) = read(path, &file)?;
        file.set_len(end).map_err(failed)?;
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, known })
    }

    /// The addresses of the list as it stands, without waiting and without making the file: none
    /// where it is missing.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn peek(path: &Path) -> Result<BTreeSet<Address>, Error> {
        match File::open(path) {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(source) => Err(Error::File { path: path.to_owned(), source }),
            Ok(file) => Ok(read(path, &file)?.0),
        }
    }

    /// Notes an address as given, on disk before this returns; whether it was not noted before.
    /// One that was must not be given.
    ///
    /// # Errors
    /// When the file cannot be written; then the address must not be used.
    pub fn take(&mut self, address: Address) -> Result<bool, Error> {
        if self.known.contains(&address) {
            return Ok(false);
        }
        let failed = |source| Error::File { path: self.path.clone(), source };
        self.file.write_all(format!("{address}\n").as_bytes()).map_err(failed)?;
        point!("given.listed");
        self.file.sync_all().map_err(failed)?;
        point!("given.written");
        self.known.insert(address);
        Ok(true)
    }
}

/// What stands in the file, and the bytes of its whole lines.
fn read(path: &Path, file: &File) -> Result<(BTreeSet<Address>, u64), Error> {
    let wrong = |why: &str| input(&path.display().to_string(), why);
    let mut bytes = Vec::new();
    let read = file.take(LARGEST.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|source| Error::File { path: path.to_owned(), source })?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        return Err(wrong("is larger than 256 MiB"));
    }
    // A line without its end was cut short, and its address was not given.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n');
    let whole = whole.map_or(0, |last| last.saturating_add(1));
    let text = bytes.get(..whole).and_then(|lines| std::str::from_utf8(lines).ok());
    let text = text.ok_or_else(|| wrong("is not a list of taken addresses"))?;
    let mut known = BTreeSet::new();
    for (number, line) in (1usize..).zip(text.lines()) {
        let address = Address::parse_as(line.trim(), Spelling::Evm)
            .map_err(|why| wrong(&format!("line {number}: {why}; restore it or ask why")))?;
        known.insert(address);
    }
    Ok((known, u64::try_from(whole).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_address_is_taken_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        let [one, two] = [Address([1; 20]), Address([2; 20])];
        assert!(Taken::open(&path).unwrap().take(one).unwrap());
        std::fs::write(&path, format!("{one}\n{}", &two.to_string()[..20])).unwrap();
        let mut taken = Taken::open(&path).unwrap();
        assert!(!taken.take(one).unwrap());
        assert!(taken.take(two).unwrap());
        assert!(!taken.take(two).unwrap());
        drop(taken);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{one}\n{two}\n"));
        std::fs::write(&path, format!("junk\n{two}\n")).unwrap();
        assert!(Taken::open(&path).unwrap_err().line().contains("line 1: "));
    }
}
