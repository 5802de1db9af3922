//! What a command can fail with, and the exit code it ends with.
//!
//! In: errors of every crate below. Out: one line for a person, a code for a script.
//! Never: a secret. Why: `exit 2` means "change what you typed", `exit 1` means "the world".

use std::path::PathBuf;

use payments::PlanError;
use payments::name::ChainName;

use crate::node::{Meaning, NodeError};

/// The exit code of a reconciliation whose evidence is not complete.
pub(crate) const INCOMPLETE: u8 = 3;
/// The exit code of books that do not agree with themselves, or are others than they should be.
const BROKEN: u8 = 4;

/// Why a command stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was typed, or stands in the config, is wrong. The text names the field.
    #[error("{0}")]
    Input(String),
    /// The rules refuse it.
    #[error(transparent)]
    Refused(Box<PlanError>),
    /// The database.
    #[error("database")]
    Store(#[from] store::Error),
    /// The chain's nodes.
    #[error("chain `{chain}`")]
    Chain {
        /// The chain.
        chain: String,
        /// What is wrong.
        #[source]
        source: Box<NodeError>,
    },
    /// A file.
    #[error("{}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: std::io::Error,
    },
    /// Something did not end as it should have.
    #[error("{0}")]
    Failed(String),
    /// A command whose exit codes mean more than these.
    #[error("{why}")]
    Exit {
        /// The code.
        code: u8,
        /// Why.
        why: String,
    },
}

impl From<PlanError> for Error {
    fn from(why: PlanError) -> Self {
        Self::Refused(Box::new(why))
    }
}

impl Error {
    /// Books that nobody should go on with.
    pub(crate) const fn broken(why: String) -> Self {
        Self::Exit { code: BROKEN, why }
    }

    /// What a chain's nodes said, with the chain's name.
    pub(crate) fn chain(chain: &ChainName, source: impl Into<NodeError>) -> Self {
        Self::Chain { chain: chain.to_string(), source: Box::new(source.into()) }
    }

    /// The code the process ends with: 2 for wrong input, otherwise 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) | Self::Refused(_) => 2,
            Self::Store(source) if is_unusable(source) => 2,
            Self::Chain { source, .. } if is_misconfigured(source) => 2,
            Self::Exit { code, .. } => *code,
            Self::Store(_) | Self::Chain { .. } | Self::File { .. } | Self::Failed(_) => 1,
        }
    }

    /// Whether waiting and trying again cannot mend it.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Chain { source, .. } => is_misconfigured(source),
            Self::Store(source) => {
                is_unusable(source) || matches!(source, store::Error::Broken { .. })
            }
            _ => false,
        }
    }

    /// The whole chain of causes as one line.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            line.push_str(": ");
            line.push_str(&error.to_string().replace('\n', " "));
            cause = error.source();
        }
        line
    }
}

/// A refusal of what was typed, naming the field.
pub(crate) fn input(field: &str, why: impl std::fmt::Display) -> Error {
    Error::Input(format!("{field}: {why}"))
}

/// Whether the config and the node contradict each other, so that waiting cannot help.
const fn is_misconfigured(error: &NodeError) -> bool {
    matches!(error.meaning(), Meaning::Misconfigured)
}

/// Whether the database is of another version, or not the one the config means.
const fn is_unusable(error: &store::Error) -> bool {
    use store::Error as E;
    matches!(
        error,
        E::NewerSchema { .. }
            | E::NeedsMigration { .. }
            | E::Checksum(_)
            | E::Setting { .. }
            | E::Url
            | E::UrlUnread
            | E::NotADatabase(_)
    )
}
