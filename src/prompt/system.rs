//! The system prompt (spec 03 §2–§4): segments in a fixed order, joined by one blank line. Structure comes from the
//! layouts, wording from the texts, facts from [`SystemInputs`].

use serde::Serialize;

use super::catalogue;
use super::text::{TextError, Texts};
use crate::protocol::tool::ToolName;

/// A mode as the MODES section shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModeLine {
    /// Slug.
    pub slug: String,
    /// Name.
    pub name: String,
    /// When to use it, or the first sentence of its role (spec 03 §8.2).
    pub text: String,
}

/// How `apply_diff` is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiffForm {
    /// One file a call.
    Single,
    /// Several files a call (experiment `multiFileApplyDiff`).
    Multi,
}

/// Everything the prompt depends on.
#[derive(Clone, Debug)]
pub struct SystemInputs<'a> {
    /// Workspace folder, native separators.
    pub cwd: &'a str,
    /// Home folder.
    pub home: &'a str,
    /// Operating system, such as `Linux 6.8`.
    pub os: &'a str,
    /// Default shell.
    pub shell: &'a str,
    /// Role definition of the mode in force.
    pub role: &'a str,
    /// Instructions of the mode in force.
    pub mode_instructions: &'a str,
    /// All modes, in order.
    pub modes: &'a [ModeLine],
    /// Tools to describe, in order: those the mode offers (spec 03 §5.2).
    pub tools: &'a [ToolName],
    /// Tools this engine has at all: advice that names another one is left out.
    pub built: &'a [ToolName],
    /// Form of `apply_diff`, absent when it is off.
    pub diff: Option<DiffForm>,
    /// The model takes images and the browser is on.
    pub browser: bool,
    /// The code index is ready.
    pub index: bool,
    /// `maxReadFileLine` is not −1.
    pub partial_reads: bool,
    /// Files a read may name.
    pub max_concurrent_file_reads: u64,
    /// Locale such as `en`.
    pub language: &'a str,
    /// The user's instructions for all modes.
    pub global_instructions: &'a str,
    /// Rule blocks in order (spec 03 §6.1), each with its heading.
    pub rules: &'a [String],
}

/// Builds the system prompt.
///
/// # Errors
/// A text or layout that a pack has made invalid, by id.
pub fn build(texts: &Texts, inputs: &SystemInputs<'_>) -> Result<String, TextError> {
    let variables = Variables::new(inputs);
    let layout = |id: &str| texts.layout(id, &variables);
    let segments = [
        inputs.role.to_owned(),
        layout("layout.markdown")?,
        layout("layout.tool_use")?,
        catalogue::describe(texts, inputs.tools, &variables)?,
        layout("layout.guidelines")?,
        String::new(), // MCP SERVERS: empty without servers, its separators stay (spec 03 §3)
        layout("layout.capabilities")?,
        layout("layout.modes")?,
        layout("layout.rules")?,
        layout("layout.system_information")?,
        layout("layout.objective")?,
        custom_instructions(
            texts,
            &Instructions {
                language: inputs.language,
                global: inputs.global_instructions,
                mode: inputs.mode_instructions,
                rules: inputs.rules,
            },
        ),
    ];
    Ok(segments.join("\n\n"))
}

/// Variables of all layouts and texts of the prompt.
#[derive(Serialize)]
pub(super) struct Variables<'a> {
    cwd: &'a str,
    cwd_posix: String,
    home: String,
    os: &'a str,
    shell: &'a str,
    modes: Vec<ModeLine>,
    built: std::collections::BTreeMap<&'static str, bool>,
    diff: bool,
    browser: bool,
    index: bool,
    partial: bool,
    multi: bool,
    max_files: u64,
    binary_formats: String,
    edit_tools: &'static str,
    create_tool: &'static str,
}

impl<'a> Variables<'a> {
    fn new(inputs: &SystemInputs<'a>) -> Variables<'a> {
        let mut formats = vec![".pdf", ".docx", ".ipynb", ".xlsx"];
        if inputs.browser {
            formats
                .extend([".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".bmp", ".ico", ".tiff", ".tif", ".avif"]);
        }
        Variables {
            cwd: inputs.cwd,
            cwd_posix: posix(inputs.cwd),
            home: posix(inputs.home),
            os: inputs.os,
            shell: inputs.shell,
            modes: inputs.modes.to_vec(),
            built: inputs.built.iter().map(|tool| (tool.as_str(), true)).collect(),
            diff: inputs.diff.is_some(),
            browser: inputs.browser,
            index: inputs.index,
            partial: inputs.partial_reads,
            multi: inputs.max_concurrent_file_reads > 1,
            max_files: inputs.max_concurrent_file_reads,
            binary_formats: formats.join(" and "),
            edit_tools: if inputs.diff.is_some() { "apply_diff or write_to_file" } else { "write_to_file" },
            create_tool: "write_to_file",
        }
    }
}

/// `posix(p)` of spec 03: forward slashes, except for `\\?\` paths.
fn posix(path: &str) -> String {
    if path.starts_with(r"\\?\") { path.to_owned() } else { path.replace('\\', "/") }
}

/// What the user wants of every answer, from all places where that can stand.
#[derive(Clone, Copy, Debug)]
pub struct Instructions<'a> {
    /// Locale such as `en`.
    pub language: &'a str,
    /// Those for all modes.
    pub global: &'a str,
    /// Those of the mode.
    pub mode: &'a str,
    /// Rule blocks in order, each with its heading.
    pub rules: &'a [String],
}

/// USER'S CUSTOM INSTRUCTIONS (spec 03 §6.1); empty when there are none.
pub fn custom_instructions(texts: &Texts, instructions: &Instructions<'_>) -> String {
    let Instructions { language, global, mode, rules } = *instructions;
    let mut parts = Vec::new();
    if !language.is_empty() {
        let language = minijinja::context! { language, language_name => language_name(language) };
        parts.push(format!("Language Preference:\n{}", texts.render("sys.custom.language", language)));
    }
    for (heading, text) in [("Global Instructions", global), ("Mode-specific Instructions", mode)] {
        let text = crate::ecma::trim(text);
        if !text.is_empty() {
            parts.push(format!("{heading}:\n{text}"));
        }
    }
    if !rules.is_empty() {
        parts.push(format!("Rules:\n\n{}", rules.join("\n\n")));
    }
    if parts.is_empty() {
        return String::new();
    }
    let intro = texts.get("sys.custom.intro");
    format!("\n====\n\nUSER'S CUSTOM INSTRUCTIONS\n\n{intro}\n\n{}", parts.join("\n\n"))
}

/// Display name of a locale (spec 03 §6.1); an unknown code is its own name.
fn language_name(code: &str) -> &str {
    match code {
        "ar" => "العربية (تجريبي)",
        "ca" => "Català",
        "cs" => "Čeština",
        "de" => "Deutsch",
        "en" => "English",
        "es" => "Español",
        "fr" => "Français",
        "hi" => "हिन्दी",
        "id" => "Bahasa Indonesia",
        "it" => "Italiano",
        "ja" => "日本語",
        "ko" => "한국어",
        "nl" => "Nederlands",
        "pl" => "Polski",
        "pt-BR" => "Português",
        "ru" => "Русский",
        "th" => "ไทย",
        "tr" => "Türkçe",
        "uk" => "Українська",
        "vi" => "Tiếng Việt",
        "zh-CN" => "简体中文",
        "zh-TW" => "繁體中文",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ToolName as T;

    const TOOLS: [ToolName; 10] = [
        T::ReadFile,
        T::SearchFiles,
        T::ListFiles,
        T::ApplyDiff,
        T::WriteToFile,
        T::InsertContent,
        T::SearchAndReplace,
        T::ExecuteCommand,
        T::AskFollowupQuestion,
        T::AttemptCompletion,
    ];

    fn inputs() -> SystemInputs<'static> {
        SystemInputs {
            cwd: "/ws",
            home: "/h",
            os: "Linux 6.8",
            shell: "/bin/bash",
            role: "You write code.",
            mode_instructions: "",
            modes: &[],
            tools: &TOOLS,
            built: &TOOLS,
            diff: Some(DiffForm::Single),
            browser: false,
            index: false,
            partial_reads: false,
            max_concurrent_file_reads: 5,
            language: "en",
            global_instructions: "",
            rules: &[],
        }
    }

    #[test]
    fn segments_stand_in_order() {
        let prompt = build(&Texts::builtin(), &inputs()).unwrap();
        let headings = [
            "You write code.\n\n====\n\nMARKDOWN RULES\n\n",
            "\n\n====\n\nTOOL USE\n\n",
            "\n\n# Tool Use Formatting\n\n",
            "\n\n# Tools\n\n## read_file\nDescription: ",
            "\n\n## attempt_completion\n",
            "\n\n# Tool Use Guidelines\n\n1. ",
            "\n\n\n\n====\n\nCAPABILITIES\n\n- ",
            "\n\n====\n\nMODES\n\n- ",
            "\n\n\n====\n\nRULES\n\n- ",
            "\n\n====\n\nSYSTEM INFORMATION\n\nOperating System: Linux 6.8\nDefault Shell: /bin/bash\nHome Directory: /h\nCurrent Workspace Directory: /ws\n\n",
            "\n\n====\n\nOBJECTIVE\n\n",
            "\n\n\n====\n\nUSER'S CUSTOM INSTRUCTIONS\n\n",
            "\n\nLanguage Preference:\n",
        ];
        let mut from = 0;
        for heading in headings {
            let at = prompt[from..].find(heading);
            assert!(at.is_some(), "{heading:?} is not where it should be in:\n{prompt}");
            from += at.unwrap_or(0) + 1;
        }
        assert!(prompt.len() < 20_000, "{} bytes", prompt.len());
        assert!(!prompt.contains('⟦') && !prompt.contains("{{"), "{prompt}");
    }

    #[test]
    fn variants_follow_the_facts() {
        let texts = Texts::builtin();
        let plain = build(&texts, &inputs()).unwrap();
        assert!(plain.contains("\n4. ") && !plain.contains("codebase_search") && !plain.contains("browser_action"));
        let rich =
            build(&texts, &SystemInputs { index: true, browser: true, partial_reads: true, ..inputs() }).unwrap();
        assert!(
            rich.contains("codebase_search") && rich.contains("browser_action") && rich.contains("<line_range>1-400")
        );
        let without_diff = build(&texts, &SystemInputs { diff: None, ..inputs() }).unwrap();
        assert!(!without_diff.contains("apply_diff or write_to_file"));
    }
}
