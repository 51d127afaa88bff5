//! What the model is told: the [`text`] catalogue with every sentence a model or user reads, and the system prompt
//! (spec 03). Pure, but for [`commands`], [`rules`], [`skills`], [`override_file`] and [`text::folder`], which read files: other
//! workspace facts come in as arguments.

mod catalogue;
pub mod commands;
pub mod commit;
pub mod enhance;
pub mod fetch;
pub mod folders;
pub mod front_matter;
pub mod fuzzing;
pub mod instructions;
pub mod mcp;
pub mod mentions;
pub mod modes;
pub mod override_file;
pub mod rules;
pub mod selection;
pub mod skills;
pub mod support;
pub mod system;
pub mod text;
