//! Inserting groups of lines (spec 06 A.9).

/// Lines to insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsertGroup<T> {
    /// Before which line, from 0; `None` at the end, after all others.
    pub index: Option<usize>,
    /// What to insert.
    pub elements: Vec<T>,
}

/// `lines` with all groups inserted, those of smaller index first; groups at the end keep their order.
pub fn insert_groups<T: Clone>(lines: &[T], groups: &[InsertGroup<T>]) -> Vec<T> {
    let mut placed: Vec<(usize, &InsertGroup<T>)> =
        groups.iter().filter_map(|group| Some((group.index?, group))).collect();
    placed.sort_by_key(|(index, _)| *index);
    let mut result = Vec::with_capacity(lines.len() + groups.iter().map(|group| group.elements.len()).sum::<usize>());
    let mut copied = 0;
    for (index, group) in placed {
        let index = index.min(lines.len());
        result.extend_from_slice(lines.get(copied..index).unwrap_or_default());
        result.extend_from_slice(&group.elements);
        copied = copied.max(index);
    }
    result.extend_from_slice(&lines[copied..]);
    groups.iter().filter(|group| group.index.is_none()).for_each(|group| result.extend_from_slice(&group.elements));
    result
}
