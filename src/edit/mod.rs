//! Changing files: [search/replace blocks](search_replace) with fuzzy matching (spec 06 §A), [line insertion](insert),
//! [line numbers](line_numbers), the difference of two texts in [`hunks`], and the [`view`] that shows an edit to the user before it is saved (spec 05 §2). Texts are
//! values here; only the view touches files, through a trait. Failures are typed; the tools word them.

pub mod diagnostics;
pub mod disk;
pub mod document;
pub mod hunks;
pub mod insert;
pub mod line_numbers;
pub mod lines;
pub mod normalize;
pub mod omission;
pub mod patch;
pub mod search_replace;
pub mod view;
