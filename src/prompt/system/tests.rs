//! What a prompt says, by the facts it is made of.

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
        role: "You write code.",
        tools: &TOOLS,
        built: &TOOLS,
        ..SystemInputs::default()
    }
}

/// parity 03 §3: the sections in their order with their separators, two of them where a section is empty
/// parity 03 §quirks.1: neither the catalogue nor the guidelines have a rule line
/// parity 03 §4: each section begins with its heading
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
    assert!(!prompt.contains('⟦') && !prompt.contains("{{"), "{prompt}");
}

/// The prompt with all tools of code mode and the changes made to its inputs.
fn built(change: impl FnOnce(&mut SystemInputs<'_>)) -> String {
    let mut inputs = SystemInputs { tools: T::ALL, built: T::ALL, ..inputs() };
    change(&mut inputs);
    build(&Texts::builtin(), &inputs).unwrap()
}

/// The lines from the heading to the next one.
fn part<'a>(prompt: &'a str, heading: &str) -> &'a str {
    let from = prompt.find(heading).unwrap_or_else(|| panic!("no {heading:?} in:\n{prompt}")) + heading.len();
    let rest = &prompt[from..];
    &rest[..["\n## ", "\n# ", "\n====\n"].iter().filter_map(|next| rest.find(next)).min().unwrap_or(rest.len())]
}

/// parity 03 §checklist.4: six guidelines without an index, seven with one
/// parity 03 §4.4: numbers without a gap
#[test]
fn an_index_adds_a_guideline() {
    for (index, count) in [(false, 6), (true, 7)] {
        let prompt = built(|inputs| inputs.index = index);
        let list = part(&prompt, "# Tool Use Guidelines\n\n").split("\n\n").next().unwrap();
        let numbers: Vec<usize> = list
            .lines()
            .filter(|line| !line.starts_with(' '))
            .filter_map(|line| line.split_once(". ")?.0.parse().ok())
            .collect();
        assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
        assert_eq!(list.matches("codebase_search").count() > 0, index, "{list}");
    }
}

/// parity 03 §checklist.7: line ranges are described only where reads are limited
/// parity 03 §5.3: lines of what is left out stay, of blanks
#[test]
fn line_ranges_are_for_limited_reads() {
    let whole = built(|_| {});
    let limited = built(|inputs| inputs.partial_reads = true);
    assert!(!whole.contains("line_range") && limited.contains("    <line_range>1-400</line_range>\n"));
    let read = part(&whole, "## read_file\n");
    assert!(read.contains("\n  \n\nUsage:") && read.contains("</path>\n    \n  </file>"), "{read}");
}

/// parity 03 §checklist.8: one file a read has its own words, and two examples
#[test]
fn one_file_a_read_has_two_examples() {
    let one = built(|inputs| inputs.max_concurrent_file_reads = 1);
    let read = part(&one, "## read_file\n");
    assert!(read.contains("\n1. ") && read.contains("\n\n\n2. ") && !read.contains("\n3. "), "{read}");
    let several = built(|inputs| inputs.max_concurrent_file_reads = 7);
    let read = part(&several, "## read_file\n");
    assert!(read.contains("\n3. ") && read.contains('7'), "{read}");
}

/// parity 03 §checklist.9: `new_task` speaks of todos only when they are required
#[test]
fn todos_of_a_new_task_are_described_when_required() {
    for required in [false, true] {
        let prompt = built(|inputs| inputs.new_task_todos = required);
        assert_eq!(part(&prompt, "## new_task\n").contains("todos"), required);
    }
}

/// parity 03 §4.6: the browser, definitions, and MCP each add their line; the last a line break too
/// parity 03 §quirks.6: what is said of the browser does not depend on the tools listed
#[test]
fn capabilities_follow_the_facts() {
    let plain = built(|_| {});
    assert!(
        part(&plain, "CAPABILITIES\n\n").contains("\n    - ") && !part(&plain, "CAPABILITIES\n\n").contains("browser")
    );
    let rich = built(|inputs| {
        inputs.browser = true;
        inputs.mcp = Some(&[]);
        inputs.tools = &[];
    });
    let capabilities = part(&rich, "CAPABILITIES\n\n");
    assert!(capabilities.contains("\n- `browser_action`") && capabilities.ends_with("better.\n\n"), "{capabilities:?}");
    assert!(rich.contains("\n\nMCP SERVERS\n\n") && !rich.contains("====\n\nMCP SERVERS"), "no rule line");
}

/// parity 03 §4.8: rules name the editing tool that is there, and say how to use it
/// parity 03 §quirks.9: the example under the rule on projects is about modes that are limited to some files
#[test]
fn rules_name_the_editing_tool() {
    let rules = |change: fn(&mut SystemInputs<'_>)| part(&built(change), "====\n\nRULES\n\n").to_owned();
    let diff = rules(|_| {});
    assert!(diff.contains("apply_diff or write_to_file") && diff.contains("\n  * In architect mode"), "{diff}");
    let plain = rules(|inputs| inputs.diff = None);
    assert!(!plain.contains("apply_diff") && plain.contains("write_to_file"), "{plain}");
    let fast = rules(|inputs| inputs.fast_apply = true);
    assert!(
        fast.contains("edit_file") && fast.contains("\n  - `code_edit`: ") && !fast.contains("apply_diff or"),
        "{fast}"
    );
    let index = rules(|inputs| inputs.index = true);
    assert_eq!(index.lines().count(), diff.lines().count() + 1);
}

/// parity 03 §5.3: diffs over several files have a description of their own
/// parity 03 §quirks.26: the description of `edit_file` shows no call
#[test]
fn descriptions_have_their_variants() {
    let multi = built(|inputs| inputs.diff = Some(DiffForm::Multi));
    assert!(part(&multi, "## apply_diff\n").contains("<content><![CDATA["));
    assert!(!part(&multi, "## edit_file\n").contains("<edit_file>"));
    let fetch = |allowed| {
        let prompt = built(|inputs| inputs.mcp_server_creation = allowed);
        part(&prompt, "## fetch_instructions\n").matches("create_mcp_server").count()
    };
    assert_eq!([fetch(None), fetch(Some(true)), fetch(Some(false))], [2, 2, 0]);
}

/// parity 03 §4.9: paths have forward slashes, but for those of the long form; the capabilities keep them as they are
#[test]
fn paths_are_shown_with_forward_slashes() {
    let windows = built(|inputs| inputs.cwd = r"C:\w\p");
    assert!(windows.contains("\nCurrent Workspace Directory: C:/w/p\n") && windows.contains(r"(C:\w\p)"));
    let long = built(|inputs| inputs.cwd = r"\\?\C:\p");
    assert!(long.contains("\nCurrent Workspace Directory: \\\\?\\C:\\p\n"));
}

proptest::proptest! {
    /// parity 03 §2: facts are texts, whatever they contain; nothing in them is read as a template
    #[test]
    fn facts_are_never_templates(text in r"[a-z{}%#⟦⟧ ]{1,30}") {
        let modes = [ModeLine { slug: "s".into(), name: text.clone(), text: text.clone() }];
        let rules = [text.clone()];
        let inputs = SystemInputs {
            cwd: &text, role: &text, mode_instructions: &text, modes: &modes, rules: &rules, ..inputs()
        };
        let prompt = build(&Texts::builtin(), &inputs).unwrap();
        proptest::prop_assert!(prompt.starts_with(&text), "{prompt}");
        let line = format!("\n  * \"{text}\" mode (s) - {text}\n");
        proptest::prop_assert!(prompt.contains(&line), "{}", prompt);
        proptest::prop_assert!(prompt.ends_with(&text));
    }
}
