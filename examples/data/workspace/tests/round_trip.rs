use timespan::{format, parse, ParseError};

#[test]
fn texts_become_seconds() {
    for (text, seconds) in [("45s", 45), ("90m", 5_400), ("1h30m", 5_400), ("2d4h", 187_200), ("1h1m1s", 3_661)] {
        assert_eq!(parse(text), Ok(seconds), "{text}");
    }
}

#[test]
fn what_is_written_can_be_read() {
    for seconds in [1, 59, 60, 61, 3_599, 3_600, 86_399, 86_400, 1_000_000] {
        assert_eq!(parse(&format(seconds)), Ok(seconds), "{}", format(seconds));
    }
}

#[test]
fn wrong_texts_are_refused() {
    assert_eq!(parse(""), Err(ParseError::Empty));
    assert_eq!(parse("12"), Err(ParseError::Incomplete));
    assert_eq!(parse("m"), Err(ParseError::Incomplete));
    assert_eq!(parse("3x"), Err(ParseError::UnknownUnit('x')));
}
