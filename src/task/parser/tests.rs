use proptest::prelude::*;

use super::*;

fn parsed(chunks: &[&str]) -> Vec<Block> {
    let mut parser = Parser::default();
    for chunk in chunks {
        parser.process(chunk).expect("small");
    }
    parser.blocks().map(|block| block.to_block()).collect()
}

fn param(chunks: &[&str], name: ParamName) -> Option<String> {
    parsed(chunks).into_iter().find_map(|block| match block {
        Block::Tool(call) => call.params.get(name).map(str::to_owned),
        Block::Text { .. } => None,
    })
}

#[test]
fn values_as_they_stream() {
    // (chunks, parameter, value)
    let table: &[(&[&str], ParamName, Option<&str>)] = &[
        (&["<read_file><path>"], ParamName::Path, None),
        (&["<read_file><path>", " a.ts "], ParamName::Path, Some(" a.ts ")),
        (&["<read_file><path>", " a.ts </pa"], ParamName::Path, Some(" a.ts </pa")),
        (&["<read_file><path>", " a.ts </path>"], ParamName::Path, Some("a.ts")),
        (&["<write_to_file><content>\n\n  x\n\n</content>"], ParamName::Content, Some("\n  x\n")),
        (&["<write_to_file><content>\na</content>b</con", "tent>"], ParamName::Content, Some("a</content>b")),
        (&["<insert_content><content>\na</content>b</content>"], ParamName::Content, Some("a")),
        // Without an opening tag: from the eighth unit on.
        (&["<write_to_file><path>a</path></content>"], ParamName::Content, Some("/path>")),
        (&["<write_to_file>1234567🚀x\n</content>"], ParamName::Content, Some("\u{fffd}x")),
        (&["<new_task><context>c</context>"], ParamName::Message, None),
    ];
    for (chunks, name, value) in table {
        assert_eq!(param(chunks, *name).as_deref(), *value, "{chunks:?}");
    }
}

#[test]
fn text_is_trimmed_and_loses_the_tag_that_ends_it() {
    let blocks = parsed(&[" a b \n <read", "_file></read_file> \n"]);
    assert_eq!(blocks.len(), 3);
    assert_eq!(blocks[0], Block::Text { content: "a b".into(), partial: false });
    assert_eq!(blocks[2], Block::Text { content: String::new(), partial: true });
}

#[test]
fn a_value_ends_at_its_limit() {
    let at_limit = "x".repeat(MAX_PARAM - "</diff>".len());
    let whole = format!("<apply_diff><diff>{at_limit}</diff>");
    assert_eq!(param(&[&whole], ParamName::Diff), Some(at_limit.clone()));
    let over = format!("<apply_diff><diff>{at_limit}y</diff><path>p</path>");
    assert_eq!(param(&[&over], ParamName::Diff), Some(format!("{at_limit}y</diff")));
    assert_eq!(param(&[&over], ParamName::Path).as_deref(), Some("p"));
    let pair = format!("<apply_diff><diff>{}🚀", "x".repeat(MAX_PARAM - 1));
    assert!(param(&[&pair], ParamName::Diff).is_some_and(|value| value.ends_with("x\u{fffd}")));
}

#[test]
fn a_message_over_the_limit_is_refused_whole() {
    let mut parser = Parser::default();
    parser.process(&"🚀".repeat(MAX_MESSAGE / 2)).expect("exactly the limit");
    assert_eq!(parser.process("a"), Err(TooLarge));
    assert_eq!(parser.len(), 1);
    parser.reset();
    assert!(parser.is_empty() && parser.process("a").is_ok());
}

const FRAGMENTS: &[&str] = &[
    "<write_to_file>",
    "</write_to_file>",
    "<content>",
    "</content>",
    "<path>",
    "</path>",
    "<read_file>",
    "</read_file>",
    "<",
    ">",
    "</",
    " ",
    "\n",
    "\r\n",
    "é",
    "🚀",
    "x",
    "<new_rule>",
    "</new_rule>",
    "<args>",
    "</args>",
    "&amp;",
    "<execute_command>",
    "<command>",
    "</command>",
];

fn fragment() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(FRAGMENTS), 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_blocks(message in fragment(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let mut borders: Vec<usize> = cuts.iter().map(|cut| cut.index(message.len() + 1)).collect();
        borders.retain(|border| message.is_char_boundary(*border));
        borders.extend([0, message.len()]);
        borders.sort_unstable();
        let chunks: Vec<&str> = borders.windows(2).map(|pair| &message[pair[0]..pair[1]]).collect();
        prop_assert_eq!(parsed(&chunks), parsed(&[&message]));
    }

    #[test]
    fn blocks_between_chunks_are_those_of_the_prefix(message in fragment()) {
        let mut parser = Parser::default();
        for (position, character) in message.char_indices() {
            let end = position + character.len_utf8();
            parser.process(&message[position..end]).expect("small");
            let blocks: Vec<Block> = parser.blocks().map(|block| block.to_block()).collect();
            prop_assert_eq!(blocks, parsed(&[&message[..end]]));
        }
    }

    #[test]
    fn the_batch_parsers_take_anything(message in fragment()) {
        batch::parse(&message, batch::Variant::V1);
        batch::parse(&message, batch::Variant::V2);
    }
}
