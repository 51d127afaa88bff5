//! The progress of a streaming diff (spec 06 A.8).

use crate::ecma;
use crate::protocol::message::ProgressStatus;

/// Icon and block count to show for `diff`. While it streams (`partial`) the count is shown only now and then; when it was
/// applied, `failed` is the number of blocks that were not.
pub fn progress(diff: Option<&str>, partial: bool, failed: Option<usize>) -> ProgressStatus {
    let Some(diff) = diff.filter(|diff| !diff.is_empty()) else { return ProgressStatus::default() };
    let count = diff.matches("SEARCH").count();
    let text = if partial {
        ((ecma::utf16_len(diff) / 10).is_multiple_of(10)).then(|| count.to_string())
    } else {
        failed.map(|failed| match failed {
            0 => count.to_string(),
            failed => format!("{}/{count}", count as i64 - failed as i64),
        })
    };
    match text {
        Some(text) => ProgressStatus { icon: Some("diff-multiple".to_owned()), text: Some(text) },
        None => ProgressStatus::default(),
    }
}
