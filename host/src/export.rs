//! Graphs in other forms: Graphviz DOT and SVG for people, a Rust source file for firmware.

pub mod device;
pub mod dot;
pub mod drawing;
pub mod rust;
pub mod svg;

/// A count as people read it: thousands, millions, … with three digits, such as `1.81 G`; plain below 10,000.
#[must_use]
pub fn count(value: u64) -> String {
    const PREFIXES: [(u64, &str); 6] = [
        (1_000_000_000_000_000_000, "E"),
        (1_000_000_000_000_000, "P"),
        (1_000_000_000_000, "T"),
        (1_000_000_000, "G"),
        (1_000_000, "M"),
        (1_000, "k"),
    ];
    match PREFIXES.into_iter().find(|(unit, _)| value >= 10_000 && value >= *unit) {
        Some((unit, prefix)) => {
            let scaled = value as f64 / unit as f64;
            // 999.96 has three digits only as 1000.
            let decimals = if scaled < 9.995 { 2 } else { usize::from(scaled < 99.95) };
            format!("{scaled:.decimals$} {prefix}")
        }
        None => value.to_string(),
    }
}

/// A number of bytes as people read it, in powers of ten: `44.6 MB`.
#[must_use]
pub fn bytes(value: u64) -> String {
    let unit = if value < 10_000 { " B" } else { "B" };
    format!("{}{unit}", count(value))
}

/// Extents with `×` between; of a scalar, `scalar`.
#[must_use]
pub fn extents(extents: &[u32]) -> String {
    if extents.is_empty() {
        return "scalar".to_owned();
    }
    extents.iter().map(u32::to_string).collect::<Vec<_>>().join("×")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_three_digits() {
        let got = [0, 9_999, 10_000, 99_949, 99_950, 1_814_073_344, u64::MAX].map(count);
        assert_eq!(got, ["0", "9999", "10.0 k", "99.9 k", "100 k", "1.81 G", "18.4 E"]);
        assert_eq!([0, 9_999, 10_000, 46_758_048].map(bytes), ["0 B", "9999 B", "10.0 kB", "46.8 MB"]);
        assert_eq!((extents(&[1, 3, 224]), extents(&[])), ("1×3×224".to_owned(), "scalar".to_owned()));
    }
}
