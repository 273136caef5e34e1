//! What somebody who wrote a name that nobody has may have meant.

/// How alike two names must be, of 1, to be taken for each other's slip.
pub const ALIKE: f64 = 0.8;

/// The known name that is most like this one, where they are more alike than `above`.
pub fn nearest<'k>(known: impl IntoIterator<Item = &'k str>, name: &str, above: f64) -> Option<&'k str> {
    let near = known.into_iter().map(|known| (strsim::jaro_winkler(known, name), known));
    near.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(alike, _)| *alike > above).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_alike_is_meant_and_what_is_far_from_all_is_not() {
        let known = ["brokers", "topics", "group_id"];
        assert_eq!(nearest(known, "topic", ALIKE), Some("topics"));
        assert_eq!(nearest(known, "groupid", ALIKE), Some("group_id"));
        assert_eq!(nearest(known, "zzz", ALIKE), None);
        assert_eq!(nearest(known, "topic", 0.99), None);
    }
}
