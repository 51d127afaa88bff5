//! What is known about models: the built-in tables (spec 08, `models.json`) and the lists that providers publish
//! (spec 07 §21).

mod lists;
mod table;

pub use lists::{ModelList, ModelLists};
pub use table::{DynamicTable, ModelTable, dynamic, dynamic_names, table, table_names};
