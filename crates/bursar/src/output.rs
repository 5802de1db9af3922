//! What a command prints: a table or a sentence for people, JSON for programs.
//!
//! In: a value and its text. Out: standard output. Never: both; never a colour in JSON.
//! Why: human output may change with any version, machine output may not.

use std::io::Write as _;

use serde_json::Value;

use crate::error::Error;

/// Where a command's answer goes.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// JSON instead of text.
    pub json: bool,
}

impl Output {
    /// Prints `value` or what `text` makes of it. A reader that went away is not an error.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn print(self, value: &Value, text: impl FnOnce() -> String) -> Result<(), Error> {
        let mut out = if self.json {
            serde_json::to_string_pretty(value)
                .map_err(|why| Error::Failed(format!("cannot write JSON: {why}")))?
        } else {
            text()
        };
        if !out.ends_with('\n') {
            out.push('\n');
        }
        line(&out)
    }
}

/// Writes text to standard output as it is.
pub(crate) fn line(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(why) if why.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|source| Error::File { path: "standard output".into(), source }),
    }
}

/// A table with a header, columns as wide as their widest cell.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    let header = header.iter().map(|cell| (*cell).to_owned()).collect();
    for row in std::iter::once(&header).chain(rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// `field  value` lines, the values aligned.
pub(crate) fn fields(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for (name, value) in pairs {
        out.push_str(format!("{name:<width$}  {value}").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows =
            vec![vec!["a".to_owned(), "1".to_owned()], vec!["bbb".to_owned(), String::new()]];
        assert_eq!(table(&["id", "n"], &rows), "id   n\na    1\nbbb\n");
        assert_eq!(
            fields(&[("a", "1".to_owned()), ("long", "2".to_owned())]),
            "a     1\nlong  2\n"
        );
    }
}
