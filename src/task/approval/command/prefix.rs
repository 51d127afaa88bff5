//! Prefix lists: case-insensitive, no word boundary, `*` matches everything, the longest entry decides.

use super::Decision;
use crate::ecma;

/// The longest entry of `prefixes` that `command` begins with, lower-cased; of equal ones the first. `None` for an empty
/// command. An empty entry matches with length 0.
pub fn longest_prefix(command: &str, prefixes: &[String]) -> Option<String> {
    let command = ecma::trim(command).to_lowercase();
    if command.is_empty() {
        return None;
    }
    let mut longest: Option<String> = None;
    for prefix in prefixes {
        let prefix = prefix.to_lowercase();
        let longer = longest.as_ref().is_none_or(|l| ecma::utf16_len(&prefix) > ecma::utf16_len(l));
        if longer && (prefix == "*" || command.starts_with(&prefix)) {
            longest = Some(prefix);
        }
    }
    longest
}

/// Decides about one sub-command: the longer of the two matches wins, equal ones deny.
pub fn single_decision(command: &str, allowed: &[String], denied: &[String]) -> Decision {
    if ecma::trim(command).is_empty() {
        return Decision::Approve;
    }
    let matched = |list| longest_prefix(command, list).filter(|prefix| !prefix.is_empty());
    match (matched(allowed), matched(denied)) {
        (Some(_), None) => Decision::Approve,
        (None, Some(_)) => Decision::Deny,
        (Some(a), Some(d)) if ecma::utf16_len(&a) > ecma::utf16_len(&d) => Decision::Approve,
        (Some(_), Some(_)) => Decision::Deny,
        (None, None) => Decision::Ask,
    }
}

/// Whether one sub-command is approved. Without any denied list every matching entry, the empty one too, approves.
pub fn auto_approved(command: &str, allowed: &[String], denied: Option<&[String]>) -> bool {
    match denied {
        Some(denied) => single_decision(command, allowed, denied) == Decision::Approve,
        None => ecma::trim(command).is_empty() || longest_prefix(command, allowed).is_some(),
    }
}

/// Whether one sub-command is refused.
pub fn auto_denied(command: &str, allowed: &[String], denied: Option<&[String]>) -> bool {
    single_decision(command, allowed, denied.unwrap_or_default()) == Decision::Deny
}
