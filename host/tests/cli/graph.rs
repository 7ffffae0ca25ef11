//! `derate graph stats | show | memory | convert`, on networks of the zoo.

use serde_json::Value;

use crate::common::Folder;

/// Sum of a key over a list.
#[track_caller]
fn sum(list: &Value, key: &str) -> u64 {
    list.as_array().expect("a list").iter().map(|item| item[key].as_u64().expect("a count")).sum()
}

#[test]
fn stats_add_up_to_the_published_counts() {
    let folder = Folder::new();
    let stats = folder.derate("graph stats zoo:mobilenet_v2@2 --format json").exits(0).json();
    assert_eq!(stats["macs"], 2 * 300_774_272_u64);
    assert_eq!(stats["params"], 3_504_872);
    // Parameters, and a mean and a variance of each of the 17,056 channels of its batch norms.
    assert_eq!(stats["weight_bytes"], 4 * (3_504_872 + 2 * 17_056));
    let ops = &stats["ops"];
    for key in ["macs", "flops", "params"] {
        assert_eq!(sum(ops, key), stats[key].as_u64().expect("a count"), "{key}");
    }
    assert_eq!(sum(ops, "bytes_stored"), stats["weight_bytes"].as_u64().expect("a count"));
    let most = ops.as_array().expect("a list").iter().map(|op| op["bytes_live"].as_u64()).max();
    assert_eq!(most, Some(stats["peak_activation_bytes"].as_u64()));
    assert_eq!(ops[0]["op"], "conv2d");
    assert_eq!(ops[0]["input_shapes"], serde_json::json!([[2, 3, 224, 224]]));
    assert_eq!(ops[0]["output_shape"], serde_json::json!([2, 32, 112, 112]));
    assert!(stats.get("kernels").is_none());
    assert_eq!(stats["unsupported"], serde_json::json!([]));
}

#[test]
fn kernels_keep_every_op_and_save_traffic() {
    let folder = Folder::new();
    let stats = folder.derate("graph stats zoo:mobilenet_v2 --fusion inference --format json").exits(0).json();
    let kernels = stats["kernels"].as_array().expect("a list");
    let names = |list: &Value| -> Vec<String> {
        list.as_array().expect("a list").iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
    };
    let mut of_kernels: Vec<String> = kernels.iter().flat_map(|kernel| names(&kernel["ops"])).collect();
    let mut all: Vec<String> = stats["ops"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|op| op["name"].as_str().expect("a name").to_owned())
        .collect();
    of_kernels.sort();
    all.sort();
    assert_eq!(of_kernels, all);
    assert_eq!(sum(&stats["kernels"], "macs"), stats["macs"].as_u64().expect("a count"));
    let moved = ["bytes_in", "bytes_weight", "bytes_out"].map(|key| sum(&stats["kernels"], key)).iter().sum::<u64>();
    assert!(moved < sum(&stats["kernels"], "bytes_unfused") * 7 / 10, "{moved}");

    let text = folder.derate("graph stats zoo:mobilenet_v2 --fusion inference --top 2").exits(0).stdout;
    for said in
        ["301 M MACs", "3.50 M parameters", "pointwise", "Most MACs", "Kernels that save most", "fold into the weights"]
    {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
    let every = folder.derate("graph stats zoo:mobilenet_v2 --ops").exits(0).stdout;
    assert!(all.iter().all(|name| every.lines().any(|line| line.starts_with(name.as_str()))), "{every}");
}

#[test]
fn a_graph_is_drawn_as_dot_and_svg() {
    let folder = Folder::new();
    let dot = folder.derate("graph show zoo:resnet18 --fusion inference --hardware two_core.toml").exits(0).stdout;
    assert!(dot.starts_with("digraph \"resnet18 on two-core\" {\n") && dot.ends_with("}\n"), "{dot}");
    for said in [
        "subgraph cluster_kernel_0",
        "conv1\\nconv2d → 1×64×112×112\\n118 M MAC",
        "bound by compute",
        "fillcolor=\"#f7c594\"",
    ] {
        assert!(dot.contains(said), "{said:?} is not in\n{dot}");
    }
    let ran = folder.derate("graph show zoo:resnet18 --output net.svg").exits(0);
    assert_eq!(ran.stdout, "net.svg\n");
    let svg = std::fs::read_to_string(folder.path("net.svg")).expect("written");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(svg.contains(">layer4.1.conv2</text>") && svg.contains(">conv2d → 1×512×7×7</text>"));
    assert_eq!(svg.matches("<rect ").count(), 1 + 70, "the ground, 69 ops and the input");
    folder.derate("graph show zoo:resnet18 --output net.png").refused(&["net.png", ".dot or .svg"]);
    folder.derate("graph show zoo:resnet18 --hardware nowhere").refused(&["nowhere", "stm32l4r5"]);
}

#[test]
fn memory_is_planned_and_compared_with_a_device() {
    let folder = Folder::new();
    let line = "graph memory zoo:resnet18 --hardware stm32l4r5 --align 64 --format json --output live.svg";
    let plan = folder.derate(line).exits(0).json();
    let count = |key: &str| plan[key].as_u64().expect("a count");
    // The first convolution's result and the batch norm's: 64 channels of 112 × 112 in fp32, twice.
    assert_eq!(count("peak_activation_bytes"), 2 * 64 * 112 * 112 * 4);
    assert!(count("scheduled_peak_bytes") <= count("peak_activation_bytes"));
    assert!(count("arena_bytes") >= count("peak_activation_bytes"));
    assert_eq!((plan["order"].as_array().map(Vec::len), count("alignment")), (Some(69), 64));
    let tensors = plan["tensors"].as_array().expect("a list");
    assert_eq!(tensors.len(), 70);
    let number = |tensor: &Value, key: &str| tensor[key].as_u64().expect("a count");
    for (index, a) in tensors.iter().enumerate() {
        assert_eq!(number(a, "offset") % 64, 0, "{a}");
        assert!(number(a, "offset") + number(a, "bytes") <= count("arena_bytes"), "{a}");
        for b in tensors.iter().take(index).filter(|b| b.get("shares").is_none() && a.get("shares").is_none()) {
            let apart = |first: &Value, second: &Value| {
                number(first, "offset") + number(first, "bytes") <= number(second, "offset")
                    || number(first, "last_step") < number(second, "first_step")
            };
            assert!(apart(a, b) || apart(b, a), "{a} and {b} overlap");
        }
    }
    let levels = plan["levels"].as_array().expect("a list");
    assert_eq!(levels.len(), 2);
    assert_eq!(
        (&levels[0]["name"], &levels[0]["holds"], &levels[0]["fits"]),
        (&"SRAM".into(), &"activations".into(), &false.into())
    );
    assert_eq!(levels[0]["missing_bytes"].as_u64(), Some(count("arena_bytes") - 655_360));
    assert_eq!(levels[1]["missing_bytes"].as_u64(), Some(count("weight_bytes") - 2_097_152));
    assert!(std::fs::read_to_string(folder.path("live.svg")).expect("written").contains("arena 6.42 MB"));

    let text = folder.derate("graph memory zoo:resnet18 --hardware two_core.toml --schedule").exits(0).stdout;
    for said in
        ["peak in the best order found", "best order", "does not fit", "fits", "Bytes alive while each step runs"]
    {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
    folder.derate("graph memory zoo:resnet18 --align 0").refused(&["--align", "0"]);
}

#[test]
fn a_graph_becomes_rust() {
    let folder = Folder::new();
    folder.derate("graph convert zoo:resnet18@1 --to rust --output net.rs").exits(0);
    let rust = std::fs::read_to_string(folder.path("net.rs")).expect("written");
    for said in [
        "1814073344 MACs",
        "pub static NODES: [Node; 69]",
        "pub const fn graph() -> GraphView<'static>",
        "from `zoo:resnet18@1`",
    ] {
        assert!(rust.contains(said), "{said:?} is not in the file");
    }
    assert_eq!(folder.derate("graph convert zoo:resnet18@1 --to rust").exits(0).stdout, rust);
    let dot = folder.derate("graph convert zoo:resnet18 --to dot").exits(0).stdout;
    assert_eq!(dot, folder.derate("graph show zoo:resnet18").exits(0).stdout);
}

#[test]
fn what_is_no_graph_is_refused() {
    let folder = Folder::new();
    folder.derate("graph stats zoo:resnet19").refused(&["resnet19", "resnet18"]);
    folder.derate("graph stats zoo:resnet18@0").refused(&["zoo:resnet18@0", "a number from 1"]);
    folder.derate("graph stats zoo:resnet18 --batch 0").refused(&["--batch", "0"]);
    folder.derate("graph stats zoo:resnet18 --dim n").refused(&["--dim", "NAME=VALUE"]);
    folder.derate("graph stats zoo:resnet18 --dim n=1 --dim n=2").refused(&["--dim n", "twice"]);
    folder.derate("graph stats zoo:resnet18 --input 1x0x3").refused(&["--input", "1x3x224x224"]);
    folder.derate("graph stats zoo:resnet18 --precision fp31").refused(&["fp31", "bf16"]);
    assert_eq!(folder.names(), ["two_core.toml"], "nothing is left behind");
}
