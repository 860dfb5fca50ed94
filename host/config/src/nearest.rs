//! The nearest known name to a mistyped one, for "did you mean" hints.
//!
//! Knows nothing of configurations.

/// Finds the candidate that looks most like `name`, if one is close enough to be a likely typo.
///
/// Closeness is the number of inserted, removed, changed or swapped letters, upper and lower case
/// taken as equal; about one letter in three may differ. Of equally close candidates the first wins.
///
/// ```
/// use snaphook_config::nearest;
///
/// assert_eq!(nearest("bach_size", ["num_workers", "batch_size"]), Some("batch_size"));
/// assert_eq!(nearest("zzz", ["num_workers", "batch_size"]), None);
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    if wanted.len() > LONGEST {
        return None;
    }
    let limit = (wanted.chars().count() / 3).max(1);
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        let distance = strsim::osa_distance(&wanted, &candidate.to_lowercase());
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Longer names are no typing mistakes, and the work grows with the square of the length.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_of_two_letters_is_one_mistake() {
        assert_eq!(nearest("lsot", ["lost"]), Some("lost"));
    }

    #[test]
    fn the_closest_candidate_wins() {
        let names = ["LoggerHook", "CheckInvalidLossHook", "CheckpointHook"];
        assert_eq!(nearest("ChekpointHook", names), Some("CheckpointHook"));
        assert_eq!(nearest("loggerhook", names), Some("LoggerHook"));
    }

    #[test]
    fn far_names_are_not_suggested() {
        assert_eq!(nearest("lr", ["momentum", "weight_decay"]), None);
        assert_eq!(nearest("x", []), None);
    }
}
