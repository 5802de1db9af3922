//! An order's dossier on the desk: shared with the snapshot until something is written on it.
//!
//! In: a dossier of the snapshot. Out: the same, or a copy with what is written.
//! Never: a change of the snapshot. Why: most orders of a snapshot are looked at and left as they
//! are, and one with a long history is large.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::order::Dossier;

/// A dossier that is copied by the first write.
#[derive(Clone)]
pub(crate) struct Sheet(Arc<Dossier>);

impl Sheet {
    pub(crate) fn new(dossier: &Arc<Dossier>) -> Self {
        Self(Arc::clone(dossier))
    }

    /// The dossier as it is by now.
    pub(crate) fn into_shared(self) -> Arc<Dossier> {
        self.0
    }
}

impl Deref for Sheet {
    type Target = Dossier;

    fn deref(&self) -> &Dossier {
        &self.0
    }
}

impl DerefMut for Sheet {
    fn deref_mut(&mut self) -> &mut Dossier {
        Arc::make_mut(&mut self.0)
    }
}
