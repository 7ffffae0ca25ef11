//! Building models for the tests.

use std::path::PathBuf;

use bytes::Bytes;
use derate_core::graph::Tables;
use derate_core::work::Work;
use prost::Message;

use crate::import::onnx::proto::{
    Attribute, Dimension, Graph, Model, Node, OpsetId, Tensor, TensorShape, TensorType, TypeProto, ValueInfo,
};
use crate::import::{Import, ImportError, Options};

pub(super) const FLOAT: i32 = 1;
pub(super) const INT8: i32 = 3;
pub(super) const INT64: i32 = 7;

/// A value with a static shape.
pub(super) fn info(name: &str, element: i32, dims: &[i64]) -> ValueInfo {
    let dim = dims.iter().map(|&extent| Dimension { dim_value: Some(extent), dim_param: None }).collect();
    typed(name, element, dim)
}

/// A value whose extents may be names.
pub(super) fn open(name: &str, element: i32, dims: &[&str]) -> ValueInfo {
    let dim = dims
        .iter()
        .map(|text| match text.parse() {
            Ok(value) => Dimension { dim_value: Some(value), dim_param: None },
            Err(_) => Dimension { dim_value: None, dim_param: Some((*text).to_owned()).filter(|text| text != "?") },
        })
        .collect();
    typed(name, element, dim)
}

fn typed(name: &str, element: i32, dim: Vec<Dimension>) -> ValueInfo {
    let tensor_type = Some(TensorType { elem_type: element, shape: Some(TensorShape { dim }) });
    ValueInfo { name: name.to_owned(), kind: Some(TypeProto { tensor_type }) }
}

/// A stored tensor of random-looking floats, none of them 0.
pub(super) fn weight(name: &str, dims: &[i64]) -> Tensor {
    let count = usize::try_from(dims.iter().product::<i64>()).expect("a count");
    let values = (0..count).flat_map(|at| (0.01 + 0.001 * (at % 97) as f32).to_le_bytes());
    raw(name, FLOAT, dims, values.collect())
}

/// A stored tensor of these bytes.
pub(super) fn raw(name: &str, element: i32, dims: &[i64], bytes: Vec<u8>) -> Tensor {
    Tensor {
        name: name.to_owned(),
        data_type: element,
        dims: dims.to_vec(),
        raw_data: Some(Bytes::from(bytes)),
        ..Tensor::default()
    }
}

/// A stored vector of 64-bit integers.
pub(super) fn ints(name: &str, values: &[i64]) -> Tensor {
    raw(name, INT64, &[values.len() as i64], values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// A stored vector of floats.
pub(super) fn floats(name: &str, values: &[f32]) -> Tensor {
    raw(name, FLOAT, &[values.len() as i64], values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// A node called like its op type and first output.
pub(super) fn node(op: &str, input: &[&str], output: &[&str]) -> Node {
    let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
    Node {
        op_type: op.to_owned(),
        name: format!("{op}_{}", output.first().copied().unwrap_or_default()),
        input: names(input),
        output: names(output),
        ..Node::default()
    }
}

pub(super) trait With {
    fn int(self, name: &str, value: i64) -> Self;
    fn ints(self, name: &str, values: &[i64]) -> Self;
    fn text(self, name: &str, value: &str) -> Self;
    fn graph(self, name: &str, value: Graph) -> Self;
    fn domain(self, name: &str) -> Self;
}

impl With for Node {
    fn int(mut self, name: &str, value: i64) -> Self {
        self.attribute.push(Attribute { name: name.to_owned(), i: Some(value), kind: 2, ..Attribute::default() });
        self
    }

    fn ints(mut self, name: &str, values: &[i64]) -> Self {
        let ints = values.to_vec();
        self.attribute.push(Attribute { name: name.to_owned(), ints, kind: 7, ..Attribute::default() });
        self
    }

    fn text(mut self, name: &str, value: &str) -> Self {
        let s = Some(Bytes::from(value.to_owned()));
        self.attribute.push(Attribute { name: name.to_owned(), s, kind: 3, ..Attribute::default() });
        self
    }

    fn graph(mut self, name: &str, value: Graph) -> Self {
        let g = Some(Box::new(value));
        self.attribute.push(Attribute { name: name.to_owned(), g, kind: 5, ..Attribute::default() });
        self
    }

    fn domain(mut self, name: &str) -> Self {
        name.clone_into(&mut self.domain);
        self
    }
}

/// A graph; its outputs are what nodes call `y`.
pub(super) fn graph(input: Vec<ValueInfo>, initializer: Vec<Tensor>, node: Vec<Node>) -> Graph {
    Graph { name: "test".to_owned(), input, initializer, node, ..Graph::default() }
}

/// The bytes of a model.
pub(super) fn encode(graph: Graph, opset: i64) -> Vec<u8> {
    let opset_import = vec![OpsetId { domain: String::new(), version: opset }];
    Model { graph: Some(graph), opset_import }.encode_to_vec()
}

/// A folder with a file of these bytes.
pub(super) fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, bytes).expect("a file");
    (folder, path)
}

/// Reads a model of opset 17.
pub(super) fn read(graph: Graph) -> Result<Import, ImportError> {
    read_as(graph, 17, &Options::default())
}

/// Reads a model.
pub(super) fn read_as(graph: Graph, opset: i64, options: &Options) -> Result<Import, ImportError> {
    let (_folder, path) = file(&encode(graph, opset));
    crate::import::onnx::read(&path, options)
}

/// Reads a model that is right.
pub(super) fn good(graph: Graph) -> Import {
    read(graph).unwrap_or_else(|error| panic!("{error}"))
}

/// The message about a model that is wrong.
pub(super) fn bad(graph: Graph) -> String {
    match read(graph) {
        Ok(_) => panic!("the model was read"),
        Err(error) => error.to_string(),
    }
}

/// Names of the ops, in order.
pub(super) fn ops(import: &Import) -> Vec<&'static str> {
    import.graph.view().nodes().iter().map(|node| node.op.name()).collect()
}

/// Shape that the last op gives.
pub(super) fn last(import: &Import) -> Vec<u32> {
    let view = import.graph.view();
    let node = view.nodes().last().expect("an op");
    view.output(node).expect("its output").shape.extents().to_vec()
}

/// Work of the whole graph.
pub(super) fn work(import: &Import) -> Work {
    import.graph.view().total_work().expect("its work")
}
