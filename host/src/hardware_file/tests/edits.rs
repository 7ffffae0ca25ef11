//! Editing in place: what changes, what stays, and that a second time changes nothing.

use derate_core::hardware::Basis;
use derate_core::shape::Precision;

use super::super::{Edit, HardwareFile, Provenance, SpecError, apply_factors, diff};
use super::{EXAMPLE, changed};

fn provenance(precision: Precision) -> Provenance {
    Provenance {
        dataset_sha256: "ab".repeat(32),
        rows: 12_345,
        date: "2026-04-01T08:00:00Z".to_owned(),
        tool_version: "0.2.0".to_owned(),
        model_version: 1,
        device: "AMD EPYC".to_owned(),
        clock_hz: None,
        runtime: "libtorch 2.11.0".to_owned(),
        threads: 2,
        precision,
        held_out_mape_pct: 6.25,
        statistic: "median".to_owned(),
    }
}

fn edit(provenance: &Provenance) -> Edit<'_> {
    Edit {
        thermal_profile: None,
        precision: provenance.precision,
        // What 0.634 is in 32 bits; six digits are written.
        efficiency_factor: f64::from(0.634_f32),
        memory_bottleneck_factor: 0.7,
        source: "fit of 12345 rows",
        provenance,
    }
}

#[test]
fn factors_are_set_and_all_else_stays() {
    let provenance = provenance(Precision::Fp32);
    let edited = apply_factors(EXAMPLE, "f.toml", &edit(&provenance)).unwrap();
    let expected = EXAMPLE
        .replace(
            "efficiency_factor = { value = 0.7, basis = \"assumed\", source = \"prior of the calibration\" } # set by a fit",
            "efficiency_factor = { value = 0.634, basis = \"fitted\", source = \"fit of 12345 rows\" } # set by a fit",
        )
        .replace(
            "memory_bottleneck_factor = { value = 0.7, basis = \"assumed\", source = \"prior of the calibration\" }",
            "memory_bottleneck_factor = { value = 0.7, basis = \"fitted\", source = \"fit of 12345 rows\" }",
        )
        .replace(
            "\n[thermal_profile.bf16]\n",
            &format!(
                "\n[thermal_profile.fp32.provenance]\n\
                 dataset_sha256 = \"{}\"\nrows = 12_345\ndate = \"2026-04-01T08:00:00Z\"\ntool_version = \"0.2.0\"\n\
                 model_version = 1\ndevice = \"AMD EPYC\"\nruntime = \"libtorch 2.11.0\"\nthreads = 2\n\
                 precision = \"fp32\"\nheld_out_mape_pct = 6.25\nstatistic = \"median\"\n\n[thermal_profile.bf16]\n",
                "ab".repeat(32)
            ),
        );
    assert_eq!(edited.text, expected, "\n{}", diff("f.toml", &expected, &edited.text));

    // Five values of the two factors (the bandwidth factor stays 0.7) and eleven new keys.
    assert_eq!(edited.changes.len(), 16);
    let first = &edited.changes[0];
    assert_eq!((first.key.as_str(), first.line), ("thermal_profile[0].fp32.efficiency_factor.basis", 38));
    assert_eq!((first.old.as_deref(), first.new.as_deref()), (Some("\"assumed\""), Some("\"fitted\"")));
    let rows = edited.changes.iter().find(|change| change.key.ends_with(".rows")).unwrap();
    assert_eq!((rows.old.as_deref(), rows.new.as_deref(), rows.line), (None, Some("12_345"), 45));

    let file = HardwareFile::parse(&edited.text, "f.toml").unwrap();
    let factors = &file.thermal_profile[0].factors[&Precision::Fp32];
    assert_eq!((factors.efficiency_factor.value, factors.efficiency_factor.basis), (0.634, Basis::Fitted));
    assert_eq!(factors.provenance.as_ref(), Some(&provenance));
}

#[test]
fn a_second_time_changes_nothing() {
    for precision in [Precision::Fp32, Precision::Bf16] {
        let provenance = provenance(precision);
        let once = apply_factors(EXAMPLE, "f.toml", &edit(&provenance)).unwrap();
        let twice = apply_factors(&once.text, "f.toml", &edit(&provenance)).unwrap();
        assert!(!once.changes.is_empty());
        assert_eq!((twice.text, twice.changes), (once.text, vec![]));
    }
}

#[test]
fn an_old_provenance_is_replaced_and_its_comment_stays() {
    let provenance = provenance(Precision::Bf16);
    let edited = apply_factors(EXAMPLE, "f.toml", &edit(&provenance)).unwrap();
    assert!(
        edited.text.contains("[thermal_profile.bf16.provenance] # written by `derate apply`\ndataset_sha256 = \"abab")
    );
    let gone = edited.changes.iter().find(|change| change.key.ends_with("provenance.clock_hz")).unwrap();
    assert_eq!((gone.old.as_deref(), gone.new.as_deref(), gone.line), (Some("4.1e9"), None, 56));
    // What is equal keeps its line: 1, "libtorch 2.11.0", 2, "bf16", "median".
    assert!(!edited.changes.iter().any(|change| change.key.ends_with(".threads") || change.key.ends_with(".runtime")));
    let file = HardwareFile::parse(&edited.text, "f.toml").unwrap();
    assert_eq!(file.thermal_profile[0].factors[&Precision::Bf16].provenance.as_ref(), Some(&provenance));
}

#[test]
fn the_named_profile_is_edited() {
    let second = EXAMPLE[EXAMPLE.find("[[thermal_profile]]").unwrap()..].replace("\"default\"", "\"15W\"");
    let text = format!("{EXAMPLE}\n{second}");
    let provenance = provenance(Precision::Fp32);
    let edited = apply_factors(&text, "f.toml", &Edit { thermal_profile: Some("15W"), ..edit(&provenance) }).unwrap();
    assert!(edited.changes.iter().all(|change| change.key.starts_with("thermal_profile[1].fp32.")));
    let file = HardwareFile::parse(&edited.text, "f.toml").unwrap();
    assert_eq!(file.thermal_profile[0].factors[&Precision::Fp32].efficiency_factor.value, 0.7);
    assert_eq!(file.thermal_profile[1].factors[&Precision::Fp32].efficiency_factor.value, 0.634);
    assert!(edited.text.starts_with(EXAMPLE));
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let fp32 = provenance(Precision::Fp32);
    let error = apply_factors(EXAMPLE, "f.toml", &Edit { thermal_profile: Some("15W"), ..edit(&fp32) }).unwrap_err();
    assert_eq!(error.to_string(), "f.toml has no thermal profile `15W`; it has default");
    let int8 = provenance(Precision::Int8);
    let error = apply_factors(EXAMPLE, "f.toml", &edit(&int8)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "thermal profile `default` of f.toml has no factors for int8; it has them for fp32, bf16"
    );
}

#[test]
fn an_edit_that_would_break_the_file_is_refused() {
    let fp32 = provenance(Precision::Fp32);
    let message = |edit: &Edit<'_>| apply_factors(EXAMPLE, "f.toml", edit).unwrap_err().to_string();
    assert_eq!(
        message(&Edit { efficiency_factor: 1.7, ..edit(&fp32) }),
        "f.toml:38: thermal_profile[0].fp32.efficiency_factor.value is 1.7; it must be a number above 0 and at most 1.5"
    );
    assert!(message(&Edit { memory_bottleneck_factor: f64::NAN, ..edit(&fp32) }).contains("is nan; it must be"));
    assert!(
        message(&Edit { source: "", ..edit(&fp32) }).contains("source is \"\"; it must be a string that is not empty")
    );
    assert!(
        message(&Edit { precision: Precision::Bf16, ..edit(&fp32) }).contains("it must be \"bf16\", as of the table")
    );
    let broken = changed("schema = 1", "schema = 9");
    let error = apply_factors(&broken, "f.toml", &edit(&fp32)).unwrap_err();
    assert!(matches!(error, SpecError::Problems(problems) if problems.len() == 1));
}

#[test]
fn other_layouts_are_edited_too() {
    let number = "{ value = 0.7, basis = \"assumed\", source = \"x\" }";
    let head = &EXAMPLE[..EXAMPLE.find("[[thermal_profile]]").unwrap()];
    let inline = format!(
        "efficiency_factor = {number}, memory_bottleneck_factor = {number}, tile_utilization = {number}, native_acceleration = true"
    );
    let dotted =
        inline.replace(", ", "\nfp32.").replace("\nfp32.basis", ", basis").replace("\nfp32.source", ", source");
    let own_tables = "value = 0.7\nbasis = \"assumed\"\nsource = \"x\" # why\n";
    let layouts = [
        format!("{head}[[thermal_profile]]\nname = \"a\"\ncooling_solution = \"b\"\nfp32 = {{ {inline} }} # c\n"),
        format!("{head}[[thermal_profile]]\nname = \"a\"\ncooling_solution = \"b\"\nfp32.{dotted}\n"),
        format!("thermal_profile = [ {{ name = \"a\", cooling_solution = \"b\", fp32 = {{ {inline} }} }} ]\n{head}"),
        format!(
            "{head}[[thermal_profile]]\nname = \"a\"\ncooling_solution = \"b\"\n[thermal_profile.fp32]\n\
             native_acceleration = true\ntile_utilization = {number}\nmemory_bottleneck_factor = {number}\n\
             [thermal_profile.fp32.efficiency_factor]\n{own_tables}"
        ),
    ];
    let provenance = provenance(Precision::Fp32);
    for layout in layouts {
        let once = apply_factors(&layout, "f.toml", &edit(&provenance)).unwrap();
        assert_eq!(once.changes.len(), 16, "{}", diff("f.toml", &layout, &once.text));
        assert_eq!(apply_factors(&once.text, "f.toml", &edit(&provenance)).unwrap().text, once.text);
        assert_eq!(layout.matches('#').count(), once.text.matches('#').count(), "comments stay");
    }
}

#[test]
fn line_ends_and_a_byte_order_mark_stay() {
    let provenance = provenance(Precision::Bf16);
    let windows = EXAMPLE.replace('\n', "\r\n");
    let edited = apply_factors(&windows, "f.toml", &edit(&provenance)).unwrap();
    assert_eq!(edited.text.matches('\n').count(), edited.text.matches("\r\n").count());
    let unix = apply_factors(EXAMPLE, "f.toml", &edit(&provenance)).unwrap();
    assert_eq!(edited.text.replace("\r\n", "\n"), unix.text);
    assert_eq!(edited.changes, unix.changes);
    let cut = apply_factors(EXAMPLE.trim_end(), "f.toml", &edit(&provenance)).unwrap();
    assert_eq!(cut.text, unix.text, "the last line gets its end");
    let marked = apply_factors(&format!("\u{feff}{EXAMPLE}"), "f.toml", &edit(&provenance)).unwrap();
    assert_eq!(marked.text, format!("\u{feff}{}", unix.text));
}

#[test]
fn a_diff_shows_three_lines_around() {
    let new = changed("kind = \"cpu\"", "kind = \"mcu\"");
    assert_eq!(
        diff("f.toml", EXAMPLE, &new),
        "--- f.toml\n+++ f.toml\n@@ -1,6 +1,6 @@\n schema = 1\n name = \"amd-epyc-2c\"\n-kind = \"cpu\"\n+kind = \"mcu\"\n \
         description = \"AMD EPYC, 2 cores\"\n \n [[compute]]\n"
    );
    assert_eq!(diff("f.toml", EXAMPLE, EXAMPLE), "");
}
