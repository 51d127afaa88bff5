//! `apply_diff`: search/replace blocks for one file ([`single`]), or for several files a call ([`multi`], experiment
//! `multiFileApplyDiff`) (spec 05 §5.5, §5.6).

mod multi;
mod operations;
mod single;
mod wording;

use async_trait::async_trait;

use super::Tool;
use super::change;
use super::context::{ToolContext, ToolError};
use crate::edit::search_replace::Options;
use crate::protocol::tool::{ToolCall, ToolName};

/// The tool.
pub struct ApplyDiff;

#[async_trait]
impl Tool for ApplyDiff {
    fn name(&self) -> ToolName {
        ToolName::ApplyDiff
    }

    async fn run(&self, call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
        let applied = match context.settings().experiment("multiFileApplyDiff") {
            true => multi::apply(call, context).await,
            false => single::apply(call, context).await,
        };
        match applied {
            Err(error) => {
                change::fail(context, "applying diff", error).await?;
                context.process_queued();
                Ok(())
            }
            done => done,
        }
    }
}

/// How to search, by the settings.
fn options(context: &dyn ToolContext) -> Options {
    Options { threshold: context.settings().fuzzy_match_threshold, ..Options::default() }
}

/// `text` between `error_details` tags.
fn error_details(text: &str) -> String {
    format!("<error_details>\n{text}\n</error_details>")
}
