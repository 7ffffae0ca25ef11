//! Which of several known names was probably meant.

/// Names beyond this length were not mistyped, and distances to them are only slow.
const LONGEST: usize = 64;

/// The known name that was probably meant: by few edits, or since one begins with the other.
pub(crate) fn closest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if name.len() > LONGEST {
        return None;
    }
    let name = name.to_ascii_lowercase().replace('-', "_");
    let (mut by_edits, mut by_start) = (None, None);
    for key in known {
        let plain = key.replace('-', "_");
        let edits = strsim::damerau_levenshtein(&name, &plain);
        if edits <= (key.len() / 3).max(1) && by_edits.is_none_or(|(fewest, _)| edits < fewest) {
            by_edits = Some((edits, key));
        }
        if by_start.is_none() && name.len() >= 3 && (plain.starts_with(&name) || name.starts_with(&plain)) {
            by_start = Some(key);
        }
    }
    by_edits.map(|(_, key)| key).or(by_start)
}

/// The name that was probably meant, as the end of a message; empty where none is near.
pub(crate) fn hint<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    closest(name, known).map(|known| format!("; did you mean \"{known}\"?")).unwrap_or_default()
}
