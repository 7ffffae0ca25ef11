//! From the file's graph to core's, node by node.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;

use derate_core::op::Op;
use derate_core::shape::{DataType, Shape};
use derate_core::tensor::{TensorId, TensorKind};

use super::call::{Call, Stop, data_type, name, unsupported};
use super::file::Folder;
use super::inputs::{self, Bound};
use super::order::order;
use super::proto::{Graph, Node, Tensor, ValueInfo};
use super::value::{Data, Elements, Names, Stored, Value};
use crate::import::build::Builder;
use crate::import::{Import, ImportError, Options};

/// Deepest nesting of branches.
const DEEPEST: u32 = 16;

/// What the file declares of a value.
#[derive(Clone, Debug)]
struct Declared {
    element: Option<i32>,
    dims: Option<Vec<Option<u32>>>,
}

/// An import under way.
#[derive(Debug)]
pub(super) struct Importer {
    pub(super) builder: Builder,
    pub(super) opset: i64,
    values: HashMap<String, Value>,
    declared: HashMap<String, Declared>,
    bound: Bound,
    folder: Folder,
    names: Names,
    /// Stored tensors that entered the graph as tensors.
    pub(super) entered: HashMap<String, TensorId>,
    depth: u32,
}

/// What a node gives, output by output.
pub(super) type Outputs = Result<Vec<Value>, Stop>;

/// Imports a graph.
pub(super) fn import(path: &Path, graph: &Graph, opset: i64, options: &Options) -> Result<Import, ImportError> {
    let title = if graph.name.is_empty() {
        path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
    } else {
        graph.name.clone()
    };
    let builder = Builder::new(path.display().to_string(), title);
    let initializers: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let mut seen = HashSet::new();
    if let Some(twice) = graph.input.iter().find(|info| !seen.insert(info.name.as_str())) {
        return Err(builder.error(&twice.name, "two inputs of the graph have this name"));
    }
    let weights = inputs::weights(graph, &initializers);
    let real: Vec<&ValueInfo> = graph
        .input
        .iter()
        .filter(|info| !initializers.contains(info.name.as_str()) && !weights.contains(info.name.as_str()))
        .collect();
    let (bound, inputs) = inputs::bind(&real, options).map_err(|(at, message)| match at {
        Some(at) => builder.error(at, message),
        None => ImportError { file: path.display().to_string(), at: None, message },
    })?;
    let mut importer = Importer {
        builder,
        opset,
        values: HashMap::new(),
        declared: HashMap::new(),
        bound,
        folder: Folder::of(path),
        names: Names::of(initializers.iter().copied().chain(weights.iter().copied())),
        entered: HashMap::new(),
        depth: 0,
    };
    for input in inputs {
        let id = importer.builder.source(&input.name, &input.dims, input.data_type, TensorKind::Input)?;
        importer.values.insert(input.name, Value::Tensor(id));
    }
    for info in graph.input.iter().filter(|info| weights.contains(info.name.as_str())) {
        let stored = importer.weight(info)?;
        importer.values.insert(info.name.clone(), Value::Stored(Rc::new(stored)));
    }
    importer.run(graph)?;
    importer.builder.finish()
}

impl Importer {
    /// An input that stands for a weight.
    fn weight(&self, info: &ValueInfo) -> Result<Stored, ImportError> {
        let error = |message: String| self.builder.error(&info.name, message);
        let data_type = data_type(inputs::element(info).unwrap_or(0))
            .map_err(|kind| error(format!("this input has elements of type {kind}")))?;
        let dims = inputs::declared(info, &self.bound).map_err(error)?.unwrap_or_default();
        let dims: Vec<u32> = dims.into_iter().map(Option::unwrap_or_default).collect();
        let learned = self.names.may_be_parameter(&info.name, &dims, data_type);
        Ok(Stored {
            name: info.name.clone(),
            dims,
            data_type,
            storage: data_type,
            learned,
            part: None,
            data: Data::none(),
        })
    }

    /// All nodes of a graph or a branch.
    fn run(&mut self, graph: &Graph) -> Result<(), ImportError> {
        let mut seen = HashSet::new();
        for tensor in &graph.initializer {
            if !seen.insert(tensor.name.as_str()) {
                return Err(self.builder.error(&tensor.name, "two stored tensors have this name"));
            }
            let stored = self.folder.stored(&tensor.name, tensor);
            let value = match stored.map_err(|message| self.builder.error(&tensor.name, message))? {
                Ok(stored) => {
                    let learned = self.names.may_be_parameter(&stored.name, &stored.dims, stored.data_type);
                    Value::Stored(Rc::new(Stored { learned, ..stored }))
                }
                Err(reason) => Value::Unknown(reason),
            };
            self.values.insert(tensor.name.clone(), value);
        }
        for sparse in &graph.sparse_initializer {
            let name = sparse.values.as_ref().map_or("", |values| values.name.as_str());
            self.values.insert(name.to_owned(), Value::Unknown(format!("{name} is stored sparse")));
        }
        for info in graph.value_info.iter().chain(&graph.output) {
            let dims =
                inputs::declared(info, &self.bound).map_err(|message| self.builder.error(&info.name, message))?;
            self.declared.insert(info.name.clone(), Declared { element: inputs::element(info), dims });
        }
        let order = order(&graph.node).map_err(|(at, message)| self.builder.error(at, message))?;
        for node in order.into_iter().filter_map(|position| graph.node.get(position)) {
            self.node(node)?;
        }
        Ok(())
    }

    fn node(&mut self, node: &Node) -> Result<(), ImportError> {
        let call = Call { node, opset: self.opset };
        for (position, input) in node.input.iter().enumerate().filter(|(_, input)| !input.is_empty()) {
            if !self.values.contains_key(input) {
                let message = format!("its input {position}, {input}, is neither given, stored nor computed");
                return Err(self.builder.error(name(node), message));
            }
        }
        let outputs = match self.outputs(&call) {
            Ok(outputs) => outputs,
            Err(Stop::Unsupported(reason)) => {
                self.builder.unsupported(name(node), &node.op_type, reason);
                return self.declared_outputs(node);
            }
            Err(Stop::Wrong(message)) => {
                return Err(self.builder.error(format!("{} ({})", name(node), node.op_type), message));
            }
            Err(Stop::Error(error)) => return Err(error),
        };
        let mut outputs = outputs.into_iter();
        for (position, output) in node.output.iter().enumerate() {
            let value = outputs.next();
            if output.is_empty() {
                continue;
            }
            let value = value.unwrap_or_else(|| {
                Value::Unknown(format!("output {position} of {} ({}) is not modelled", name(node), node.op_type))
            });
            self.agree(node, output, &value)?;
            self.values.insert(output.clone(), value);
        }
        Ok(())
    }

    /// Refuses a result that contradicts what the file declares of it.
    fn agree(&self, node: &Node, output: &str, value: &Value) -> Result<(), ImportError> {
        let (Some(found), Some(declared)) = (self.dims_of(value), self.declared.get(output)) else { return Ok(()) };
        let Some(dims) = &declared.dims else { return Ok(()) };
        let fits = dims.len() == found.len()
            && dims.iter().zip(&found).all(|(declared, found)| declared.is_none_or(|extent| extent == *found));
        // Exporters annotate states of recurrent layers with an axis of extent 1 too many: no extent contradicts another there.
        let long = |extents: Vec<u32>| extents.into_iter().filter(|&extent| extent != 1).collect::<Vec<_>>();
        let same = dims.len() != found.len()
            && dims.iter().copied().collect::<Option<Vec<u32>>>().is_some_and(|dims| long(dims) == long(found.clone()));
        if fits || same {
            return Ok(());
        }
        let shown: Vec<String> =
            dims.iter().map(|extent| extent.map_or_else(|| "?".to_owned(), |extent| extent.to_string())).collect();
        let message = format!("it gives {output} of shape {found:?}, the file declares [{}]", shown.join(", "));
        Err(self.builder.error(format!("{} ({})", name(node), node.op_type), message))
    }

    /// What an unsupported node gives, as the file declares it: inputs of the graph, or unknown.
    fn declared_outputs(&mut self, node: &Node) -> Result<(), ImportError> {
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            let declared = self.declared.get(output).cloned();
            let found = declared.and_then(|declared| {
                let dims: Vec<u32> = declared.dims?.into_iter().collect::<Option<_>>()?;
                let fits = dims.len() <= derate_core::shape::MAX_RANK && !dims.contains(&0);
                Some((data_type(declared.element?).ok()?, dims)).filter(|_| fits)
            });
            let value = match found {
                Some((data_type, dims)) => {
                    Value::Tensor(self.builder.source(output, &dims, data_type, TensorKind::Input)?)
                }
                None => Value::Unknown(format!("{} ({}) is not supported", name(node), node.op_type)),
            };
            self.values.insert(output.clone(), value);
        }
        Ok(())
    }

    fn outputs(&mut self, call: &Call<'_>) -> Outputs {
        for input in call.node.input.iter().filter(|input| !input.is_empty()) {
            if let Some(Value::Unknown(reason)) = self.values.get(input) {
                return unsupported(format!("its input {input} is not known: {reason}"));
            }
        }
        match call.node.domain.as_str() {
            "" | "ai.onnx" => {}
            "com.microsoft" => return self.microsoft(call),
            domain => return unsupported(format!("operators of the domain {domain} are not known")),
        }
        if call.op() == "If" {
            return self.branch(call);
        }
        if let Some(folded) = self.fold(call)? {
            self.builder.bookkeeping();
            return Ok(folded);
        }
        self.standard(call)
    }

    /// An op of the standard set.
    pub(super) fn standard(&mut self, call: &Call<'_>) -> Outputs {
        match call.op() {
            "Conv" | "ConvTranspose" | "Gemm" | "MatMul" => self.dense(call),
            "Einsum" => self.einsum(call),
            "MaxPool" | "AveragePool" | "LpPool" | "GlobalMaxPool" | "GlobalAveragePool" | "GlobalLpPool" => {
                self.pool(call)
            }
            "BatchNormalization"
            | "LayerNormalization"
            | "InstanceNormalization"
            | "GroupNormalization"
            | "RMSNormalization"
            | "LRN"
            | "LpNormalization"
            | "MeanVarianceNormalization" => self.norm(call),
            "LSTM" | "GRU" | "RNN" => self.recurrent(call),
            "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL1" | "ReduceL2"
            | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceSumSquare" | "ArgMax" | "ArgMin" | "Softmax"
            | "LogSoftmax" | "Hardmax" | "TopK" | "CumSum" => self.reduce(call),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" | "Concat" | "Split" | "Slice" | "Pad"
            | "Expand" | "Tile" | "Resize" | "Upsample" | "DepthToSpace" | "SpaceToDepth" | "Trilu"
            | "ReverseSequence" | "Col2Im" => self.layout(call),
            "Gather" | "GatherElements" | "GatherND" | "ScatterND" | "ScatterElements" | "Scatter" | "OneHot" => {
                self.index(call)
            }
            "QuantizeLinear"
            | "DequantizeLinear"
            | "DynamicQuantizeLinear"
            | "QLinearConv"
            | "ConvInteger"
            | "QLinearMatMul"
            | "MatMulInteger" => self.quantized(call),
            _ => self.elementwise(call),
        }
    }

    /// The branch that is taken, in place of the node.
    fn branch(&mut self, call: &Call<'_>) -> Outputs {
        let Some(condition) = self.numbers(call, 0)? else {
            return unsupported("which branch is taken depends on data");
        };
        let taken = if condition.first().is_some_and(|&value| value != 0) { "then_branch" } else { "else_branch" };
        let Some(graph) = call.graph(taken)? else {
            return Err(Stop::Wrong(format!("it has no {taken}")));
        };
        if self.depth >= DEEPEST {
            return Err(Stop::Wrong(format!("branches are nested deeper than {DEEPEST} levels")));
        }
        self.depth += 1;
        self.run(graph)?;
        self.depth -= 1;
        self.builder.bookkeeping();
        let outputs = graph.output.iter().map(|output| self.values.get(&output.name).cloned());
        outputs
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Stop::Wrong(format!("its {taken} does not compute one of its outputs")))
    }

    /// A stored tensor; `Ok(Err(reason))` for one whose element type has no counterpart.
    pub(super) fn tensor_of(&self, name: &str, tensor: &Tensor) -> Result<Result<Stored, String>, String> {
        self.folder.stored(name, tensor)
    }

    /// Type and elements of a small stored tensor, where they are known.
    pub(super) fn peek(&self, name: &str, tensor: &Tensor) -> Result<Option<(DataType, Elements)>, String> {
        let stored = self.folder.stored(name, tensor)?.ok();
        Ok(stored.and_then(|stored| Some((stored.data_type, Elements::clone(&*stored.known()?)))))
    }

    /// The value of a name.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Extents of a value.
    pub(super) fn dims_of(&self, value: &Value) -> Option<Vec<u32>> {
        match value {
            Value::Tensor(id) => Some(self.builder.shape(*id).extents().to_vec()),
            Value::Stored(stored) => Some(stored.dims.clone()),
            Value::Unknown(_) => None,
        }
    }

    /// Adds an op under the node's name.
    pub(super) fn emit(&mut self, call: &Call<'_>, op: Op, operands: &[TensorId]) -> Result<TensorId, Stop> {
        Ok(self.builder.op(call.name(), op, operands)?)
    }

    /// Adds one of several ops that a node stands for.
    pub(super) fn emit_part(
        &mut self,
        call: &Call<'_>,
        part: &str,
        op: Op,
        operands: &[TensorId],
    ) -> Result<TensorId, Stop> {
        Ok(self.builder.op(&format!("{}/{part}", call.name()), op, operands)?)
    }

    /// Extents of a tensor of the graph.
    pub(super) fn extents(&self, id: TensorId) -> Vec<u32> {
        self.builder.shape(id).extents().to_vec()
    }

    /// Runs `build` on a graph that is thrown away, for the shapes alone.
    pub(super) fn aside<T>(&mut self, build: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        let builder = std::mem::replace(&mut self.builder, Builder::new("", ""));
        let entered = std::mem::take(&mut self.entered);
        let result = build(self);
        self.builder = builder;
        self.entered = entered;
        result
    }
}

/// A shape from extents.
pub(super) fn shape(extents: &[u32]) -> Result<Shape, Stop> {
    Ok(Shape::new(extents)?)
}
