//! Text packs, whole-engine: the user's, a workspace's, changed while a task runs; and the command line for them.

use std::path::Path;
use std::process::{Command, Output};

use lapce_ai::prompt::text::{Texts, template};
use lapce_ai::protocol::event::Event;
use serde_json::{Value, json};

use crate::harness::{Host, Mode, Place, both, done};

both! {
    the_users_pack_is_in_force_and_shown,
    a_workspaces_pack_counts_where_it_is_trusted_and_changes_with_the_next_request,
}

fn write(file: &Path, text: &str) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

fn prompt(host: &Host, place: &Place) -> String {
    let preview = json!({"type": "prompt.preview", "workspace": place.workspace, "mode": "code"});
    host.call(&preview).unwrap()["text"].as_str().unwrap().to_owned()
}

fn warnings(host: &Host) -> Vec<String> {
    let of = |event: Event| match event {
        Event::Log(log) if log.target == "texts" => Some(log.message),
        _ => None,
    };
    host.events().into_iter().filter_map(|received| of(received.event)).collect()
}

fn the_users_pack_is_in_force_and_shown(mode: Mode) {
    let place = mode.replay(&[]);
    let host = place.host(&[]);
    let pack = || host.call(&json!({"type": "engine.info"})).unwrap()["text_pack"].take();
    assert_eq!(pack(), Value::Null);
    let folder = place.workspace.with_file_name("pack");
    write(&folder.join("modes.txt"), "[[mode.code.role]]\nYou are a parrot.\n\n[[mode.code.rolle]]\nx\n");
    host.call(&json!({"type": "settings.set", "values": {"textPack": folder}})).unwrap();
    assert!(prompt(&host, &place).starts_with("You are a parrot."));
    let listed = host.call(&json!({"type": "mode.get", "workspace": place.workspace, "mode": "code"})).unwrap();
    assert_eq!(listed["mode"]["roleDefinition"], "You are a parrot.");
    let shown = pack();
    assert_eq!((&shown["texts"], &shown["folder"]), (&json!(1), &json!(folder)));
    assert!(shown["faults"][0].as_str().unwrap().ends_with("is it `mode.code.role`?"), "{shown}");
    assert!(warnings(&host)[0].contains("modes.txt:4: `mode.code.rolle`"));
    write(&folder.join("modes.txt"), "[[mode.code.role]]\nYou are a crow.\n");
    assert!(prompt(&host, &place).starts_with("You are a crow."));
    host.call(&json!({"type": "settings.set", "values": {"textPack": ""}})).unwrap();
    assert!(!prompt(&host, &place).starts_with("You are a crow."));
}

fn a_workspaces_pack_counts_where_it_is_trusted_and_changes_with_the_next_request(mode: Mode) {
    for trusted in [false, true] {
        let builtin = Texts::builtin().get("mode.code.role");
        let turn = |word: &str| {
            let role = if trusted { word } else { &builtin };
            format!("{}\n{}\n", json!({"expect": {"system_contains": role}}), json!({"text": done("ok")}))
        };
        let turns = turn("You are a parrot.") + &turn("You are a crow.");
        let place = mode.replay(&[]);
        let transcript = place.workspace.with_file_name("words.jsonl");
        write(&transcript, &turns);
        let file = place.workspace.join(".kilocode/texts/modes.txt");
        write(&file, "[[mode.code.role]]\nYou are a parrot.\n");
        let host = place.host(&[]);
        let folders = if trusted { json!([place.workspace]) } else { json!([]) };
        host.start_with("x", json!({"apiProvider": "replay", "replayFile": transcript, "trustedFolders": folders}));
        assert_eq!(host.completed(), "ok");
        let ask = host.ask("completion_result");
        assert_eq!(warnings(&host).iter().any(|message| message.contains("trustedFolders")), !trusted);
        write(&file, "[[mode.code.role]]\nYou are a crow.\n");
        let again = json!({"type": "task.respond", "ask": ask, "response": "message", "text": "again"});
        host.call(&again).unwrap();
        assert_eq!(host.completed(), "ok");
        host.ask("completion_result");
    }
}

/// Names of variables in `context! { a, b => c(d, e) }`, of what follows `context!`.
fn given(source: &str) -> Vec<&str> {
    let (mut depth, mut from, mut names) = (0, 0, Vec::new());
    for (at, sign) in source.char_indices() {
        let ends = depth == 1 && matches!(sign, ',' | '}');
        if ends {
            let name = source[from..at].split("=>").next().unwrap_or_default().trim();
            names.extend(Some(name).filter(|name| !name.is_empty()));
        }
        match sign {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && sign == '}' {
            break;
        }
        if ends || (depth == 1 && sign == '{') {
            from = at + sign.len_utf8();
        }
    }
    names
}

/// The names in `("a", x), ("b", y)]`, of what follows `&[`.
fn paired(source: &str) -> Vec<&str> {
    let mut depth = 1;
    let end = source.char_indices().find(|(_, sign)| {
        depth += i32::from(matches!(sign, '[' | '(')) - i32::from(matches!(sign, ']' | ')'));
        depth == 0
    });
    let pairs = &source[..end.map_or(source.len(), |(at, _)| at)];
    pairs.split("(\"").skip(1).filter_map(|pair| Some(pair.split_once('"')?.0)).collect()
}

/// The id that code ends with: `"id",`.
fn id(before: &str) -> Option<&str> {
    let before = before.trim_end().trim_end_matches("minijinja::").trim_end().strip_suffix("\",")?;
    Some(before.rsplit_once('"')?.1)
}

/// The ids in code with what is given to them: `"id", context! { … }` and `"id", &[("name", value)]`.
fn calls(source: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    let contexts = source.match_indices("context!").map(|found| (found, given as fn(&str) -> Vec<&str>));
    let pairs = source.match_indices("&[").map(|found| (found, paired as fn(&str) -> Vec<&str>));
    contexts
        .chain(pairs)
        .filter_map(|((at, mark), names)| Some((id(&source[..at])?, names(&source[at + mark.len()..]))))
}

#[test]
fn variables_are_read_off_the_code() {
    let source = r#"render("a.b", context! { x, y => f(&[1, 2], "{"), z => { 1 } }); say(
        "c.d",
        minijinja::context! {}
    ); other(context! { w }); say("e.f", &[("g", &h(&[1])), ("i", j)]); say("k", &[])"#;
    let found: Vec<_> =
        calls(&source.replace("\"{\"", "'c'")).map(|(id, names)| (id.to_owned(), names.join(" "))).collect();
    assert_eq!(
        found,
        [("a.b", "x y z"), ("c.d", ""), ("e.f", "g i"), ("k", "")].map(|(id, names)| (id.to_owned(), names.to_owned()))
    );
}

/// Whoever renders a text by its id gives it every variable that it uses: only then is what it uses what it gets.
#[test]
fn every_call_gives_its_text_the_variables_it_uses() {
    fn sources(folder: &Path, out: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, out);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                out.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let texts = Texts::builtin();
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let (mut seen, mut faults) = (0, Vec::new());
    for (id, given) in files.iter().flat_map(|file| calls(file)) {
        let Some((text, _)) = texts.source(id) else { continue };
        seen += 1;
        let used = template::variables(&text).unwrap().used;
        let roots = used.iter().filter_map(|path| path.split(['.', '[']).next());
        faults.extend(roots.filter(|name| !given.contains(name)).map(|name| format!("{id}: {name}")));
    }
    assert!(faults.is_empty(), "{faults:?}");
    assert!(seen > 200, "{seen} calls were found");
}

fn text(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lapce-ai"));
    command.arg("text").args(arguments).env("HOME", home).env_remove("XDG_DATA_HOME").output().unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_command_line_exports_checks_lists_and_shows() {
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| text(home.path(), arguments);
    let folder = home.path().join("mine");
    let path = folder.to_str().unwrap();

    let exported = run(&["export", path, "sar.", "resp."]);
    assert!(exported.status.success(), "{exported:?}");
    assert_eq!(printed(&exported).lines().count(), 2);
    let checked = run(&["check", path]);
    assert!(checked.status.success() && printed(&checked).ends_with("texts, no faults\n"), "{checked:?}");
    assert_eq!(run(&["export", path, "resp."]).status.code(), Some(1), "nothing is overwritten");
    assert_eq!(run(&["export", path, "nobody"]).status.code(), Some(1));

    write(&folder.join("broken.txt"), "[[tool.oops]]\n\n[[mode.code.role]]\n{{ key }}\n[[mode.ask.role]]\nMine.\n");
    let checked = run(&["check", path]);
    assert_eq!(checked.status.code(), Some(1));
    let faults = printed(&checked);
    for place in ["broken.txt:1: `tool.oops`: ", "broken.txt:4: `mode.code.role`: there is no variable `key`"] {
        assert!(faults.lines().any(|line| line.contains(place)), "{place}: {faults}");
    }
    assert_eq!(run(&["check", "/nowhere/at/all"]).status.code(), Some(1));

    assert_eq!(printed(&run(&["show", "mode.ask.role", "--pack", path])), "Mine.\n");
    assert_ne!(printed(&run(&["show", "mode.ask.role"])), "Mine.\n");
    let set = Command::new(env!("CARGO_BIN_EXE_lapce-ai"))
        .args(["config", "set", "textPack", "~/mine"])
        .env("HOME", home.path())
        .env_remove("XDG_DATA_HOME")
        .output()
        .unwrap();
    assert!(set.status.success(), "{set:?}");
    assert_eq!(printed(&run(&["show", "mode.ask.role"])), "Mine.\n");
    let listed = printed(&run(&["list", "mode.ask"]));
    let row = listed.lines().find(|line| line.starts_with("mode.ask.role ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["mode.ask.role", "5", "*"]);
    let rows: Vec<Value> = serde_json::from_str(&printed(&run(&["list", "--json"]))).unwrap();
    assert!(rows.len() > 500 && rows.iter().all(|row| !row["id"].as_str().unwrap().starts_with("layout.")));
    let output = run(&["show", "mode.ask.rol"]);
    assert!(output.status.code() == Some(1) && String::from_utf8_lossy(&output.stderr).contains("`mode.ask.role`?"));
}

/// The example of `docs/texts.md` has no faults.
#[test]
fn the_documented_pack_is_good() {
    let (_, rest) = include_str!("../../docs/texts.md").split_once("```text\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let home = tempfile::tempdir().unwrap();
    write(&home.path().join("pack/a.txt"), example);
    let checked = text(home.path(), &["check", home.path().join("pack").to_str().unwrap()]);
    assert!(checked.status.success(), "{checked:?}");
}
