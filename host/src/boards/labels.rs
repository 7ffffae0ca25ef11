//! What a system is called: its board, its runtime, the runtime's version and its kernel library, each as one word.
//!
//! Labels only say which systems share something; the model knows no board and no runtime by name. Tables are written by many hands, so
//! a label is what is left of a text without what changes from hand to hand: case, blanks, package codes, versions, addresses.

use serde::{Deserialize, Serialize};

/// What two systems may have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// The board, or its chip.
    pub board: String,
    /// Family of the runtime: one with two kernel libraries is two.
    pub runtime: String,
    /// Version of the runtime; empty where it is not known.
    pub version: String,
    /// Library of the kernels; the runtime, where that has kernels of its own.
    pub kernels: String,
}

impl Labels {
    /// Labels from what a table says: the board or chip, the runtime with its version, and the libraries or other words that may name
    /// a kernel library.
    ///
    /// ```
    /// use derate::boards::labels::Labels;
    /// let labels = Labels::of("STM32L4R5ZIT6U", "TensorFlow Lite for Microcontrollers v2.3.1", &["CMSIS_5 SHA 1234"]);
    /// assert_eq!((labels.board.as_str(), labels.runtime.as_str()), ("STM32L4R5", "tflite-micro/cmsis"));
    /// assert_eq!((labels.version.as_str(), labels.kernels.as_str()), ("2.3.1", "cmsis"));
    /// ```
    #[must_use]
    pub fn of(board: &str, runtime: &str, libraries: &[&str]) -> Self {
        let (name, version) = runtime_and_version(runtime);
        let library = libraries.iter().find_map(|text| kernel_library(text));
        let family = library.map_or_else(|| name.clone(), |library| format!("{name}/{library}"));
        Self {
            board: part(board),
            version,
            kernels: library.map_or_else(|| family.clone(), str::to_owned),
            runtime: family,
        }
    }

    /// Whether both name the same software on the same board: a repeated measurement, not another system.
    #[must_use]
    pub fn same_system(&self, other: &Self) -> bool {
        self == other
    }
}

/// Kernel libraries that runtimes are built with in the place of kernels of their own.
const KERNEL_LIBRARIES: [&str; 4] = ["cmsis", "andes", "esp-nn", "xnnpack"];

/// Longer names of runtimes that the same project goes by.
const SYNONYMS: [(&str, &str); 3] = [
    ("tensorflow lite micro", "tflite-micro"),
    ("tensorflow lite for microcontrollers", "tflite-micro"),
    ("tflm", "tflite-micro"),
];

/// Characters of a part number that say family, line and die; what follows is package, grade and packing (STM32L4R5 | ZIT6U).
const PART: usize = 9;

/// The part of a chip's or board's name that its variants share.
fn part(text: &str) -> String {
    text.trim().chars().take(PART).collect::<String>().trim().to_ascii_uppercase()
}

/// Words of a text: letters and digits.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

fn kernel_library(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    KERNEL_LIBRARIES.into_iter().find(|library| words(&text).any(|word| word == *library) || text == *library)
}

/// A runtime's name in lower case, up to its version, an address or an aside; and its version, whose last zeros say nothing.
fn runtime_and_version(text: &str) -> (String, String) {
    let text = text.split([',', ';', '(', '\'', '=']).next().unwrap_or_default().to_ascii_lowercase();
    let version_of = |word: &str| {
        let number = word.strip_prefix('v').unwrap_or(word);
        let is_one =
            number.starts_with(|c: char| c.is_ascii_digit()) && number.chars().all(|c| c.is_ascii_digit() || c == '.');
        is_one.then(|| number.to_owned())
    };
    let (mut name, mut version) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        if let Some(found) = version_of(word) {
            version = found;
            break;
        }
        if word == "version" || word.contains("://") {
            continue;
        }
        name.push(word);
    }
    while let Some(shorter) = version.strip_suffix(".0") {
        version = shorter.to_owned();
    }
    let name = name.join(" ");
    let known = SYNONYMS.iter().find(|(synonym, _)| *synonym == name).map(|(_, name)| (*name).to_owned());
    (known.unwrap_or(name), version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_lose_what_changes_from_hand_to_hand() {
        for (text, name, version) in [
            ("X-CUBE-AI v9.0.0", "x-cube-ai", "9"),
            ("X-CUBE-AI v9.0", "x-cube-ai", "9"),
            ("X-CUBE-AI v8.1.0", "x-cube-ai", "8.1"),
            ("Tensorflow Lite Micro 2.3.1", "tflite-micro", "2.3.1"),
            ("tflite-micro, https://example.org/tree/v1.2", "tflite-micro", ""),
            ("An Engine version 1.0.175", "an engine", "1.0.175"),
            ("An Engine 2023.05", "an engine", "2023.05"),
            ("", "", ""),
        ] {
            assert_eq!(runtime_and_version(text), (name.to_owned(), version.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_library_makes_a_family_of_its_own() {
        let labels = |libraries: &[&str]| Labels::of("abc", "microTVM", libraries);
        assert_eq!(labels(&["TVM SHA 12; CMSIS_NN SHA 34"]).runtime, "microtvm/cmsis");
        assert_eq!(labels(&["", "microtvm_cmsis_nn/A-BOARD"]).kernels, "cmsis");
        let own = labels(&["TVM SHA 12", "AndesCore"]);
        assert_eq!((own.runtime.as_str(), own.kernels.as_str()), ("microtvm", "microtvm"));
    }

    #[test]
    fn variants_of_a_chip_are_one() {
        assert_eq!(part("STM32L4R5ZIT6U"), part("stm32l4r5"));
        assert_ne!(part("STM32L4R5ZIT6U"), part("STM32L476RG"));
    }
}
