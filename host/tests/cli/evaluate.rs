//! `derate evaluate`: rows of one's own held out, the report beside, and what is refused with its place.

use crate::common::Folder;

/// Square products, warm: 2·n³ FLOPs at 100 GFLOP/s and 10 µs; every other one a tenth longer.
fn rows() -> String {
    let mut text = "graph,precision,protocol,median_ms\n".to_owned();
    for n in (1..=24).map(|step| step * 64) {
        let ms = 0.01 + 2.0 * f64::from(n).powi(3) / 100e9 * 1e3 * if n % 128 == 0 { 1.1 } else { 1.0 };
        text += &format!("gemm:{n}x{n}x{n},fp32,warm,{ms}\n");
    }
    text
}

#[test]
fn rows_of_ones_own_are_held_out() {
    let folder = Folder::new();
    folder.write("own.csv", rows());
    let line = "evaluate --truth own.csv --hardware two_core.toml --holdout configuration";
    let json = folder.derate(&format!("{line} --report out/page.html --format json")).exits(0).json();
    let source = &json["provenance"]["sources"][0];
    assert_eq!((source["form"].as_str(), source["rows"].as_u64()), (Some("networks"), Some(24)));
    assert_eq!(source["sha256"].as_str().map(str::len), Some(64));
    let of = &json["evaluations"][0];
    assert_eq!(of["holdout"].as_str(), Some("5 folds by configuration"));
    let predictors = of["predictors"].as_array().expect("predictors");
    let error = |place: usize| predictors[place]["rows"]["mape_pct"].as_f64().expect("a figure");
    assert!(predictors.len() == 3 && error(0) < 15.0 && error(0) < error(2), "{predictors:?}");
    assert_eq!(predictors[0]["rows"]["n"].as_u64(), Some(24));
    assert!(!of["coverage"].as_array().expect("with a report").is_empty());
    let page = folder.read("out/page.html");
    assert_eq!((page.matches("<svg").count(), page.contains("http-equiv") || page.contains("src=")), (5, false));
    assert!(folder.read("out/page.md").contains("### Where the error sits"));
    let text = folder.derate(line).exits(0).stdout;
    assert!(text.contains("MAC-only") && text.contains("of the absolute error in time sits in"), "{text}");
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let folder = Folder::new();
    let refused = |from: &str, to: &str, said: &str| {
        folder.write("own.csv", rows().replacen(from, to, 1));
        let ran = folder.derate("evaluate --truth own.csv --hardware two_core.toml --holdout model").exits(2);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    };
    refused("gemm:128x128x128,fp32", "gemm:128x128x128,fp31", "own.csv:3: `precision` is \"fp31\"; it must be one of");
    refused("64,fp32,warm", "64,fp32,tepid", "own.csv:2: `protocol` is \"tepid\"; it must be one of warm, cold,");
    refused("gemm:64x64x64", "gemm:64x0x64", "own.csv:2: `graph` is \"gemm:64x0x64\"");
    refused("median_ms", "minutes", "own.csv:1: there is no column p10_ms or median_ms");
    refused("protocol", "way", "own.csv:1: the columns are graph, precision, way, median_ms");
    folder.write("own.csv", rows());
    let device = folder.derate("evaluate --truth own.csv --hardware two_core.toml --holdout device").exits(2);
    assert!(device.stderr.contains("all rows are of one device"), "{}", device.stderr);
    let page = "evaluate --truth own.csv --hardware two_core.toml --holdout model --report page.pdf";
    assert!(folder.derate(page).exits(2).stderr.contains("name it `.html`"));
}
