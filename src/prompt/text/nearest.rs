//! What somebody who wrote an unknown name may have meant.

/// How many letters must be changed, added or left out to make one word of the other; of the other the first 64 count.
pub fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], at + 1);
        for (column, wanted) in other.iter().enumerate() {
            let changed = before + usize::from(letter != *wanted);
            before = row[column + 1];
            row[column + 1] = changed.min(before + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Of these names the one that is written most like `word`, if it is near; of several the first in the alphabet.
pub fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: String = word.chars().take(64).collect();
    let most = 2.max(word.len() / 4);
    names.map(|name| (distance(&word, name), name)).filter(|(far, _)| *far <= most).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_a_distance() {
        for (one, other, far) in [("mode", "moed", 2), ("", "abc", 3), ("same", "same", 0), ("a", "", 1)] {
            assert_eq!(distance(one, other), far, "{one} {other}");
        }
        let names = ["resp.denied", "resp.approved", "sys.role"];
        for (word, expected) in
            [("resp.denyed", Some("resp.denied")), ("resp.approve", Some("resp.approved")), ("x", None)]
        {
            assert_eq!(nearest(word, names.into_iter()), expected, "{word}");
        }
    }
}
