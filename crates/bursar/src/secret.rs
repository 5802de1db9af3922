//! Values that must not be seen: read from the config or from a file, never printed.
//!
//! In: `field = "…"` or `field_file = "PATH"`. Out: the text, to be used once.
//! Never: in `Debug`, in an error, in a log. Why: an endpoint URL holds the key that pays for it.

use std::fmt;
use std::path::Path;

use crate::error::{Error, input};

/// Files with secrets are short; a larger one is a mistake.
const LARGEST: u64 = 64 * 1024;

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("(secret)")
    }
}

/// The value of `field`, given directly or by a file; `None` where neither is.
///
/// # Errors
/// When both are given, or the file cannot be read; the text names the field and the file.
pub(crate) fn read(
    field: &str,
    direct: Option<&String>,
    file: Option<&String>,
    beside: &Path,
) -> Result<Option<Secret>, Error> {
    match (direct, file) {
        (Some(_), Some(_)) => Err(input(field, format!("give {field} or {field}_file, not both"))),
        (Some(text), None) => Ok(Some(Secret(text.trim().to_owned()))),
        (None, None) => Ok(None),
        (None, Some(file)) => {
            let path = beside.join(file);
            let named = |why: String| input(&format!("{field}_file"), why);
            let facts = std::fs::metadata(&path)
                .map_err(|why| named(format!("cannot read {}: {why}", path.display())))?;
            if !facts.is_file() || facts.len() > LARGEST {
                return Err(named(format!("{} is not a small file", path.display())));
            }
            let text = std::fs::read_to_string(&path)
                .map_err(|why| named(format!("cannot read {}: {why}", path.display())))?;
            let text = text.trim();
            if text.is_empty() {
                return Err(named(format!("{} is empty", path.display())));
            }
            Ok(Some(Secret(text.to_owned())))
        }
    }
}
