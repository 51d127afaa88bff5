//! What `fetch_instructions` answers (spec 03 §12): instructions for jobs that have rules of their own.

use std::path::PathBuf;

use super::text::{TextError, Texts, context};

/// A job that has instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Writing an MCP server and connecting it.
    CreateMcpServer,
    /// Writing a mode.
    CreateMode,
}

impl Job {
    /// The job of this name.
    pub fn parse(name: &str) -> Option<Job> {
        match name {
            "create_mcp_server" => Some(Job::CreateMcpServer),
            "create_mode" => Some(Job::CreateMode),
            _ => None,
        }
    }
}

/// What the instructions name; absent: what this session cannot do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The user's file of custom modes.
    pub modes_file: Option<PathBuf>,
    /// MCP servers.
    pub mcp: Option<McpPlaces>,
}

/// Where MCP servers are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct McpPlaces {
    /// Folder in which new servers are made.
    pub directory: String,
    /// The user's settings file of servers.
    pub settings_file: String,
    /// Names of the servers that are switched on.
    pub servers: Vec<String>,
}

/// Why there are no instructions.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No MCP server can be connected, or there is no diff strategy.
    #[error("no MCP servers or no diffs")]
    NoMcpOrDiff,
    /// Nothing keeps modes.
    #[error("no settings are kept")]
    NoStorage,
    /// A text pack has broken the text.
    #[error(transparent)]
    Text(#[from] TextError),
}

/// The instructions for a job. `diff`: the task makes diffs.
///
/// # Errors
/// What the job needs is not there, or its text is broken.
pub fn instructions(texts: &Texts, job: Job, places: &Places, diff: bool) -> Result<String, FetchError> {
    match job {
        Job::CreateMcpServer => {
            let mcp = places.mcp.as_ref().filter(|_| diff).ok_or(FetchError::NoMcpOrDiff)?;
            let McpPlaces { directory, settings_file, servers } = mcp;
            let servers = servers.join(", ");
            Ok(texts.layout("layout.fetch.create_mcp_server", context! { directory, settings_file, servers })?)
        }
        Job::CreateMode => {
            let file = places.modes_file.as_ref().ok_or(FetchError::NoStorage)?;
            let global_file = file.to_string_lossy();
            Ok(format!("\n{}", texts.layout("layout.fetch.create_mode", context! { global_file })?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::modes::file;

    fn places(servers: &[&str]) -> Places {
        Places {
            modes_file: Some("/data/settings/custom_modes.yaml".into()),
            mcp: Some(McpPlaces {
                directory: "/servers".into(),
                settings_file: "/data/settings/mcp_settings.json".into(),
                servers: servers.iter().map(|name| (*name).to_owned()).collect(),
            }),
        }
    }

    /// parity 03 §12: the sample of the instructions is a valid file of modes
    #[test]
    fn the_sample_mode_is_valid() {
        let text = instructions(&Texts::builtin(), Job::CreateMode, &places(&[]), false).expect("instructions");
        assert!(text.starts_with('\n') && text.contains("/data/settings/custom_modes.yaml"), "{text}");
        let sample = &text[text.find("\ncustomModes:").expect("the sample")..];
        let read = file::read(sample, file::Origin::Global);
        assert!(read.is_ok_and(|read| read.faults.is_empty() && read.modes.len() == 1), "{sample}");
    }

    /// parity 03 §12: names of servers, or that there are none; both places
    #[test]
    fn servers_and_places_are_named() {
        let texts = Texts::builtin();
        let text = |servers: &[&str]| {
            instructions(&texts, Job::CreateMcpServer, &places(servers), true).expect("instructions")
        };
        let some = text(&["git", "tides"]);
        assert!(some.contains("git, tides") && some.contains("/data/settings/mcp_settings.json"), "{some}");
        assert!(some.matches("/servers").count() >= 2 && some.contains("apply_diff"), "{some}");
        assert_ne!(some, text(&[]));
        // The samples are JSON.
        for fence in some.split("```json\n").skip(1) {
            let json = fence.split("\n```").next().expect("its end");
            assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let texts = Texts::builtin();
        let none = Places::default();
        let failed =
            |job, places: &Places, diff| instructions(&texts, job, places, diff).expect_err("something missing");
        assert!(matches!(failed(Job::CreateMcpServer, &none, true), FetchError::NoMcpOrDiff));
        assert!(matches!(failed(Job::CreateMcpServer, &places(&[]), false), FetchError::NoMcpOrDiff));
        assert!(matches!(failed(Job::CreateMode, &none, true), FetchError::NoStorage));
        assert_eq!(Job::parse("constructor"), None);
    }
}
