//! Random changes of the example: the check never panics, and what it accepts the rest accepts too.

use derate_core::shape::Precision;
use proptest::prelude::*;
use proptest::sample::Index;

use super::super::{Edit, HardwareFile, apply_factors, check};
use super::EXAMPLE;

/// Pieces that matter to the grammar or to the format.
const PIECES: [&str; 24] = [
    "",
    "\n",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\"",
    "'''",
    "#",
    "0",
    "-1",
    "1e999",
    "nan",
    "9223372036854775808",
    "0x",
    "é",
    "\0",
    "\r\n",
    "[[memory]]\n",
    "fp32 = { value = 1 }\n",
];

/// Removes a stretch of characters and puts a piece there.
fn mutate(text: &str, at: Index, removed: usize, piece: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let start = at.index(characters.len() + 1);
    let end = (start + removed).min(characters.len());
    characters[..start].iter().copied().chain(piece.chars()).chain(characters[end..].iter().copied()).collect()
}

/// Swaps, doubles or drops whole lines: mostly right TOML, mostly wrong descriptions.
fn mutate_lines(text: &str, from: Index, to: Index, how: u8) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let (from, to) = (from.index(lines.len()), to.index(lines.len()));
    match how {
        0 => lines.swap(from, to),
        1 => lines.insert(to, lines[from]),
        _ => drop(lines.remove(from)),
    }
    lines.join("\n")
}

/// The check returns; where it finds nothing, reading, lending, writing and editing succeed.
fn agree(text: &str) {
    let problems = check(text, "f.toml");
    for problem in &problems {
        assert!(problem.line >= 1 && problem.line <= text.lines().count().max(1) + 1, "{problem}");
        assert!(!problem.to_string().is_empty());
    }
    let parsed = HardwareFile::parse(text, "f.toml");
    assert_eq!(parsed.is_ok(), problems.is_empty());
    let Ok(file) = parsed else { return };
    file.with_hardware(|_| ()).unwrap();
    assert_eq!(HardwareFile::parse(&file.to_toml(), "f.toml").unwrap(), file);
    let example = HardwareFile::parse(EXAMPLE, "f.toml").unwrap();
    let provenance = example.thermal_profile[0].factors[&Precision::Bf16].provenance.clone().unwrap();
    let edit = Edit {
        thermal_profile: None,
        precision: Precision::Bf16,
        efficiency_factor: 0.5,
        memory_bottleneck_factor: 0.25,
        source: "fit",
        provenance: &provenance,
    };
    if file.thermal_profile[0].factors.contains_key(&Precision::Bf16) {
        let once = apply_factors(text, "f.toml", &edit).unwrap();
        assert!(apply_factors(&once.text, "f.toml", &edit).unwrap().changes.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_check_survives_changed_characters(
        changes in prop::collection::vec((any::<Index>(), 0_usize..12, prop::sample::select(&PIECES[..])), 1..4)
    ) {
        let text = changes.iter().fold(EXAMPLE.to_owned(), |text, (at, removed, piece)| mutate(&text, *at, *removed, piece));
        agree(&text);
    }

    #[test]
    fn the_check_survives_changed_lines(
        changes in prop::collection::vec((any::<Index>(), any::<Index>(), 0_u8..3), 1..4)
    ) {
        let text = changes.iter().fold(EXAMPLE.to_owned(), |text, (from, to, how)| mutate_lines(&text, *from, *to, *how));
        agree(&text);
    }

    #[test]
    fn any_numbers_read_back(clock in 1e-30_f64..1e20, capacity in 98_305_u64..1 << 62, factor in 1e-6_f64..1.5) {
        let mut file = HardwareFile::parse(EXAMPLE, "f.toml").unwrap();
        file.compute[0].clock_hz.value = clock;
        file.memory[1].capacity_bytes.value = capacity;
        file.thermal_profile[0].factors.get_mut(&Precision::Fp32).unwrap().efficiency_factor.value = factor;
        prop_assert_eq!(HardwareFile::parse(&file.to_toml(), "f.toml").unwrap(), file);
    }
}

#[test]
fn an_integer_beyond_64_bits_is_refused_before_it_is_read() {
    let text = EXAMPLE.replace("value = 170.0", "value = 9223372036854775808");
    assert_ne!(text, EXAMPLE);
    assert!(!check(&text, "f.toml").is_empty());
    agree(&text);
}
