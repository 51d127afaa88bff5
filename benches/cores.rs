//! Times of the cores that work on text: `cargo bench --bench cores`. Each line is `figure <name> <value> <unit>`, the middle of
//! several rounds; `# reference` is the figure given for the TypeScript agent, `_2x` the same with twice the input.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

mod measure;

use std::hint::black_box;
use std::time::Instant;

use lapce_ai::edit::search_replace::{Options, apply};
use lapce_ai::protocol::tool::ParamName;
use lapce_ai::providers::tokens;
use lapce_ai::task::parser::{BlockView, Parser};

fn main() {
    measure::load();
    println!("# bound parser.stream_80kb 32 ms");
    figure("parser.stream_80kb", || stream(1_500));
    figure("parser.stream_80kb_2x", || stream(3_000));

    let (file, file_2x) = (source(10_000), source(20_000));
    let exact = Options::default();
    println!("# reference diff.hinted_10k 6.0 ms");
    let (diff, diff_2x) = (blocks(10, 10_000, true, ""), blocks(10, 20_000, true, ""));
    figure("diff.hinted_10k", || applied(&file, &diff, &exact));
    figure("diff.hinted_10k_2x", || applied(&file_2x, &diff_2x, &exact));
    println!("# reference diff.unhinted_10k 672 ms");
    let (diff, diff_2x) = (blocks(3, 10_000, false, ""), blocks(3, 20_000, false, ""));
    figure("diff.unhinted_10k", || applied(&file, &diff, &exact));
    figure("diff.unhinted_10k_2x", || applied(&file_2x, &diff_2x, &exact));
    println!("# reference diff.fuzzy_10k 221 ms");
    let nearly = Options { threshold: 0.9, ..exact };
    let (diff, diff_2x) = (blocks(1, 10_000, false, "x"), blocks(1, 20_000, false, "x"));
    figure("diff.fuzzy_10k", || applied(&file, &diff, &nearly));
    figure("diff.fuzzy_10k_2x", || applied(&file_2x, &diff_2x, &nearly));

    println!("# reference tokens.80kb 24 ms");
    let (text, text_2x) = (source(1_900), source(3_800));
    figure("tokens.80kb", || {
        black_box(tokens::count(&text));
    });
    figure("tokens.80kb_2x", || {
        black_box(tokens::count(&text_2x));
    });
    measure::load();
}

fn figure(name: &str, mut work: impl FnMut()) {
    work();
    measure::figure(name, "ms", || {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e3
    });
}

/// One `write_to_file` in chunks of four bytes; every block is looked at after every chunk.
fn stream(lines: usize) {
    let content = (0..lines).map(|line| format!("    let value_{line} = compute(input, {line}, \"text\");\n"));
    let message = format!(
        "Writing.\n<write_to_file>\n<path>src/a.rs</path>\n<content>\n{}</content>\n</write_to_file>",
        content.collect::<String>()
    );
    let mut parser = Parser::default();
    let mut seen = 0;
    for start in (0..message.len()).step_by(4) {
        let chunk = &message[start..(start + 4).min(message.len())];
        assert!(parser.process(chunk).is_ok());
        for block in parser.blocks() {
            seen += match block {
                BlockView::Text { content, .. } => content.len(),
                BlockView::Tool(tool) => tool.param(ParamName::Content).map_or(0, str::len),
            };
        }
    }
    black_box(seen);
}

fn source(lines: usize) -> String {
    (0..lines).map(|line| format!("{}\n", source_line(line))).collect()
}

fn source_line(line: usize) -> String {
    match line % 5 {
        0 => format!("fn item_{line}(input: &str) -> usize {{"),
        1 => format!("    let first = input.len() + {line};"),
        2 => format!("    let second = first * {} - {};", line % 97, line % 13),
        3 => format!("    first.max(second) // step {line}"),
        _ => "}".to_owned(),
    }
}

/// Blocks of six lines spread over a file of `lines` lines; `typo` stands at the end of each first search line.
fn blocks(count: usize, lines: usize, hinted: bool, typo: &str) -> String {
    let block = |number: usize| {
        let start = lines * (number + 1) / (count + 1);
        let search: Vec<String> = (start..start + 6).map(source_line).collect();
        let hint = if hinted { format!(":start_line:{}\n", start + 1) } else { String::new() };
        let search = search.join("\n").replacen('\n', &format!("{typo}\n"), 1);
        format!("<<<<<<< SEARCH\n{hint}-------\n{search}\n=======\n    replaced_{number}();\n>>>>>>> REPLACE\n\n")
    };
    (0..count).map(block).collect()
}

fn applied(file: &str, diff: &str, options: &Options) {
    let result = apply(file, diff, options);
    assert!(result.is_ok_and(|applied| applied.failed.is_empty()), "every block must be found");
}
