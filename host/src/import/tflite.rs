//! TFLite files (`.tflite`): FlatBuffers of tables, verified before use; weights are mapped, never copied.
//!
//! The first subgraph is the network; bodies of control flow are not followed. An operator is named as the tensor it gives; a fused
//! activation is an op of its own after it, called `…:relu` and the like. How axes are ordered is said in `layout`. Shapes
//! follow from the inputs, the stored sizes and core's shape rules, so that an open batch is bound by `--batch`: the shapes that the
//! file states for computed tensors only serve for what cannot be counted.

mod arrange;
mod builtin;
mod layers;
mod layout;
mod number;
mod pointwise;
pub mod quantized;
mod schema;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::Path;

use derate_core::op::{Activation, ActivationKind, Op};
use derate_core::shape::DataType;
use derate_core::tensor::{TensorId, TensorKind};
use flatbuffers::{ForwardsUOffset, Vector};

use self::layout::Layout;
use self::schema::{Buffer, Operator, Tensor};
use self::values::Value;
use super::build::Builder;
use super::{Import, ImportError, Options};

/// Identifier of a TFLite file, at its bytes 4 to 8.
pub(crate) const IDENTIFIER: &[u8] = b"TFL3";

/// Reads the network of a file.
///
/// # Errors
/// [`ImportError`] for a file that cannot be read or is no TFLite file, for open extents that nothing binds, and for operators
/// whose operands and options do not go together.
pub fn read(path: &Path, options: &Options) -> Result<Import, ImportError> {
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    parse(&mapped(path)?, &path.display().to_string(), &name, options)
}

/// The bytes of a file, read when they are looked at.
fn mapped(path: &Path) -> Result<memmap2::Mmap, ImportError> {
    let error = |message: String| ImportError { file: path.display().to_string(), at: None, message };
    let opened = File::open(path).map_err(|cause| error(format!("cannot be opened: {cause}")))?;
    // SAFETY: the mapping is read-only. Should another process shorten the file meanwhile, the system ends this one; it is no more
    // than a reader of a file that is being rewritten can hope for.
    unsafe { memmap2::Mmap::map(&opened) }.map_err(|cause| error(format!("cannot be read: {cause}")))
}

/// Reads the network of a file's bytes.
fn parse(bytes: &[u8], file: &str, name: &str, options: &Options) -> Result<Import, ImportError> {
    let error = |message: String| ImportError { file: file.to_owned(), at: None, message };
    let model = verified(bytes, file)?;
    let graphs = model.subgraphs().ok_or_else(|| error("the file holds no graph".to_owned()))?;
    let graph = graphs.iter().next().ok_or_else(|| error("the file holds no graph".to_owned()))?;
    let codes: Vec<Code> = model.operator_codes().into_iter().flatten().map(|code| Code::new(&code)).collect();
    let tensors = graph.tensors().ok_or_else(|| error("the graph has no tensors".to_owned()))?;
    let operators = graph.operators().ok_or_else(|| error("the graph has no operators".to_owned()))?;
    let mut reader = Reader {
        builder: Builder::new(file, name),
        options,
        bytes,
        tensors,
        buffers: model.buffers(),
        values: vec![Value::default(); tensors.len()],
        windowed: HashSet::new(),
        made: HashMap::new(),
    };
    let calls = reader.calls(&codes, operators)?;
    reader.inputs(graph.inputs().into_iter().flatten())?;
    for call in &calls {
        reader.operator(call)?;
    }
    reader.builder.finish()
}

/// The tables of a file's bytes, verified.
fn verified<'a>(bytes: &'a [u8], file: &str) -> Result<schema::Model<'a>, ImportError> {
    let error = |message: String| ImportError { file: file.to_owned(), at: None, message };
    if bytes.get(4..8) != Some(IDENTIFIER) {
        let found = bytes.get(4..8).unwrap_or_default().escape_ascii();
        return Err(error(format!("no TFLite file: its bytes 4 to 8 are \"{found}\", not \"TFL3\"")));
    }
    schema::model(bytes).map_err(|cause| {
        let cause = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        error(format!("damaged TFLite file: {}", cause.chars().take(300).collect::<String>()))
    })
}

/// An operation of the file.
struct Code {
    builtin: i32,
    name: String,
}

impl Code {
    fn new(code: &schema::OperatorCode<'_>) -> Self {
        // Files before 2020 hold the code in eight bits, later ones in both.
        let builtin = code.builtin_code().max(i32::from(code.deprecated_builtin_code()));
        let name = match code.custom_code() {
            Some(custom) if builtin == CUSTOM => format!("CUSTOM {custom}"),
            _ => builtin::name(builtin),
        };
        Self { builtin, name }
    }
}

const CUSTOM: i32 = 32;

/// An operator of the graph, with its operands as numbers of tensors that exist.
struct Call<'a> {
    operator: Operator<'a>,
    builtin: i32,
    op: String,
    name: String,
    /// `None` for an optional operand that is left out.
    inputs: Vec<Option<usize>>,
    outputs: Vec<usize>,
}

/// Why an operator was not added.
enum Stop {
    /// The file is no graph.
    Error(ImportError),
    /// No op describes it; it is listed.
    Unsupported(String),
}

impl From<ImportError> for Stop {
    fn from(error: ImportError) -> Self {
        Self::Error(error)
    }
}

/// What converting an operator gives.
type Step<T = ()> = Result<T, Stop>;

fn unsupported<T>(reason: impl Into<String>) -> Step<T> {
    Err(Stop::Unsupported(reason.into()))
}

/// A file being read.
struct Reader<'a> {
    builder: Builder,
    options: &'a Options,
    bytes: &'a [u8],
    tensors: Vector<'a, ForwardsUOffset<Tensor<'a>>>,
    buffers: Option<Vector<'a, ForwardsUOffset<Buffer<'a>>>>,
    /// What each tensor of the file is in the graph.
    values: Vec<Value>,
    /// Tensors that windows slide over: images, with their channels first.
    windowed: HashSet<usize>,
    /// Tensors of the graph that stand for a tensor of the file in an order and a rank.
    made: HashMap<(usize, Layout, usize), TensorId>,
}

impl<'a> Reader<'a> {
    /// The operators with their operands, checked against the tensors.
    fn calls(
        &mut self,
        codes: &[Code],
        operators: Vector<'a, ForwardsUOffset<Operator<'a>>>,
    ) -> Result<Vec<Call<'a>>, ImportError> {
        let mut calls = Vec::with_capacity(operators.len());
        for (position, operator) in operators.iter().enumerate() {
            let at = format!("operator {position}");
            let index = operator.opcode_index();
            let code = usize::try_from(index).ok().and_then(|index| codes.get(index));
            let code = code.ok_or_else(|| {
                self.builder.error(&at, format!("operator code {index}, but the file has {} of them", codes.len()))
            })?;
            let mut inputs = Vec::new();
            for index in operator.inputs().into_iter().flatten() {
                inputs.push(if index == -1 { None } else { Some(self.tensor_index(&at, index)?) });
            }
            let outputs = operator.outputs().into_iter().flatten();
            let outputs = outputs.map(|index| self.tensor_index(&at, index)).collect::<Result<Vec<_>, _>>()?;
            let name = outputs.first().map_or_else(|| at.clone(), |&output| self.name(output));
            let call = Call { operator, builtin: code.builtin, op: code.name.clone(), name, inputs, outputs };
            if let Some(place) = windowed_operand(call.builtin) {
                self.windowed.extend(call.inputs.get(place).copied().flatten());
            }
            calls.push(call);
        }
        Ok(calls)
    }

    fn tensor_index(&self, at: &str, index: i32) -> Result<usize, ImportError> {
        let count = self.tensors.len();
        usize::try_from(index)
            .ok()
            .filter(|&index| index < count)
            .ok_or_else(|| self.builder.error(at, format!("tensor {index}, but the graph has {count} of them")))
    }

    /// Adds one operator, or lists it.
    fn operator(&mut self, call: &Call<'a>) -> Result<(), ImportError> {
        match self.convert(call) {
            Ok(()) => Ok(()),
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Unsupported(reason)) => {
                self.builder.unsupported(&call.name, &call.op, reason);
                for &output in &call.outputs {
                    self.open_output(output)?;
                }
                Ok(())
            }
        }
    }

    fn convert(&mut self, call: &Call<'a>) -> Step {
        if call.outputs.is_empty() {
            return unsupported("it gives no tensor");
        }
        if self.arithmetic_of_shapes(call)? {
            self.builder.bookkeeping();
            return Ok(());
        }
        let done = self.layer(call)? || self.pointwise(call)? || self.arranged(call)?;
        if done { Ok(()) } else { unsupported("no op describes it") }
    }

    /// Says that the first output of a call is this tensor of the graph, after the fused activation.
    fn give(&mut self, call: &Call<'_>, id: TensorId, layout: Layout, activation: i8) -> Step {
        let id = self.fused(call, id, activation)?;
        match call.outputs.first() {
            Some(&output) => self.set(output, id, layout),
            None => Ok(()),
        }
    }

    /// The activation that is computed within an operator, as an op of its own, in place.
    fn fused(&mut self, call: &Call<'_>, id: TensorId, activation: i8) -> Step<TensorId> {
        let (kind, name) = match activation {
            0 => return Ok(id),
            1 => (ActivationKind::Relu, "relu"),
            2 => (ActivationKind::Clip, "relu_n1_to_1"),
            3 => (ActivationKind::Relu6, "relu6"),
            4 => (ActivationKind::Tanh, "tanh"),
            5 => (ActivationKind::Sign, "sign_bit"),
            other => {
                let message = format!("fused activation {other}; 0 to 5 are known");
                return Err(Stop::Error(self.builder.error(&call.name, message)));
            }
        };
        let op = Op::Activation(Activation { kind, in_place: true });
        Ok(self.builder.op(&format!("{}:{name}", call.name), op, &[id])?)
    }
}

/// The operand that windows of this operator slide over, or that is an image by its nature.
const fn windowed_operand(builtin: i32) -> Option<usize> {
    match builtin {
        // AVERAGE_POOL_2D, CONV_2D, DEPTHWISE_CONV_2D, DEPTH_TO_SPACE, LOCAL_RESPONSE_NORMALIZATION, MAX_POOL_2D, RESIZE_BILINEAR,
        // SPACE_TO_DEPTH, RESIZE_NEAREST_NEIGHBOR, CONV_3D.
        1 | 3 | 4 | 5 | 13 | 17 | 23 | 26 | 97 | 132 => Some(0),
        // TRANSPOSE_CONV.
        67 => Some(2),
        _ => None,
    }
}

/// Data type of a tensor of the file; `None` for one that core does not know.
const fn data_type(number: i8) -> Option<DataType> {
    Some(match number {
        0 => DataType::Fp32,
        1 => DataType::Fp16,
        2 | 15 => DataType::Int32,
        3 | 9 => DataType::Int8,
        4 | 12 => DataType::Int64,
        6 => DataType::Bool,
        7 | 16 => DataType::Int16,
        10 => DataType::Fp64,
        18 => DataType::Bf16,
        _ => return None,
    })
}

/// Whether a stored tensor is learned: real numbers and small integers are, indices and masks are not.
const fn stored_kind(data_type: DataType) -> TensorKind {
    match data_type {
        DataType::Int32 | DataType::Int64 | DataType::Bool => TensorKind::Constant,
        _ => TensorKind::Parameter,
    }
}
