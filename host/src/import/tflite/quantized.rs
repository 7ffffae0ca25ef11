//! The integers of a quantized TFLite network: weights, scales and zero points, as the file holds them.
//!
//! The importer beside this one counts and never reads a weight; what looks at values (which channels can ever change) reads them here.
//! Nothing is copied: all slices lie in the mapped file.

use std::path::Path;

use super::schema::{AddOptions, Conv2DOptions, DepthwiseConv2DOptions, FullyConnectedOptions, Pool2DOptions};
use super::{Code, mapped, schema, verified};
use crate::import::ImportError;

/// The first subgraph of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quantized<'a> {
    /// Its tensors.
    pub tensors: Vec<Tensor<'a>>,
    /// Its operators, in execution order.
    pub operators: Vec<Operator>,
    /// Places of the tensors that the network gives.
    pub outputs: Vec<usize>,
}

/// A tensor and what its integers stand for: `scale · (integer − zero_point)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor<'a> {
    /// Its name.
    pub name: String,
    /// Extents, outermost first, as the file orders them.
    pub shape: Vec<usize>,
    /// How its elements are stored; `None` for reals and what else no integer is.
    pub stored: Option<Integer>,
    /// Scale: one, or one for each channel; none of a tensor that is not quantized.
    pub scales: Vec<f64>,
    /// Zero point: one, or one for each channel.
    pub zero_points: Vec<i64>,
    /// The stored elements, as bytes; none of a tensor that is computed.
    pub content: &'a [u8],
}

/// How integers are stored, the least significant byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integer {
    /// 8 bits without sign.
    U8,
    /// 8 bits.
    I8,
    /// 16 bits.
    I16,
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
}

impl Integer {
    const fn of(data_type: i8) -> Option<Self> {
        match data_type {
            3 => Some(Self::U8),
            9 => Some(Self::I8),
            7 => Some(Self::I16),
            2 => Some(Self::I32),
            4 => Some(Self::I64),
            _ => None,
        }
    }

    /// Bytes of an element.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 => 4,
            Self::I64 => 8,
        }
    }

    /// Least and greatest value.
    #[must_use]
    pub const fn range(self) -> [i64; 2] {
        match self {
            Self::U8 => [0, 255],
            Self::I8 => [-128, 127],
            Self::I16 => [-32_768, 32_767],
            Self::I32 => [-2_147_483_648, 2_147_483_647],
            Self::I64 => [i64::MIN, i64::MAX],
        }
    }

    /// The value of one element's bytes.
    fn value(self, bytes: &[u8]) -> i64 {
        let negative = self != Self::U8 && bytes.last().is_some_and(|&last| last >= 128);
        let mut all = [if negative { 0xff } else { 0 }; 8];
        for (to, &from) in all.iter_mut().zip(bytes) {
            *to = from;
        }
        i64::from_le_bytes(all)
    }
}

impl Tensor<'_> {
    /// The stored integers; none of a tensor that is computed or holds reals.
    pub fn integers(&self) -> impl Iterator<Item = i64> + '_ {
        let stored = self.stored.unwrap_or(Integer::I8);
        let content = if self.stored.is_some() { self.content } else { &[] };
        content.chunks_exact(stored.bytes()).map(move |bytes| stored.value(bytes))
    }

    /// Extent of the last axis, the channels; 1 of a tensor without axes.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Scale of a channel.
    #[must_use]
    pub fn scale(&self, channel: usize) -> Option<f64> {
        if self.scales.len() == 1 { self.scales.first() } else { self.scales.get(channel) }.copied()
    }

    /// Zero point of a channel; 0 where the file says none.
    #[must_use]
    pub fn zero_point(&self, channel: usize) -> i64 {
        let point = if self.zero_points.len() == 1 { self.zero_points.first() } else { self.zero_points.get(channel) };
        point.copied().unwrap_or(0)
    }
}

/// What an operator does, as far as values of single channels are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Convolution, weights `[c_out, h, w, c_in]`.
    Conv,
    /// Depthwise convolution, weights `[1, h, w, c_out]`.
    Depthwise,
    /// Fully connected layer, weights `[c_out, c_in]`.
    FullyConnected,
    /// Pooling: each channel keeps its range.
    Pool,
    /// Anything else.
    Other,
}

/// Which values the fused activation of an operator lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clamp {
    /// All.
    None,
    /// From 0 on.
    Relu,
    /// From 0 to 6.
    Relu6,
    /// From −1 to 1.
    ReluN1To1,
}

/// An operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// What it does.
    pub kind: Kind,
    /// Its fused activation.
    pub clamp: Clamp,
    /// Places of its operands; `None` for one that is left out.
    pub inputs: Vec<Option<usize>>,
    /// Places of what it gives.
    pub outputs: Vec<usize>,
}

/// Reads the integers of a file and hands them to a function; the file is open as long as that runs.
///
/// # Errors
/// [`ImportError`] for a file that cannot be read, is no TFLite file, or names tensors that it does not have.
pub fn read<R>(path: &Path, body: impl FnOnce(&Quantized<'_>) -> R) -> Result<R, ImportError> {
    let bytes = mapped(path)?;
    Ok(body(&parse(&bytes, &path.display().to_string())?))
}

/// The integers of a file's bytes.
pub(super) fn parse<'a>(bytes: &'a [u8], file: &str) -> Result<Quantized<'a>, ImportError> {
    let error = |at: Option<String>, message: String| ImportError { file: file.to_owned(), at, message };
    let model = verified(bytes, file)?;
    let graph = model.subgraphs().and_then(|graphs| graphs.iter().next());
    let graph = graph.ok_or_else(|| error(None, "the file holds no graph".to_owned()))?;
    let codes: Vec<Code> = model.operator_codes().into_iter().flatten().map(|code| Code::new(&code)).collect();
    let buffers = model.buffers();
    let content = |number: u32| -> &'a [u8] {
        let place = usize::try_from(number).unwrap_or(0);
        let buffer = buffers.filter(|buffers| place > 0 && place < buffers.len()).map(|buffers| buffers.get(place));
        buffer.and_then(|buffer| buffer.data()).map_or(&[], |data| data.bytes())
    };
    let tensors: Vec<Tensor<'a>> = graph
        .tensors()
        .into_iter()
        .flatten()
        .map(|tensor| {
            let said = tensor.quantization();
            Tensor {
                name: tensor.name().unwrap_or_default().to_owned(),
                shape: tensor.shape().into_iter().flatten().map(|e| usize::try_from(e).unwrap_or(1)).collect(),
                stored: Integer::of(tensor.data_type()),
                scales: said.and_then(|said| said.scale()).into_iter().flatten().map(f64::from).collect(),
                zero_points: said.and_then(|said| said.zero_point()).into_iter().flatten().collect(),
                content: content(tensor.buffer()),
            }
        })
        .collect();
    let place = |at: &str, index: i32| {
        usize::try_from(index).ok().filter(|&index| index < tensors.len()).ok_or_else(|| {
            error(Some(at.to_owned()), format!("tensor {index}, but the graph has {} of them", tensors.len()))
        })
    };
    let mut operators = Vec::new();
    for (number, operator) in graph.operators().into_iter().flatten().enumerate() {
        let at = format!("operator {number}");
        let code = usize::try_from(operator.opcode_index()).ok().and_then(|index| codes.get(index));
        let builtin = code.map_or(-1, |code| code.builtin);
        let inputs = operator.inputs().into_iter().flatten();
        let inputs = inputs.map(|index| if index == -1 { Ok(None) } else { place(&at, index).map(Some) });
        let outputs = operator.outputs().into_iter().flatten().map(|index| place(&at, index));
        operators.push(Operator {
            kind: kind(builtin),
            clamp: clamp(builtin, &operator),
            inputs: inputs.collect::<Result<_, _>>()?,
            outputs: outputs.collect::<Result<_, _>>()?,
        });
    }
    let outputs = graph.outputs().into_iter().flatten().map(|index| place("outputs of the graph", index));
    let outputs = outputs.collect::<Result<_, _>>()?;
    Ok(Quantized { outputs, operators, tensors })
}

const fn kind(builtin: i32) -> Kind {
    match builtin {
        3 => Kind::Conv,
        4 => Kind::Depthwise,
        9 => Kind::FullyConnected,
        // AVERAGE_POOL_2D, MAX_POOL_2D.
        1 | 17 => Kind::Pool,
        _ => Kind::Other,
    }
}

/// The fused activation, of operators whose ranges are followed; an unknown one lets all through, as a range that is too wide is sound.
fn clamp(builtin: i32, operator: &schema::Operator<'_>) -> Clamp {
    let activation = match builtin {
        0 => operator.options::<AddOptions<'_>>().map(|options| options.activation()),
        1 | 17 => operator.options::<Pool2DOptions<'_>>().map(|options| options.activation()),
        3 => operator.options::<Conv2DOptions<'_>>().map(|options| options.activation()),
        4 => operator.options::<DepthwiseConv2DOptions<'_>>().map(|options| options.activation()),
        9 => operator.options::<FullyConnectedOptions<'_>>().map(|options| options.activation()),
        _ => None,
    };
    match activation {
        Some(1) => Clamp::Relu,
        Some(2) => Clamp::ReluN1To1,
        Some(3) => Clamp::Relu6,
        _ => Clamp::None,
    }
}
