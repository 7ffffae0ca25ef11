//! Counts of the zoo against other programs': parameters and MACs of every network, and of every layer of some.

use std::path::PathBuf;

use derate::graph_buf::GraphBuf;
use derate::zoo;
use derate_core::graph::Tables;
use derate_core::shape::DataType;
use serde_json::Value;

/// A row of `data/zoo_counts.csv`, which `data/zoo_counts.py` wrote.
struct Counted {
    model: String,
    batch: u32,
    params: u64,
    macs: u64,
    /// As torchvision publishes them, rounded to three decimals.
    published_gmacs: Option<f64>,
}

fn table() -> Vec<Counted> {
    let mut reader = csv::Reader::from_reader(include_bytes!("data/zoo_counts.csv").as_slice());
    let rows = reader.deserialize().map(|row| row.expect("five columns"));
    rows.map(|(model, batch, params, macs, published_gmacs)| Counted { model, batch, params, macs, published_gmacs })
        .collect()
}

fn network(name: &str, batch: u32, data_type: DataType) -> GraphBuf {
    zoo::network(name, batch, data_type).unwrap_or_else(|error| panic!("{error}"))
}

/// A file of the shared data, or `None` where that is missing.
fn shared(file: &str) -> Option<String> {
    let shared = std::env::var_os("DERATE_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let path = shared.join("data").join(file);
    if !path.exists() {
        eprintln!("skipped: {} is missing", path.display());
        return None;
    }
    Some(std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

#[test]
fn every_network_has_the_counts_of_the_table() {
    let table = table();
    for Counted { model, batch, params, macs, published_gmacs } in &table {
        let graph = network(model, *batch, DataType::Fp32);
        let work = graph.view().total_work().expect("small");
        assert_eq!((work.params, work.macs.0), (*params, *macs), "{model} at batch {batch}: parameters and MACs");
        if let Some(published) = published_gmacs {
            let one = work.macs.0 / u64::from(*batch);
            assert_eq!(format!("{:.3}", one as f64 / 1e9), format!("{published:.3}"), "{model}: published GMACs");
        }
    }
    for name in zoo::NETWORKS {
        let batches: Vec<u32> = table.iter().filter(|row| row.model == name).map(|row| row.batch).collect();
        assert_eq!(batches, [1, 8], "{name}: batches in the table");
    }
    assert_eq!(table.len(), 2 * zoo::NETWORKS.len(), "a network of the table is not in the zoo");
}

/// Layers with weights that are matrix products, and attention: name, MACs, parameters.
fn layers(graph: &GraphBuf) -> Vec<(String, u64, u64)> {
    let view = graph.view();
    let layers = graph.names().iter().zip(view.nodes()).map(|(name, node)| {
        let work = view.work(node).expect("small");
        (name.clone(), work.macs.0, work.params)
    });
    layers.filter(|&(_, macs, _)| macs > 0).collect()
}

/// The graphs that `torch.fx` traces of torchvision's modules: the same layers in the same order, of the same names and counts.
#[test]
fn every_layer_is_the_one_that_torchvision_runs() {
    for name in [
        "resnet18",
        "resnet34",
        "resnet50",
        "vgg16",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "efficientnet_b0",
        "vit_b_16",
        "vit_b_32",
    ] {
        let Some(text) = shared(&format!("graphs/{name}.json")) else { return };
        let traced: Value = serde_json::from_str(&text).expect("JSON");
        let graph = network(name, 1, DataType::Fp32);
        let work = graph.view().total_work().expect("small");
        assert_eq!(
            (traced["params"].as_u64(), traced["macs"].as_u64()),
            (Some(work.params), Some(work.macs.0)),
            "{name}"
        );

        let nodes = traced["nodes"].as_array().expect("nodes");
        let number = |node: &Value, key: &str| node[key].as_u64().unwrap_or(0);
        let expected: Vec<(String, u64, u64)> = nodes
            .iter()
            .filter(|node| number(node, "macs") > 0)
            .map(|node| {
                (node["name"].as_str().unwrap_or_default().to_owned(), number(node, "macs"), number(node, "params"))
            })
            .collect();
        let found = layers(&graph).into_iter().map(|(name, macs, params)| (name.replace('.', "_"), macs, params));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{name}");

        assert_eq!(kinds(&graph), traced_kinds(nodes), "{name}: ops that compute or copy, in order");
    }
}

/// Kinds of the ops that touch elements, in order, with a mark where they overwrite their operand.
fn kinds(graph: &GraphBuf) -> Vec<String> {
    let nodes = graph.view().nodes().iter().filter(|node| !node.op.is_view());
    let kinds = nodes.map(|node| {
        // A trace writes `a += b` as a plain sum.
        let in_place = node.op.in_place() && node.op.name() != "add";
        format!("{}{}", node.op.name(), if in_place { "_" } else { "" })
    });
    kinds.collect()
}

/// The same of a trace, in the words of derate.
fn traced_kinds(nodes: &[Value]) -> Vec<String> {
    let mut kinds = Vec::new();
    for node in nodes {
        let op = node["op"].as_str().unwrap_or_default();
        let of_attention = node["inputs"].as_array().is_some_and(|inputs| {
            inputs.iter().any(|input| input.as_str().is_some_and(|input| input.ends_with("self_attention")))
        });
        let kind = match op {
            "input" | "output" | "parameter" | "flatten" | "reshape" | "dropout" | "stochastic_depth" => continue,
            // Attention gives its result and its weights.
            "getitem" if of_attention => continue,
            "getitem" if node["output_shape"].is_array() => "slice",
            _ if node["bookkeeping"] == true => continue,
            "permute" => "transpose",
            "cat" => "concat",
            "multihead_attention" => "multi_head_attention",
            kind => kind,
        };
        let in_place = node["attrs"]["inplace"] == true;
        kinds.push(format!("{kind}{}", if in_place { "_" } else { "" }));
    }
    kinds
}

/// MLPerf Tiny's TFLite files: every layer's MACs and parameters, and the bytes of its constants in int8.
#[test]
fn every_layer_is_the_one_of_the_tflite_file() {
    let Some(text) = shared("truth/mlperf_tiny_macs.csv") else { return };
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headers = reader.headers().expect("a header").clone();
    let column = |name: &str| headers.iter().position(|header| header == name).expect("a column of the file");
    let columns = ["task", "layer", "macs", "params", "const_bytes"].map(column);
    let mut expected: Vec<(String, [u64; 3])> = Vec::new();
    for record in reader.records() {
        let record = record.expect("a row");
        let [task, layer, counts @ ..] = columns.map(|at| &record[at]);
        let counts = counts.map(|count| count.parse().expect("a count"));
        if layer != "TOTAL" && counts[0] > 0 {
            expected.push((format!("tiny_{}", task.to_lowercase()), counts));
        }
    }
    let mut found = Vec::new();
    for name in ["tiny_ad", "tiny_kws", "tiny_ic", "tiny_vww"] {
        let graph = network(name, 1, DataType::Int8);
        let view = graph.view();
        let work = view.nodes().iter().map(|node| view.work(node).expect("small"));
        let layers = work.filter(|work| work.macs.0 > 0);
        found.extend(layers.map(|work| (name.to_owned(), [work.macs.0, work.params, work.bytes_stored.0])));
    }
    assert_eq!(found, expected);
}
