//! Which of several known names was probably meant.

/// The known name that was probably meant: by few edits, or since one begins with the other.
pub(crate) fn closest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let by_edits = known
        .iter()
        .map(|&key| (strsim::damerau_levenshtein(&name, key), key))
        .filter(|&(edits, key)| edits <= (key.len() / 3).max(1))
        .min_by_key(|&(edits, _)| edits);
    let begins = |key: &&&str| name.len() >= 3 && (key.starts_with(&name) || name.starts_with(**key));
    by_edits.map(|(_, key)| key).or_else(|| known.iter().find(begins).copied())
}
