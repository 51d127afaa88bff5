//! What is offered to a user who types a mention or a command.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Host, Mode, Place, both, done};

both! {
    files_are_searched,
    mentions_and_commands_are_completed,
    commits_are_offered_by_hash_and_subject,
}

fn place(mode: Mode, files: &[&str]) -> Place {
    let place = mode.replay(&[&done("ok")]);
    for file in files {
        let path = place.workspace.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "---\ndescription: Of a file\n---\nText.").unwrap();
    }
    place
}

fn offered(host: &Host, place: &Place, prefix: &str) -> Vec<Value> {
    let request = json!({"type": "mention.complete", "workspace": place.workspace, "prefix": prefix});
    host.call(&request).unwrap()["items"].as_array().unwrap().clone()
}

/// What is put into the text, of each item in order.
fn inserts(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["insert"].as_str().unwrap()).collect()
}

fn files_are_searched(mode: Mode) {
    let place = place(mode, &["src/main.rs", "src/my file.rs"]);
    let host = place.host(&[]);
    let search = |request: Value| host.call(&request).map(|found| found["files"].clone());
    let main = json!({"kind": "file", "path": "src/main.rs", "label": "main.rs"});
    let folder = json!({"kind": "folder", "path": "src", "label": "src"});
    let request = |query: &str| json!({"type": "file.search", "workspace": place.workspace, "query": query});
    assert_eq!(search(request("main")), Ok(json!([main])));
    assert_eq!(search(request("")).unwrap().as_array().unwrap().last(), Some(&folder));
    let mut one = request("");
    one["limit"] = 1.into();
    assert_eq!(search(one), Ok(json!([main])));
    let nowhere = search(json!({"type": "file.search", "workspace": place.workspace.join("none"), "query": ""}));
    assert_eq!(nowhere.unwrap_err().place.as_deref(), Some("file.search.workspace"));
}

fn mentions_and_commands_are_completed(mode: Mode) {
    let place = place(
        mode,
        &["src/my file.rs", "terminal.md", ".kilocode/commands/new-part.md", ".kilocode/workflows/newer.md"],
    );
    let host = place.host(&[]);
    let of = |prefix: &str| offered(&host, &place, prefix);
    assert_eq!(inserts(&of("@"))[..3], ["@problems", "@git-changes", "@terminal"]);
    assert_eq!(inserts(&of("@term"))[..2], ["@terminal", "@/terminal.md"]);
    assert_eq!(inserts(&of("@/my")), ["@/src/my\\ file.rs"]);
    assert_eq!(inserts(&of("@/src"))[0], "@/src/");
    assert_eq!(of("@https://exam"), [] as [Value; 0]);
    assert_eq!(inserts(&of("/new")), ["/newtask", "/newrule", "/new-part", "/newer.md"]);
    let part = json!({"kind": "command", "insert": "/new-part", "label": "new-part", "detail": "Of a file"});
    assert_eq!(of("/new-")[..], [part]);
}

fn commits_are_offered_by_hash_and_subject(mode: Mode) {
    let place = place(mode, &["a.txt"]);
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=A. Uthor", "-c", "user.email=a@example.org"];
        let output = Command::new("git").current_dir(&place.workspace).args(identity).args(arguments).output().ok()?;
        assert!(output.status.success(), "{output:?}");
        Some(String::from_utf8(output.stdout).unwrap())
    };
    let host = place.host(&[]);
    assert_eq!(offered(&host, &place, "@parser"), [] as [Value; 0]);
    if git(&["init", "-q"]).is_none() {
        #[cfg(target_os = "linux")]
        crate::tools::skipped("`git` is not installed");
        return;
    }
    assert_eq!(offered(&host, &place, "@parser"), [] as [Value; 0], "a repository without commits");
    git(&["add", "."]);
    for subject in ["Write the Parser", "Other"] {
        git(&["commit", "-q", "--allow-empty", "-m", subject]);
    }
    let hash = git(&["rev-parse", "HEAD~1"]).unwrap().trim().to_owned();
    let commit =
        json!({"kind": "commit", "insert": format!("@{hash}"), "label": &hash[..7], "detail": "Write the Parser"});
    assert_eq!(offered(&host, &place, "@parser"), std::slice::from_ref(&commit));
    assert_eq!(offered(&host, &place, &format!("@{}", &hash[..9])), [commit]);
}
