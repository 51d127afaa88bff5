//! From text to seconds.

/// Why a text is not a time span.
#[derive(Debug, PartialEq)]
pub enum ParseError {
    /// Nothing was given.
    Empty,
    /// A number without a unit, or a unit without a number.
    Incomplete,
    /// A letter that is not a unit.
    UnknownUnit(char),
}

/// Seconds in one of each unit.
fn unit(letter: char) -> Option<u64> {
    match letter {
        'd' => Some(24 * 60 * 60),
        'h' => Some(60 * 60),
        'm' => Some(60 * 60),
        's' => Some(1),
        _ => None,
    }
}

/// Reads a span such as `2d4h`, `90m` or `1h30m15s` into seconds.
pub fn parse(text: &str) -> Result<u64, ParseError> {
    let mut total = 0;
    let mut number: Option<u64> = None;
    for letter in text.trim().chars() {
        if let Some(digit) = letter.to_digit(10) {
            number = Some(number.unwrap_or(0) * 10 + u64::from(digit));
            continue;
        }
        let seconds = unit(letter).ok_or(ParseError::UnknownUnit(letter))?;
        total += number.take().ok_or(ParseError::Incomplete)? * seconds;
    }
    match number {
        Some(_) => Err(ParseError::Incomplete),
        None if text.trim().is_empty() => Err(ParseError::Empty),
        None => Ok(total),
    }
}
