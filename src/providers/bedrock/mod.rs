//! AWS Bedrock by its Converse API (spec 07 §15).

pub mod arn;
pub mod cache;
pub mod model;
