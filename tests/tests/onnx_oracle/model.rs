//! Small ONNX files, node by node.

use std::path::Path;

use prost::Message as _;
use tract_onnx::pb;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};

/// A model of one input, `x`, that grows at its end.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    nodes: Vec<pb::NodeProto>,
    /// Tensors of zeros, by name and shape.
    weights: Vec<(String, Vec<u32>)>,
    /// Tensors whose values shapes depend on.
    stored: Vec<pb::TensorProto>,
    input: Vec<u32>,
}

impl Model {
    pub(crate) fn new(input: &[u32]) -> Self {
        Self { nodes: Vec::new(), weights: Vec::new(), stored: Vec::new(), input: input.to_vec() }
    }

    /// Number of nodes.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Kinds of the nodes.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| node.op_type.as_str())
    }

    /// A weight, all zeros; its name.
    pub(crate) fn weight(&mut self, dims: &[u32]) -> String {
        let name = format!("w{}", self.weights.len());
        self.weights.push((name.clone(), dims.to_vec()));
        name
    }

    /// A stored number; its name.
    pub(crate) fn int(&mut self, value: i64) -> String {
        self.store(&[], DataType::Int64, value.to_le_bytes().to_vec())
    }

    /// A stored vector of integers; its name.
    pub(crate) fn ints(&mut self, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.store(&[i64::try_from(values.len()).expect("short")], DataType::Int64, bytes)
    }

    /// A stored vector of numbers; its name.
    pub(crate) fn floats(&mut self, values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.store(&[i64::try_from(values.len()).expect("short")], DataType::Float, bytes)
    }

    fn store(&mut self, dims: &[i64], data_type: DataType, raw_data: Vec<u8>) -> String {
        let name = format!("c{}", self.stored.len());
        self.stored.push(tensor(&name, dims, data_type, raw_data));
        name
    }

    /// Adds a node with one output; the output's name, which is the node's too.
    pub(crate) fn node(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, Attribute<'_>)]) -> String {
        self.split(op, inputs, attributes, 1).swap_remove(0)
    }

    /// Adds a node with several outputs; their names.
    pub(crate) fn split(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute<'_>)],
        outputs: usize,
    ) -> Vec<String> {
        let name = format!("n{}", self.nodes.len());
        let further = (1..outputs).map(|position| format!("{name}_{position}"));
        let output: Vec<String> = std::iter::once(name.clone()).chain(further).collect();
        self.nodes.push(pb::NodeProto {
            name,
            op_type: op.to_owned(),
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: output.clone(),
            attribute: attributes.iter().map(|(name, value)| value.named(name)).collect(),
            ..pb::NodeProto::default()
        });
        output
    }

    /// Writes the model, of opset 17, as a file. `bare` makes inputs of its weights.
    pub(crate) fn write(&self, path: &Path, bare: bool) {
        let float = DataType::Float;
        let signed = |shape: &[u32]| shape.iter().copied().map(i64::from).collect::<Vec<_>>();
        let mut input = vec![value("x", float.into(), Some(&signed(&self.input)))];
        let mut initializer = self.stored.clone();
        for (name, shape) in &self.weights {
            let (dims, count) = (signed(shape), shape.iter().product::<u32>());
            if bare {
                input.push(value(name, float.into(), Some(&dims)));
            } else {
                initializer.push(tensor(name, &dims, float, vec![0; count as usize * 4]));
            }
        }
        let last = self.nodes.last().and_then(|node| node.output.first()).map_or("x", String::as_str);
        let graph = pb::GraphProto {
            name: "random".to_owned(),
            node: self.nodes.clone(),
            initializer,
            input,
            output: vec![value(last, float.into(), None)],
            ..pb::GraphProto::default()
        };
        let opset = pb::OperatorSetIdProto { version: 17, ..pb::OperatorSetIdProto::default() };
        let model = pb::ModelProto {
            ir_version: 8,
            opset_import: vec![opset],
            graph: Some(graph),
            ..pb::ModelProto::default()
        };
        std::fs::write(path, model.encode_to_vec()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

fn tensor(name: &str, dims: &[i64], data_type: DataType, raw_data: Vec<u8>) -> pb::TensorProto {
    let (name, dims, data_type) = (name.to_owned(), dims.to_vec(), data_type.into());
    pb::TensorProto { name, dims, data_type, raw_data, ..pb::TensorProto::default() }
}

/// What a file declares of a tensor: name, type of its elements, shape.
pub(crate) fn value(name: &str, elem_type: i32, dims: Option<&[i64]>) -> pb::ValueInfoProto {
    let dimension =
        |&extent: &i64| Dimension { value: Some(dimension::Value::DimValue(extent)), ..Dimension::default() };
    let shape = dims.map(|dims| pb::TensorShapeProto { dim: dims.iter().map(dimension).collect() });
    let tensor = Some(pb::type_proto::Value::TensorType(pb::type_proto::Tensor { elem_type, shape }));
    pb::ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(pb::TypeProto { value: tensor, ..pb::TypeProto::default() }),
        ..pb::ValueInfoProto::default()
    }
}

/// Value of an attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Attribute<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Text(&'a str),
}

impl Attribute<'_> {
    fn named(self, name: &str) -> pb::AttributeProto {
        let mut attribute = pb::AttributeProto { name: name.to_owned(), ..pb::AttributeProto::default() };
        let kind = match self {
            Self::Int(value) => {
                attribute.i = value;
                AttributeType::Int
            }
            Self::Ints(values) => {
                attribute.ints = values.to_vec();
                AttributeType::Ints
            }
            Self::Text(value) => {
                attribute.s = value.as_bytes().to_vec();
                AttributeType::String
            }
        };
        attribute.r#type = kind.into();
        attribute
    }
}
