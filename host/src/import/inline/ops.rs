//! Graphs of a few ops from a short description, `op:relu:1x64x56x56`, `op:conv2d,64,k3,p1/batch_norm/relu:1x3x224x224`; and the
//! description of such a graph.
//!
//! ```text
//! op:STEP[/STEP…]:SHAPE[+SHAPE…]          steps in their order, then the shapes of the inputs
//! STEP = NAME[,ATTRIBUTE…][,@TENSOR…]     the op's name in graph files
//! @N                                      the operands, in their order: inputs are numbered from 0, results of the steps after them.
//!                                         Without any, the first step reads all inputs, each other the result of the one before
//! ```
//! Attributes: a number is what a layer gives (channels, features), extents are a shape (or an order of axes), a letter and a number
//! are a window (`k`, `s`, `p`, `d`), groups (`g`) or an axis (`a`), and words are flags.

use derate_core::graph::{GraphView, Node, Tables};
use derate_core::op::{
    Activation, ActivationKind, AdaptivePool, Affine, Attention, BatchNorm, Binary, BinaryKind, Concat, Conv,
    GroupNorm, LayerNorm, Linear, MatMul, Move, MoveKind, Op, Pool, PoolKind, Reduce, ReduceKind, RmsNorm, Scalar,
    Softmax, Transpose, View, Window, Windows,
};
use derate_core::shape::{DataType, Shape};
use derate_core::tensor::{TensorId, TensorKind};

use super::super::build::Builder;
use super::super::{Import, ImportError, Options};
use super::{Description, pair};
use crate::graph_buf::GraphBuf;

/// Most steps, and most inputs.
const MOST: usize = 1_000;

/// Reads a description.
pub(super) fn read(d: &Description<'_>) -> Result<Import, ImportError> {
    let (steps, shapes) = d.body.rsplit_once(':').ok_or_else(|| d.wrong(d.body, "no shape after a second colon"))?;
    let mut builder = Builder::new(d.source, d.source);
    let mut tensors = Vec::new();
    let inputs = shapes.split('+').count();
    if inputs > MOST {
        return Err(d.wrong(shapes, &format!("{inputs} inputs; at most {MOST} are possible")));
    }
    for (index, piece) in shapes.split('+').enumerate() {
        let extents = piece.split('x').map(|part| d.count(part, "extent")).collect::<Result<Vec<u32>, _>>()?;
        let name = if inputs == 1 { "input".to_owned() } else { format!("input_{index}") };
        tensors.push(builder.source(&name, &extents, d.options.data_type, TensorKind::Input)?);
    }
    let count = steps.split('/').count();
    if count > MOST {
        return Err(d.wrong("", &format!("{count} steps; at most {MOST} are possible")));
    }
    for (index, text) in steps.split('/').enumerate() {
        let mut step = Step::read(d, text)?;
        let named = step.operands.iter().map(|&at| tensors.get(at).copied());
        let operands = match named.collect::<Option<Vec<TensorId>>>() {
            None => return Err(d.wrong(text, &format!("no such tensor; there are {} before it", tensors.len()))),
            Some(named) if !named.is_empty() => named,
            Some(_) if index == 0 => tensors.clone(),
            Some(_) => tensors.last().copied().into_iter().collect(),
        };
        let first = operands.first().map(|&id| builder.shape(id)).unwrap_or_default();
        let op = step.op(&first, operands.len())?;
        step.finish()?;
        let name = if count == 1 { op.name().to_owned() } else { format!("{}_{index}", op.name()) };
        tensors.push(builder.op(&name, op, &operands)?);
    }
    builder.finish()
}

/// A step that is being read: what its op has taken is gone.
struct Step<'d> {
    d: &'d Description<'d>,
    text: &'d str,
    name: &'d str,
    /// Attributes, each once.
    pieces: Vec<&'d str>,
    operands: Vec<usize>,
}

impl<'d> Step<'d> {
    fn read(d: &'d Description<'d>, text: &'d str) -> Result<Self, ImportError> {
        let mut pieces = text.split(',');
        let name = pieces.next().unwrap_or_default();
        let mut step = Self { d, text, name, pieces: Vec::new(), operands: Vec::new() };
        for piece in pieces {
            match piece.strip_prefix('@') {
                Some(number) => {
                    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
                    let number = number.parse().ok().filter(|_| digits);
                    step.operands
                        .push(number.ok_or_else(|| d.wrong(piece, "@ and the number of a tensor are needed"))?);
                }
                None if step.pieces.contains(&piece) => return Err(d.wrong(text, &format!("\"{piece}\" twice"))),
                None => step.pieces.push(piece),
            }
        }
        Ok(step)
    }

    /// Whatever no attribute took is unknown.
    fn finish(self) -> Result<(), ImportError> {
        match self.pieces.first() {
            None => Ok(()),
            Some(piece) => Err(self.d.wrong(piece, &format!("unknown, or given twice, in {}", self.name))),
        }
    }

    fn take(&mut self, wanted: impl Fn(&str) -> bool) -> Option<&'d str> {
        let at = self.pieces.iter().position(|piece| wanted(piece))?;
        Some(self.pieces.remove(at))
    }

    fn flag(&mut self, word: &str) -> bool {
        self.take(|piece| piece == word).is_some()
    }

    /// A letter and what follows it, which begins with a digit.
    fn letter(&mut self, letter: char) -> Option<(&'d str, &'d str)> {
        let follows = |piece: &str| piece.strip_prefix(letter).is_some_and(starts_with_digit);
        let piece = self.take(follows)?;
        Some((piece, piece.strip_prefix(letter).unwrap_or_default()))
    }

    fn pair(&mut self, letter: char, otherwise: Option<u16>) -> Result<[u16; 2], ImportError> {
        match (self.letter(letter), otherwise) {
            (Some((piece, value)), _) => pair(self.d, piece, value),
            (None, Some(value)) => Ok([value; 2]),
            (None, None) => Err(self.d.wrong(self.text, &format!("no {letter}, such as {letter}3"))),
        }
    }

    fn extents(&mut self) -> Result<Option<Vec<u32>>, ImportError> {
        let Some(piece) = self.take(starts_with_digit) else { return Ok(None) };
        let number = |part: &str| part.parse().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()));
        let extents: Option<Vec<u32>> = piece.split('x').map(number).collect();
        extents.map(Some).ok_or_else(|| self.d.wrong(piece, "numbers with x between them are needed"))
    }

    fn shape(&mut self, otherwise: Option<Shape>) -> Result<Shape, ImportError> {
        match (self.extents()?, otherwise) {
            (Some(extents), _) => Shape::new(&extents).map_err(|error| self.d.wrong(self.text, &error.to_string())),
            (None, Some(shape)) => Ok(shape),
            (None, None) => Err(self.d.wrong(self.text, "no shape, such as 1x1")),
        }
    }

    fn number(&mut self, what: &str) -> Result<u32, ImportError> {
        let piece = self.take(starts_with_digit).unwrap_or_default();
        self.d.count(piece, what)
    }

    fn groups(&mut self) -> Result<u32, ImportError> {
        self.letter('g').map_or(Ok(1), |(_, value)| self.d.count(value, "number of groups"))
    }

    fn axis(&mut self) -> Result<Option<u8>, ImportError> {
        let Some((piece, value)) = self.letter('a') else { return Ok(None) };
        value.parse().map(Some).map_err(|_| self.d.wrong(piece, "a and the number of an axis are needed"))
    }

    fn windows(&mut self, stride: Option<u16>) -> Result<Windows, ImportError> {
        let (kernel, stride) = (self.pair('k', None)?, self.pair('s', stride)?);
        let (padding, dilation) = (self.pair('p', Some(0))?, self.pair('d', Some(1))?);
        if [kernel, stride, dilation].concat().contains(&0) {
            return Err(self.d.wrong(self.text, "kernel, stride and dilation are 1 or more"));
        }
        let window = |axis: usize| Window {
            kernel: kernel[axis],
            stride: stride[axis],
            padding: [padding[axis]; 2],
            dilation: dilation[axis],
        };
        Windows::new(&[window(0), window(1)]).map_err(|error| self.d.wrong(self.text, &error.to_string()))
    }

    /// The op of this name on so many operands, the first of this shape.
    fn op(&mut self, first: &Shape, operands: usize) -> Result<Op, ImportError> {
        let name = self.name;
        let channels = first.extent(1).unwrap_or(1);
        let last = first.rank().saturating_sub(1);
        if let Some(kind) = ActivationKind::ALL.into_iter().find(|kind| kind.name() == name) {
            return Ok(Op::Activation(Activation { kind, in_place: self.flag("i") }));
        }
        if let Some(kind) = BinaryKind::ALL.into_iter().find(|kind| kind.name() == name) {
            let in_place = self.flag("i");
            let one = operands == 1;
            return Ok(if one { Op::Scalar(Scalar { kind, in_place }) } else { Op::Binary(Binary { kind, in_place }) });
        }
        if let Some(kind) = ReduceKind::ALL.into_iter().find(|kind| kind.name() == name) {
            let mut axes = 0_u8;
            while let Some(axis) = self.axis()? {
                axes |= 1_u8.checked_shl(axis.into()).unwrap_or(0);
            }
            return Ok(Op::Reduce(Reduce { kind, axes, keep_dims: self.flag("keep") }));
        }
        if let Some(kind) = MoveKind::ALL.into_iter().find(|kind| kind.name() == name) {
            let shape = self.shape((kind == MoveKind::Copy).then_some(*first))?;
            return Ok(Op::Move(Move { kind, shape }));
        }
        Ok(match name {
            "conv2d" => Op::Conv(Conv {
                c_in: channels,
                c_out: self.number("number of channels")?,
                groups: self.groups()?,
                windows: self.windows(Some(1))?,
                bias: self.flag("b"),
                weights: None,
            }),
            "linear" => Op::Linear(Linear {
                in_features: first.extent(usize::from(last)).unwrap_or(1),
                out_features: self.number("number of features")?,
                bias: self.flag("b"),
                weights: None,
            }),
            "mat_mul" => Op::MatMul(MatMul { transpose_a: self.flag("ta"), transpose_b: self.flag("tb") }),
            "attention" => Op::Attention(Attention { causal: self.flag("causal") }),
            "batch_norm" => Op::BatchNorm(BatchNorm { features: channels }),
            "layer_norm" => Op::LayerNorm(LayerNorm { axes: 1, affine: Affine::BOTH }),
            "rms_norm" => Op::RmsNorm(RmsNorm { weight: true }),
            "group_norm" => Op::GroupNorm(GroupNorm { groups: self.groups()?, affine: Affine::BOTH }),
            "softmax" | "log_softmax" => {
                Op::Softmax(Softmax { axis: self.axis()?.unwrap_or(last), log: name == "log_softmax" })
            }
            "max_pool2d" => self.pool(PoolKind::Max)?,
            "avg_pool2d" => self.pool(PoolKind::Average)?,
            "adaptive_max_pool2d" => Op::AdaptivePool(AdaptivePool { kind: PoolKind::Max, output: self.shape(None)? }),
            "adaptive_avg_pool2d" => {
                Op::AdaptivePool(AdaptivePool { kind: PoolKind::Average, output: self.shape(None)? })
            }
            "concat" => {
                let axis = self.axis()?;
                Op::Concat(Concat { axis: axis.ok_or_else(|| self.d.wrong(self.text, "no axis, such as a1"))? })
            }
            "view" => Op::View(View { shape: self.shape(None)? }),
            "transpose" => {
                let order = self.extents()?.ok_or_else(|| self.d.wrong(self.text, "no order, such as 0x2x1"))?;
                let order = order.into_iter().map(u8::try_from).collect::<Result<Vec<u8>, _>>().unwrap_or_default();
                let op = Transpose::new(&order).map_err(|error| self.d.wrong(self.text, &error.to_string()))?;
                Op::Transpose(op)
            }
            _ => return Err(self.d.wrong(name, "no op that a description can hold")),
        })
    }

    fn pool(&mut self, kind: PoolKind) -> Result<Op, ImportError> {
        // Frameworks disagree on what a pooling without a stride means: it must be said.
        Ok(Op::Pool(Pool { kind, windows: self.windows(None)?, ceil_mode: self.flag("ceil") }))
    }
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

/// The description of a graph, which reads back into the same ops and tensors; `None` for a graph that the grammar does not hold.
#[must_use]
pub fn describe(graph: &GraphBuf) -> Option<String> {
    let view = graph.view();
    let data_type = view.tensors().first()?.data_type;
    let inputs = view.tensors().iter().take_while(|tensor| tensor.kind == TensorKind::Input).count();
    let shape = |extents: &[u32]| extents.iter().map(u32::to_string).collect::<Vec<_>>().join("x");
    let mut steps = Vec::new();
    for (index, node) in view.nodes().iter().enumerate() {
        let ids: Vec<usize> = view.operands(node).ids().iter().map(|id| id.index()).collect();
        let usual = if index == 0 { (0..inputs).collect() } else { vec![(inputs + index).checked_sub(1)?] };
        let mut pieces = vec![node.op.name().to_owned()];
        pieces.extend(attributes(node, &view)?);
        if ids != usual {
            pieces.extend(ids.iter().map(|id| format!("@{id}")));
        }
        steps.push(pieces.join(","));
    }
    let shapes: Vec<String> = view.tensors().iter().take(inputs).map(|tensor| shape(tensor.shape.extents())).collect();
    let text = format!("op:{}:{}", steps.join("/"), shapes.join("+"));
    // What the grammar cannot say, such as another affine part, would be lost: only what reads back as it was is given.
    same(&view, &graph_of(&text, data_type).ok()?.view()).then_some(text)
}

/// The graph of a description, its tensors of this data type.
///
/// # Errors
/// [`ImportError`] for what is no description, or a wrong one.
pub fn graph_of(text: &str, data_type: DataType) -> Result<GraphBuf, ImportError> {
    let options = Options { data_type, ..Options::default() };
    match super::read(text, &options) {
        Some(import) => Ok(import?.graph),
        None => Err(ImportError { file: text.to_owned(), at: None, message: format!("one of {}", super::FORMS) }),
    }
}

/// Whether two graphs have the same ops on the same tensors, whatever their names.
fn same(one: &GraphView<'_>, other: &GraphView<'_>) -> bool {
    let operands = |view: &GraphView<'_>| -> Vec<TensorId> {
        view.nodes().iter().flat_map(|node| view.operands(node).ids().to_vec()).collect()
    };
    one.nodes() == other.nodes() && one.tensors() == other.tensors() && operands(one) == operands(other)
}

/// Attributes of an op as a description writes them; `None` for an op that it does not hold.
fn attributes(node: &Node, view: &GraphView<'_>) -> Option<Vec<String>> {
    let shape = |extents: &[u32]| extents.iter().map(u32::to_string).collect::<Vec<_>>().join("x");
    let first = view.operands(node).at(0).ok()?.shape;
    let flag = |set: bool, word: &str| set.then(|| word.to_owned());
    Some(match node.op {
        Op::Conv(op) => {
            let mut all = vec![op.c_out.to_string()];
            all.extend(windows(&op.windows, 1)?);
            all.extend((op.groups != 1).then(|| format!("g{}", op.groups)));
            all.extend(flag(op.bias, "b"));
            all
        }
        Op::Linear(op) => [Some(op.out_features.to_string()), flag(op.bias, "b")].into_iter().flatten().collect(),
        Op::MatMul(op) => [flag(op.transpose_a, "ta"), flag(op.transpose_b, "tb")].into_iter().flatten().collect(),
        Op::Attention(op) => flag(op.causal, "causal").into_iter().collect(),
        Op::GroupNorm(op) => vec![format!("g{}", op.groups)],
        Op::BatchNorm(_) | Op::LayerNorm(_) | Op::RmsNorm(_) => Vec::new(),
        Op::Activation(op) => flag(op.in_place, "i").into_iter().collect(),
        Op::Binary(op) => flag(op.in_place, "i").into_iter().collect(),
        Op::Scalar(op) => flag(op.in_place, "i").into_iter().collect(),
        Op::Softmax(op) if op.axis + 1 == first.rank() => Vec::new(),
        Op::Softmax(op) => vec![format!("a{}", op.axis)],
        Op::Pool(op) => {
            let mut all = windows(&op.windows, 0)?;
            all.extend(flag(op.ceil_mode, "ceil"));
            all
        }
        Op::AdaptivePool(op) => vec![shape(op.output.extents())],
        Op::Reduce(op) => {
            let axes = (0..8_u8).filter(|&axis| op.axes & (1 << axis) != 0).map(|axis| format!("a{axis}"));
            axes.chain(flag(op.keep_dims, "keep")).collect()
        }
        Op::Concat(op) => vec![format!("a{}", op.axis)],
        Op::View(op) => vec![shape(op.shape.extents())],
        Op::Transpose(op) => {
            let order: Vec<u32> = op.order.iter().take(usize::from(first.rank())).map(|&axis| axis.into()).collect();
            vec![shape(&order)]
        }
        Op::Move(op) if op.kind == MoveKind::Copy && op.shape == first => Vec::new(),
        Op::Move(op) => vec![shape(op.shape.extents())],
        _ => return None,
    })
}

/// Windows of two axes, padded alike on both sides; a stride is left out where it is `usual`.
fn windows(windows: &Windows, usual: u16) -> Option<Vec<String>> {
    let &[h, w] = windows.axes() else { return None };
    let piece = |letter: char, [h, w]: [u16; 2], usual: u16| match (h == w, h == usual) {
        (true, true) => None,
        (true, false) => Some(format!("{letter}{h}")),
        (false, _) => Some(format!("{letter}{h}x{w}")),
    };
    let all = [
        piece('k', [h.kernel, w.kernel], 0),
        piece('s', [h.stride, w.stride], usual),
        piece('p', [h.padding[0], w.padding[0]], 0),
        piece('d', [h.dilation, w.dilation], 1),
    ];
    Some(all.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(text: &str) -> GraphBuf {
        graph_of(text, DataType::Fp32).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Descriptions as [`describe`] writes them, with MACs and the shape of the result by hand.
    const EXAMPLES: [(&str, u64, &[u32]); 27] = [
        ("op:relu:1x64x56x56", 0, &[1, 64, 56, 56]),
        ("op:gelu,i:7x9", 0, &[7, 9]),
        // 28 · 28 outputs of 64 channels, 3 · 3 taps of 32 / 2 channels.
        ("op:conv2d,64,k3,s2,p1,g2,b:1x32x56x56", 28 * 28 * 64 * 9 * 16, &[1, 64, 28, 28]),
        // 10 − 1 by 12 + 4 − 6 outputs of one channel, 2 · 4 taps.
        ("op:conv2d,1,k2x4,p0x2,d1x2:1x1x10x12", 9 * 10 * 8, &[1, 1, 9, 10]),
        ("op:linear,1000,b:4x512", 4 * 512 * 1000, &[4, 1000]),
        ("op:linear,96:2x7x32", 2 * 7 * 32 * 96, &[2, 7, 96]),
        ("op:mat_mul,tb:8x16x64+8x24x64", 8 * 16 * 24 * 64, &[8, 16, 24]),
        // Two products of 10 · 10 · 8 in each of 3 heads.
        ("op:attention:1x3x10x8+1x3x10x8+1x3x10x8", 2 * 3 * 10 * 10 * 8, &[1, 3, 10, 8]),
        ("op:attention,causal:1x1x4x8+1x1x4x8+1x1x4x8", 2 * 4 * 4 * 8, &[1, 1, 4, 8]),
        ("op:add:2x3+2x3", 0, &[2, 3]),
        ("op:mul:1x8x4x4+1x8x1x1", 0, &[1, 8, 4, 4]),
        ("op:add:2x3", 0, &[2, 3]),
        ("op:batch_norm:1x8x4x4", 0, &[1, 8, 4, 4]),
        ("op:layer_norm:2x197x768", 0, &[2, 197, 768]),
        ("op:rms_norm:2x8", 0, &[2, 8]),
        ("op:group_norm,g4:1x8x2x2", 0, &[1, 8, 2, 2]),
        ("op:softmax:1x12x10x10", 0, &[1, 12, 10, 10]),
        ("op:log_softmax,a1:2x10x4", 0, &[2, 10, 4]),
        ("op:max_pool2d,k3,s2,p1:1x64x112x112", 0, &[1, 64, 56, 56]),
        // A last, partial window: (7 − 2) / 2 rounded up, and one.
        ("op:avg_pool2d,k2,s2,ceil:1x4x7x7", 0, &[1, 4, 4, 4]),
        ("op:adaptive_avg_pool2d,1x1:1x512x7x7", 0, &[1, 512, 1, 1]),
        ("op:reduce_mean,a2,a3:1x8x7x7", 0, &[1, 8]),
        ("op:reduce_sum,a1,keep:4x8", 0, &[4, 1]),
        ("op:concat,a1:1x8x4x4+1x24x4x4", 0, &[1, 32, 4, 4]),
        ("op:copy:3x5", 0, &[3, 5]),
        ("op:transpose,0x2x1x3/copy:1x197x12x64", 0, &[1, 12, 197, 64]),
        // An input read twice, and a result that is not the one before.
        ("op:conv2d,8,k1/relu,i/conv2d,8,k3,p1/add,@3,@0/view,1x32:1x8x2x2", 4 * 8 * 8 + 4 * 8 * 72, &[1, 32]),
    ];

    #[test]
    fn descriptions_are_read_and_written_back_as_they_were() {
        for (text, macs, output) in EXAMPLES {
            let graph = graph(text);
            let view = graph.view();
            assert_eq!(view.total_work().expect("small").macs.0, macs, "{text}");
            let last = view.nodes().last().expect("an op");
            assert_eq!(view.output(last).expect("one").shape.extents(), output, "{text}");
            assert_eq!(describe(&graph).as_deref(), Some(text));
        }
    }

    #[test]
    fn other_spellings_have_the_same_description() {
        for (text, canonical) in [
            ("op:conv2d,k3,p1,8,s1,g1:1x8x9x9", "op:conv2d,8,k3,p1:1x8x9x9"),
            ("op:softmax,a1:2x4", "op:softmax:2x4"),
            ("op:add,@0,@1:2x4+2x4", "op:add:2x4+2x4"),
            ("op:copy,2x4:2x4", "op:copy:2x4"),
            ("conv2d:1x8x9x9,8,k3", "op:conv2d,8,k3:1x8x9x9"),
            ("gemm:2x3x4", "op:mat_mul:2x4+4x3"),
        ] {
            assert_eq!(describe(&graph(text)).as_deref(), Some(canonical), "{text}");
        }
        // A class token is a stored tensor, which no step holds.
        assert_eq!(describe(&graph("zoo:vit_b_16")), None);
    }

    #[test]
    fn what_is_wrong_is_named_with_the_form() {
        for (text, said) in [
            ("op:relu", "no shape after a second colon; the form is op:"),
            ("op:relu:1x0", "\"0\": no extent"),
            ("op:relo:1x2", "\"relo\": no op that a description can hold"),
            ("op:relu,k3:1x2", "\"k3\": unknown, or given twice, in relu"),
            ("op:relu,i,i:1x2", "\"i\" twice"),
            ("op:conv2d,8:1x8x4x4", "no k, such as k3"),
            ("op:conv2d,k3:1x8x4x4", "no number of channels"),
            ("op:conv2d,8,k0:1x8x4x4", "kernel, stride and dilation are 1 or more"),
            ("op:max_pool2d,k3:1x8x4x4", "no s, such as s3"),
            ("op:concat:1x2+1x2", "no axis, such as a1"),
            ("op:relu/add,@0,@2:1x2", "no such tensor; there are 2 before it"),
            ("op:add,@x:1x2", "@ and the number of a tensor"),
            ("op:add:1x2+1x3", "add"),
            ("op:transpose,0x300:1x2", "transpose"),
            ("op:view,1x9:1x2", "view"),
            ("op:conv2d,8,k9:1x8x4x4", "conv2d"),
        ] {
            let error = graph_of(text, DataType::Fp32).expect_err(text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert!(graph_of("relu", DataType::Fp32).expect_err("no prefix").to_string().contains("one of gemm:"));
    }
}
