//! Tests of symbolic sizes.

use std::collections::BTreeMap;

use super::schema::Graph;
use super::sizes::Sizes;
use crate::import::Options;

fn value(expr: &str, dims: &[(&str, u32)]) -> Result<i64, String> {
    let json = r#"{"inputs": [], "outputs": [], "nodes": [], "tensor_values": {}}"#;
    let graph: Graph = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let dims: BTreeMap<String, u32> = dims.iter().map(|&(name, extent)| (name.to_owned(), extent)).collect();
    let options = Options { dims, ..Options::default() };
    let mut sizes = Sizes::bind("file", &graph, &[], &options).map_err(|error| error.to_string())?;
    let json = format!(r#"{{"as_expr": {{"expr_str": "{expr}", "hint": null}}}}"#);
    sizes.value(&serde_json::from_str(&json).map_err(|error| error.to_string())?)
}

#[test]
fn sizes_by_hand() {
    let dims = [("s0", 7), ("s77", 32)];
    let cases = [
        ("s77", 32),
        ("Symbol('s77', positive=True, integer=True)", 32),
        ("Mul(Integer(2), Add(Symbol('s0', integer=True), Integer(-1)))", 12),
        ("torch.utils._sympy.functions.FloorDiv(Symbol('s77', integer=True), Integer(3))", 10),
        ("2*s0 + 1", 15),
        ("((s77 - 1)//2) + 1", 16),
        ("Max(1, s0, s77)", 32),
        ("Mod(s77, s0)", 4),
        ("s0**2", 49),
        ("CeilToInt(IntTrueDiv(s77, s0))", 5),
        ("-3*s0 + 25", 4),
    ];
    for (expr, expected) in cases {
        assert_eq!(value(expr, &dims), Ok(expected), "{expr}");
    }
}

#[test]
fn what_is_no_size_is_an_error() {
    for expr in ["s1", "s0/2", "s0 +", "f(s0)", "[s0]", "1//0", "((((", "s0 < 3"] {
        assert!(value(expr, &[("s0", 7)]).is_err(), "{expr}");
    }
    let long = "1+".repeat(3000) + "1";
    assert!(value(&long, &[]).is_err_and(|error| error.contains("4096")));
}
