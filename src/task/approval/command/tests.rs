use proptest::prelude::*;

use super::*;

fn list(entries: &[&str]) -> Vec<String> {
    entries.iter().map(|e| (*e).to_owned()).collect()
}

fn parts(command: &str) -> Vec<String> {
    sub_commands(command).parts
}

/// parity 04 §checklist.15: allowed and denied beginnings in one command line
#[test]
fn lists_decide_together() {
    let (allowed, denied) = (list(&["git"]), list(&["git push"]));
    for (command, decision) in [
        ("git status", Decision::Approve),
        ("git push", Decision::Deny),
        ("git log && rm x", Decision::Ask),
        ("git log && git push", Decision::Deny),
    ] {
        assert_eq!(decide(command, &allowed, &denied), decision, "{command}");
    }
    assert_eq!(decide("rm x", &list(&["*"]), &list(&["rm"])), Decision::Deny);
}

/// parity 02 §11.3: a command line falls into the commands that a shell would find
/// parity 02 §19.20: lines are split before quotes are looked at
#[test]
fn commands_split_like_the_specification_says() {
    for (command, expected) in [
        ("a && b | c", &["a", "b", "c"][..]),
        ("npm test $(rm x)", &["npm test", "rm x"]),
        ("x=$(a && b) c", &["a && b", "c", "a", "b"]),
        ("(cd x && ls)", &["( cd x", "ls )"]),
        ("echo 'a && b'", &["echo a && b"]),
        ("ls *.ts", &["ls *.ts"]),
        ("ls \\\n -la", &["ls ", "-la"]),
        ("echo $((1 + (2*3)))", &["echo $((1 + (2*3)))"]),
        ("cmd 2>&1 &> file", &["cmd 2>&1", "> file"]),
        ("echo ${} && ls", &["echo ${}", "ls"]),
        ("echo __QUOTE_0__ __SUBSH_0__", &["echo __QUOTE_0__ __SUBSH_0__"]),
    ] {
        assert_eq!(parts(command), expected, "{command}");
    }
}

/// parity 02 §11.3: what a command substitutes is checked as a command of its own (D02)
#[test]
fn every_substitution_is_a_part() {
    for command in [
        "echo \"$(rm x)\"",
        "echo \"`rm x`\"",
        "echo $(echo $(rm x))",
        "echo \"$(echo \"$(rm x)\")\"",
        "echo ${a:-$(rm x)}",
        "echo \"${a:-`rm x`}\"",
        "echo $(( $(rm x) + 1 ))",
        "ls *$(rm x)",
        "echo `echo \\`rm x\\``",
        "diff <(sort <(rm x)) b",
        "echo \"a <(rm x)\"",
        "echo $(a; rm x)",
        "echo $(a)$(rm x)",
        "echo \"$(echo ')'; rm x)\"",
    ] {
        assert!(parts(command).contains(&"rm x".to_owned()), "{command}: {:?}", parts(command));
        assert_eq!(decide(command, &list(&["*"]), &list(&["rm"])), Decision::Deny, "{command}");
    }
    assert_eq!(parts("echo '$x `y`' \\$z"), ["echo", "y", "$z"]);
}

#[test]
fn what_only_the_shell_sees_is_held_against_the_lists() {
    for command in [
        "echo '\"' ; rm x; echo '\"'",
        "echo \\\" ; rm x; echo \\\"",
        "echo $((1)); rm x; echo $((2))",
        "echo a#b; rm x",
        "echo \\\\;rm x",
        "echo \\>& rm x",
        "echo \\ #; rm x",
        "echo a |& rm x",
        "echo `echo '\"' ; rm x; echo '\"'`",
    ] {
        assert_eq!(decide(command, &list(&["echo", "\\", "a"]), &[]), Decision::Ask, "{command}");
        assert_eq!(decide(command, &list(&["*"]), &list(&["rm"])), Decision::Deny, "{command}");
        assert_eq!(denied_prefix(command, &list(&["rm"])), Some("rm".into()), "{command}");
    }
    for command in ["$(echo rm x)", "`echo rm x`", "2>&1 $(echo rm x)", "echo a; $(echo rm x)", "echo $($(echo rm x))"]
    {
        assert_eq!(decide(command, &list(&["echo"]), &[]), Decision::Ask, "{command}");
        assert_eq!(decide(command, &list(&["*"]), &[]), Decision::Approve, "{command}");
    }
}

/// parity 02 §11.3: what cannot be parsed, or is dangerous, is asked
#[test]
fn what_cannot_be_read_is_never_approved() {
    for command in [
        "echo 'a",
        "echo \"a",
        "echo `a",
        "echo $(a",
        "echo ${a",
        "echo <(a",
        "echo \"$(a\"",
        "echo \"${a:-'$(b)'}\"",
        "echo $'\\'' b",
        "echo $(( '1' ))",
        "echo $(ls # )\n)",
    ] {
        assert_eq!(decide(command, &list(&["*"]), &[]), Decision::Ask, "{command}");
        assert_eq!(decide(command, &list(&["*"]), &list(&["echo"])), Decision::Deny, "{command}");
    }
    let deep = format!("echo {}x{}", "$(echo ".repeat(1000), ")".repeat(1000));
    assert_eq!(decide(&deep, &list(&["*"]), &[]), Decision::Ask);
}

#[test]
fn ordinary_commands_are_approved() {
    let allowed = list(&["echo", "ls", "npm", "git", "cd", "x", "awk", "[", "[[", "-f"]);
    for command in [
        "",
        "  ",
        "2>&1",
        "npm  test 2>&1",
        "echo 'it' && ls",
        "echo hi # don't $(x",
        "echo \"$(ls)\"",
        "x=$(ls) && echo $x",
        "git commit -m 'a; b'",
        "awk '{print $1}' f",
        "echo $((1 + 2)) && echo $((3))",
        "ls *.ts",
        "echo a\\;b",
        "ls 3>&- <&3",
        "echo $'a\\n'",
        "[[ -f a && -f b ]]",
    ] {
        assert_eq!(decide(command, &allowed, &[]), Decision::Approve, "{command}: {:?}", sub_commands(command));
    }
}

#[test]
fn the_time_is_linear_in_the_text() {
    for unit in [
        "$(", "`", "\"", "'", "${", "$((", "<(", "1", "1>&", "\\", "$[", ")", "))", "#", "\"$(", "\"${", "$(a;",
        "'\\'", "*",
    ] {
        let _ = decide(&unit.repeat(5_000), &list(&["*"]), &list(&["rm"]));
    }
}

/// The compatible verdict without anything that D02 adds.
fn compatible_denies(command: &str, allowed: &[String], denied: &[String]) -> bool {
    split::split(command)
        .commands
        .iter()
        .any(|part| single_decision(ecma::trim(&without_redirection(part)), allowed, denied) == Decision::Deny)
}

fn command_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "ls",
        "rm",
        "echo",
        " ",
        " ",
        " ",
        "$(",
        ")",
        "(",
        "`",
        "\"",
        "'",
        "\\",
        "${",
        "}",
        "$((",
        "))",
        "&&",
        "||",
        ";",
        "|",
        "&",
        "\n",
        "\r",
        "#",
        "<(",
        ">",
        ">&",
        "2",
        "*",
        "?",
        "$x",
        "$",
        "$'",
        "<<<",
        "[",
        "]",
        "x=",
        "__SUBSH_0__",
        "é",
        "\u{1f680}",
        "\u{feff}",
    ]);
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn never_less_strict_than_the_compatible_split(command in command_text()) {
        let (allowed, denied) = (list(&["ls", "echo", ""]), list(&["rm", "echo rm"]));
        let verdict = decide(&command, &allowed, &denied);
        if compatible_denies(&command, &allowed, &denied) && !ecma::trim(&command).is_empty() {
            prop_assert_eq!(verdict, Decision::Deny);
        }
        if dangerous(&command) {
            prop_assert_ne!(verdict, Decision::Approve);
        }
        if verdict == Decision::Approve {
            let all = split::split(&command).commands;
            prop_assert!(all.iter().all(|part| single_decision(ecma::trim(&without_redirection(part)), &allowed, &denied) == Decision::Approve));
        }
    }

    #[test]
    fn any_text_is_decided(command in ".{0,200}") {
        let _ = decide(&command, &list(&["*"]), &list(&["rm"]));
        let _ = denied_prefix(&command, &list(&["rm"]));
    }
}
