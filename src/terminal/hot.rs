//! How long a line of output keeps a command *hot*, that is, worth waiting for before the next request (spec 06 §D.3).

use std::time::Duration;

const WORKING: [&str; 6] = ["compiling", "building", "bundling", "transpiling", "generating", "starting"];
const SETTLED: [&str; 11] =
    ["compiled", "success", "finish", "complete", "succeed", "done", "end", "stop", "exit", "terminate", "error"];

/// Time a command stays hot after this line: 15 s when it looks like a build that goes on, else 2 s.
pub fn after_line(line: &str) -> Duration {
    let line = line.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    let working = has(&WORKING) && !has(&SETTLED) && !line.contains("fail");
    Duration::from_secs(if working { 15 } else { 2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_stay_hot_longer() {
        for (line, seconds) in
            [("Compiling foo", 15), ("building… done", 2), ("ok", 2), ("Starting; 0 FAILED", 2), ("sending", 2)]
        {
            assert_eq!(after_line(line).as_secs(), seconds, "{line}");
        }
    }
}
