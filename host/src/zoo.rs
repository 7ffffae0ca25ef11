//! The model zoo: networks as graphs, from one definition each; `crate::torch` runs the same graphs.
//!
//! Image networks have the layers, the names, the order and the in-place ops of torchvision 0.26 in evaluation, so that counts can be
//! compared with the published ones, and times with those of the real modules. Dropout and stochastic depth do nothing in
//! evaluation and are absent. MLPerf Tiny's networks, `tiny_*`, have batch norm folded.

mod bert;
mod conv_stack;
mod densenet;
mod efficientnet;
mod inverted_residual;
mod mlp;
mod mobilenet_v2;
mod mobilenet_v3;
mod net;
mod resnet;
mod squeezenet;
mod tiny;
mod vgg;
mod vit;

pub use conv_stack::ConvStack;
pub use mlp::Mlp;

use derate_core::shape::DataType;
use derate_core::tensor::TensorId;

use self::efficientnet::Scale;
use self::net::{Built, Net};
use self::resnet::Block;
use crate::closest::closest;
use crate::graph_buf::{GraphBuf, GraphError};

/// Extents of the image that most networks classify.
const IMAGE: &[u32] = &[3, 224, 224];

/// A network by name: extents of its input without the batch, and its layers.
struct Definition {
    name: &'static str,
    input: &'static [u32],
    layers: fn(&mut Net, TensorId) -> Built,
}

const fn define(name: &'static str, input: &'static [u32], layers: fn(&mut Net, TensorId) -> Built) -> Definition {
    Definition { name, input, layers }
}

const DEFINITIONS: [Definition; 24] = [
    define("resnet18", IMAGE, |net, x| resnet::resnet(net, x, Block::Basic, [2, 2, 2, 2])),
    define("resnet34", IMAGE, |net, x| resnet::resnet(net, x, Block::Basic, [3, 4, 6, 3])),
    define("resnet50", IMAGE, |net, x| resnet::resnet(net, x, Block::Bottleneck, [3, 4, 6, 3])),
    define("resnet101", IMAGE, |net, x| resnet::resnet(net, x, Block::Bottleneck, [3, 4, 23, 3])),
    define("resnet152", IMAGE, |net, x| resnet::resnet(net, x, Block::Bottleneck, [3, 8, 36, 3])),
    define("vgg11", IMAGE, |net, x| vgg::vgg(net, x, [1, 1, 2, 2, 2])),
    define("vgg16", IMAGE, |net, x| vgg::vgg(net, x, [2, 2, 3, 3, 3])),
    define("vgg19", IMAGE, |net, x| vgg::vgg(net, x, [2, 2, 4, 4, 4])),
    define("mobilenet_v2", IMAGE, mobilenet_v2::mobilenet_v2),
    define("mobilenet_v3_small", IMAGE, |net, x| mobilenet_v3::mobilenet_v3(net, x, mobilenet_v3::SMALL, 1024)),
    define("mobilenet_v3_large", IMAGE, |net, x| mobilenet_v3::mobilenet_v3(net, x, mobilenet_v3::LARGE, 1280)),
    define("efficientnet_b0", IMAGE, |net, x| efficientnet::efficientnet(net, x, Scale { width: 10, depth: 10 })),
    define("efficientnet_b1", &[3, 240, 240], |net, x| {
        efficientnet::efficientnet(net, x, Scale { width: 10, depth: 11 })
    }),
    define("efficientnet_b2", &[3, 288, 288], |net, x| {
        efficientnet::efficientnet(net, x, Scale { width: 11, depth: 12 })
    }),
    define("squeezenet1_0", IMAGE, |net, x| squeezenet::squeezenet(net, x, 96, 7, squeezenet::V1_0)),
    define("squeezenet1_1", IMAGE, |net, x| squeezenet::squeezenet(net, x, 64, 3, squeezenet::V1_1)),
    define("densenet121", IMAGE, densenet::densenet121),
    define("vit_b_16", IMAGE, |net, x| vit::vit_base(net, x, 16)),
    define("vit_b_32", IMAGE, |net, x| vit::vit_base(net, x, 32)),
    define("bert_base", &[bert::SEQUENCE, bert::HIDDEN], bert::bert_base),
    define("tiny_ad", &[640], tiny::anomaly_detection),
    define("tiny_kws", &[1, 49, 10], tiny::keyword_spotting),
    define("tiny_ic", &[3, 32, 32], tiny::image_classification),
    define("tiny_vww", &[3, 96, 96], tiny::visual_wake_words),
];

/// Networks that [`network`] knows. Those of images have torchvision's names and the size of its weights' evaluation (224 × 224;
/// 240 for `efficientnet_b1`, 288 for `efficientnet_b2`); `bert_base` reads 128 embedded tokens; `tiny_ad`, `tiny_kws`, `tiny_ic`
/// and `tiny_vww` are MLPerf Tiny's anomaly detection, keyword spotting, image classification and visual wake words.
pub const NETWORKS: [&str; DEFINITIONS.len()] = {
    let mut names = [""; DEFINITIONS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = DEFINITIONS[index].name;
        index += 1;
    }
    names
};

/// Why there is no graph of a network.
#[derive(Debug, thiserror::Error)]
pub enum ZooError {
    /// No network has this name.
    #[error("no network is called {name}{}; known are {}", meant(.name), NETWORKS.join(", "))]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// A count overflows at this batch.
    #[error("{name} at batch {batch}: {source}")]
    Graph {
        /// Name of the network.
        name: &'static str,
        /// Its batch.
        batch: u32,
        /// The layer that the graph refused.
        source: GraphError,
    },
}

fn meant(name: &str) -> String {
    closest(name, NETWORKS).map(|known| format!(" (did you mean {known}?)")).unwrap_or_default()
}

/// Graph of one of [`NETWORKS`], for so many images (or sequences, or spectrograms) of this data type.
///
/// ```
/// use derate::zoo;
/// use derate_core::graph::Tables;
/// use derate_core::shape::DataType;
///
/// let work = zoo::network("resnet50", 1, DataType::Fp32)?.view().total_work()?;
/// assert_eq!((work.params, work.macs.0), (25_557_032, 4_089_184_256));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ZooError::Unknown`], which names the nearest known network; [`ZooError::Graph`] for a batch of zero, or one so large that a count
/// overflows.
pub fn network(name: &str, batch: u32, data_type: DataType) -> Result<GraphBuf, ZooError> {
    let definition = DEFINITIONS.iter().find(|definition| definition.name == name);
    let &Definition { name, input, layers } = definition.ok_or_else(|| ZooError::Unknown { name: name.to_owned() })?;
    let mut net = Net::new(name, data_type);
    let output = net.input(batch, input).and_then(|x| layers(&mut net, x));
    output.map_err(|source| ZooError::Graph { name, batch, source })?;
    Ok(net.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use derate_core::graph::Tables;

    #[test]
    fn an_unknown_network_is_answered_with_the_nearest() {
        for (name, nearest) in [
            ("resnet19", Some("resnet18")),
            ("ResNet-50", Some("resnet50")),
            ("mobilenet-v3-smal", Some("mobilenet_v3_small")),
            ("bert", Some("bert_base")),
            ("alexnet", None),
        ] {
            let error = network(name, 1, DataType::Fp32).expect_err("unknown").to_string();
            let meant = nearest.map(|nearest| format!(" (did you mean {nearest}?)")).unwrap_or_default();
            let answer = format!("no network is called {name}{meant}; known are resnet18, resnet34, ");
            assert!(error.starts_with(&answer), "{error}");
        }
    }

    #[test]
    fn names_are_those_of_the_graphs_and_differ() {
        for name in NETWORKS {
            let graph = network(name, 1, DataType::Fp32).expect(name);
            assert_eq!(graph.name(), name);
            let mut names = graph.names().to_vec();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), graph.names().len(), "{name}: two layers of one name");
        }
        let mut names = NETWORKS.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NETWORKS.len());
    }

    #[test]
    fn every_network_gives_one_output() {
        for name in NETWORKS {
            let graph = network(name, 2, DataType::Bf16).expect(name);
            let view = graph.view();
            let read: Vec<_> = view.nodes().iter().flat_map(|node| view.operands(node).ids()).collect();
            let unread = view.nodes().iter().filter(|node| !read.contains(&&node.output)).count();
            assert_eq!(unread, 1, "{name}");
            assert_eq!(view.nodes().last().map(|node| read.contains(&&node.output)), Some(false), "{name}");
        }
    }

    #[test]
    fn an_impossible_batch_is_refused_with_its_layer() {
        let error = network("resnet18", 0, DataType::Fp32).expect_err("no images").to_string();
        assert!(error.starts_with("resnet18 at batch 0: input (input) on [0, 3, 224, 224]: "), "{error}");
    }
}
