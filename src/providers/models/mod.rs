//! What is known about models: the built-in tables (spec 08, `models.json`) and the lists that providers publish
//! (spec 07 §21).

pub mod fetch;
mod lists;
mod table;

pub use lists::{EndpointKey, ModelList, ModelLists, find};
pub use table::{DynamicTable, ModelTable, dynamic, dynamic_names, table, table_names};
