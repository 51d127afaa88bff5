//! Changing files: search/replace blocks with fuzzy matching (spec 06 §A), patches, and the [`view`] that shows an edit
//! to the user before it is saved (spec 05 §2). Texts are values here; only the view touches files, through a trait.

pub mod diagnostics;
pub mod disk;
pub mod patch;
pub mod view;
