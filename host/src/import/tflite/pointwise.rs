//! Operators on each element, and reductions: activations, arithmetic, conversions, softmax, means.

use derate_core::op::{
    Activation, ActivationKind, Binary, BinaryKind, Cast, Op, Quantize, Reduce, ReduceKind, RmsNorm, Scalar, Scan,
    Softmax, TopK, Where,
};
use derate_core::tensor::TensorId;

use super::layout::Layout;
use super::schema::{AddOptions, DivOptions, GeluOptions, L2NormOptions, MulOptions, ReducerOptions, SubOptions};
use super::{Call, Reader, Step, Stop, unsupported};

/// The function of one element that an operator is.
const fn activation(builtin: i32, tanh: bool) -> Option<ActivationKind> {
    use ActivationKind as Kind;
    Some(match builtin {
        8 | 104 | 116 => Kind::Round,
        14 => Kind::Sigmoid,
        19 => Kind::Relu,
        20 | 152 => Kind::Clip,
        21 => Kind::Relu6,
        28 => Kind::Tanh,
        47 => Kind::Exp,
        59 => Kind::Neg,
        66 | 108 => Kind::Sin,
        73 => Kind::Log,
        75 => Kind::Sqrt,
        76 => Kind::Rsqrt,
        87 => Kind::Not,
        92 => Kind::Square,
        98 => Kind::LeakyRelu,
        101 => Kind::Abs,
        111 => Kind::Elu,
        117 => Kind::HardSwish,
        150 if tanh => Kind::GeluTanh,
        150 => Kind::Gelu,
        158 => Kind::Sign,
        _ => return None,
    })
}

/// The function of two elements that an operator is.
const fn binary(builtin: i32) -> Option<BinaryKind> {
    use BinaryKind as Kind;
    Some(match builtin {
        0 | 106 => Kind::Add,
        41 | 99 => Kind::Sub,
        18 => Kind::Mul,
        42 | 90 => Kind::Div,
        55 => Kind::Max,
        57 => Kind::Min,
        58 | 61 | 62 | 63 | 71 | 72 => Kind::Compare,
        78 => Kind::Pow,
        84 | 86 | 160 => Kind::Logic,
        95 => Kind::Mod,
        _ => return None,
    })
}

/// The reduction that an operator is.
const fn reduction(builtin: i32) -> Option<ReduceKind> {
    Some(match builtin {
        40 => ReduceKind::Mean,
        56 | 79 => ReduceKind::Index,
        74 => ReduceKind::Sum,
        81 => ReduceKind::Product,
        // Any of some truth values is their maximum, all of them their minimum.
        82 | 91 => ReduceKind::Max,
        89 | 140 => ReduceKind::Min,
        _ => return None,
    })
}

impl<'a> Reader<'a> {
    /// Adds an operator of this file's kind; `false` for another.
    pub(super) fn pointwise(&mut self, call: &Call<'a>) -> Step<bool> {
        let tanh = call.operator.options::<GeluOptions<'_>>().is_some_and(|options| options.approximate());
        if let Some(kind) = activation(call.builtin, tanh) {
            self.unary(call, Op::Activation(Activation { kind, in_place: false }))?;
        } else if let Some(kind) = binary(call.builtin) {
            self.binary(call, kind)?;
        } else if let Some(kind) = reduction(call.builtin) {
            self.reduce(call, kind)?;
        } else {
            return self.other(call);
        }
        Ok(true)
    }

    fn other(&mut self, call: &Call<'a>) -> Step<bool> {
        match call.builtin {
            // DEQUANTIZE of weights is done when the network is loaded.
            6 if self.is_stored(self.operand(call, 0)?) => {
                let (input, output) = (self.operand(call, 0)?, call.outputs.first().copied());
                if let Some(value) = output.and_then(|output| self.values.get_mut(output)) {
                    value.dequantized = Some(input);
                }
                self.builder.bookkeeping();
            }
            6 | 114 => {
                let to = self.output_type(call)?;
                self.unary(call, Op::Quantize(Quantize { to }))?;
            }
            53 => {
                let to = self.output_type(call)?;
                self.unary(call, Op::Cast(Cast { to }))?;
            }
            25 | 50 => self.softmax(call, call.builtin == 50)?,
            11 => self.l2_norm(call)?,
            // SELECT, SELECT_V2.
            64 | 123 => {
                let operands = self.aligned(call, &call.inputs.iter().flatten().copied().collect::<Vec<_>>())?;
                let id = self.builder.op(&call.name, Op::Where(Where), &operands.0)?;
                self.give(call, id, operands.1, 0)?;
            }
            48 => self.top_k(call)?,
            // CUMSUM: values, axis.
            128 => {
                let input = self.operand(call, 0)?;
                let axis = self.known(call, 1, "axes")?.first().copied().unwrap_or(0);
                let (id, layout, axis) = self.with_axis(call, input, axis)?;
                let id = self.builder.op(&call.name, Op::Scan(Scan { axis }), &[id])?;
                self.give(call, id, layout, 0)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn output_type(&self, call: &Call<'_>) -> Step<derate_core::shape::DataType> {
        match call.outputs.first() {
            Some(&output) => self.declared_type(output),
            None => unsupported("it gives no tensor"),
        }
    }

    fn unary(&mut self, call: &Call<'a>, op: Op) -> Step {
        let (id, layout) = self.any(self.operand(call, 0)?)?;
        let id = self.builder.op(&call.name, op, &[id])?;
        self.give(call, id, layout, 0)
    }

    /// A tensor as it is at hand, and the place of one of its axes there.
    fn with_axis(&mut self, call: &Call<'_>, index: usize, axis: i64) -> Step<(TensorId, Layout, u8)> {
        let (id, layout) = self.any(index)?;
        let rank = usize::from(self.builder.shape(id).rank());
        let axis = layout.axis(rank, self.axis(call, axis, rank)?);
        Ok((id, layout, u8::try_from(axis).unwrap_or(u8::MAX)))
    }

    fn softmax(&mut self, call: &Call<'a>, log: bool) -> Step {
        let (id, layout, axis) = self.with_axis(call, self.operand(call, 0)?, -1)?;
        let id = self.builder.op(&call.name, Op::Softmax(Softmax { axis, log }), &[id])?;
        self.give(call, id, layout, 0)
    }

    /// Division by the root of the sum of squares of the last axis: the work of a root-mean-square normalisation.
    fn l2_norm(&mut self, call: &Call<'a>) -> Step {
        let input = self.operand(call, 0)?;
        let activation = call.operator.options::<L2NormOptions<'_>>().map_or(0, |options| options.activation());
        let id = self.tensor_in(input, Layout::Stored)?;
        let id = self.builder.op(&call.name, Op::RmsNorm(RmsNorm { weight: false }), &[id])?;
        self.give(call, id, Layout::Stored, activation)
    }

    /// Two outputs: values and indices.
    fn top_k(&mut self, call: &Call<'a>) -> Step {
        let input = self.operand(call, 0)?;
        let k = self.known(call, 1, "count")?.first().copied().unwrap_or(0);
        let k = self.extent(call, k)?;
        let (id, layout, axis) = self.with_axis(call, input, -1)?;
        let id = self.builder.op(&call.name, Op::TopK(TopK { axis, k }), &[id])?;
        if let Some(&indices) = call.outputs.get(1) {
            self.set(indices, id.offset(1), layout)?;
        }
        self.give(call, id, layout, 0)
    }

    fn fused_in_arithmetic(call: &Call<'_>) -> i8 {
        let operator = &call.operator;
        let add = operator.options::<AddOptions<'_>>().map(|options| options.activation());
        let sub = || operator.options::<SubOptions<'_>>().map(|options| options.activation());
        let mul = || operator.options::<MulOptions<'_>>().map(|options| options.activation());
        let div = || operator.options::<DivOptions<'_>>().map(|options| options.activation());
        add.or_else(sub).or_else(mul).or_else(div).unwrap_or(0)
    }

    /// Operands in one order of axes, so that they broadcast as in the file; that of the first activation where all allow it.
    fn aligned(&mut self, call: &Call<'_>, indices: &[usize]) -> Step<(Vec<TensorId>, Layout)> {
        if indices.is_empty() {
            return Err(Stop::Error(self.builder.error(&call.name, format!("{} without operands", call.op))));
        }
        let mut rank = 0;
        let mut ranks = Vec::new();
        for &index in indices {
            let extents = self.extents(index)?;
            rank = rank.max(extents.len());
            ranks.push(extents.len());
        }
        let first = indices.iter().find_map(|&index| self.computed(index)).map_or(Layout::Stored, |(_, layout)| layout);
        // A stored tensor is padded to the rank of the others; a computed one of fewer axes fits only in the file's order.
        let fits = indices.iter().zip(&ranks).all(|(&index, &own)| own == rank || self.computed(index).is_none());
        let layout = if fits { first.of_rank(rank) } else { Layout::Stored };
        let padded = if layout == Layout::Stored { 0 } else { rank };
        let ids = indices.iter().map(|&index| self.ranked(index, layout, padded)).collect::<Step<Vec<_>>>()?;
        Ok((ids, layout))
    }

    fn binary(&mut self, call: &Call<'a>, kind: BinaryKind) -> Step {
        let activation = Self::fused_in_arithmetic(call);
        let operands: Vec<usize> = call.inputs.iter().flatten().copied().collect();
        let (a, b, more) = match operands.as_slice() {
            [a, b, more @ ..] if call.builtin == 106 || more.is_empty() => (*a, *b, more),
            _ => {
                let message = format!("{} of {} operands; it takes 2", call.op, operands.len());
                return Err(Stop::Error(self.builder.error(&call.name, message)));
            }
        };
        if let Some((id, layout)) = self.with_number(call, kind, a, b)? {
            return self.finish_binary(call, id, layout, activation);
        }
        let (ids, layout) = self.aligned(call, &[a, b])?;
        let op = Op::Binary(Binary { kind, in_place: false });
        let mut id = self.builder.op(&call.name, op, &ids)?;
        for (position, &index) in more.iter().enumerate() {
            let next = self.ranked(index, layout, 0)?;
            let op = Op::Binary(Binary { kind, in_place: true });
            id = self.builder.op(&format!("{}:{}", call.name, position + 2), op, &[id, next])?;
        }
        self.finish_binary(call, id, layout, activation)
    }

    fn finish_binary(&mut self, call: &Call<'a>, id: TensorId, layout: Layout, activation: i8) -> Step {
        if call.builtin != 99 {
            return self.give(call, id, layout, activation);
        }
        // SQUARED_DIFFERENCE.
        let op = Op::Activation(Activation { kind: ActivationKind::Square, in_place: true });
        let id = self.builder.op(&format!("{}:square", call.name), op, &[id])?;
        self.give(call, id, layout, 0)
    }

    /// Arithmetic with one stored number.
    fn with_number(
        &mut self,
        call: &Call<'a>,
        kind: BinaryKind,
        a: usize,
        b: usize,
    ) -> Step<Option<(TensorId, Layout)>> {
        for (tensor, number) in [(a, b), (b, a)] {
            if self.computed(tensor).is_none() || self.computed(number).is_some() || !self.is_stored(number) {
                continue;
            }
            let extents = self.extents(number)?;
            if extents.iter().all(|&extent| extent == 1) && extents.len() <= self.extents(tensor)?.len() {
                let (id, layout) = self.any(tensor)?;
                let id = self.builder.op(&call.name, Op::Scalar(Scalar { kind, in_place: false }), &[id])?;
                return Ok(Some((id, layout)));
            }
        }
        Ok(None)
    }

    /// Operands: values, axes. Reduced axes stay where the options say so; of an index they go.
    fn reduce(&mut self, call: &Call<'a>, kind: ReduceKind) -> Step {
        let input = self.operand(call, 0)?;
        let rank = self.extents(input)?.len();
        let keep_dims = call.operator.options::<ReducerOptions<'_>>().is_some_and(|options| options.keep_dims());
        let mut axes = Vec::new();
        for axis in self.known(call, 1, "axes")? {
            axes.push(self.axis(call, axis, rank)?);
        }
        let (_, at_hand) = self.any(input)?;
        // Without the reduced axes the others must follow each other as in the file.
        let left: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).collect();
        let places: Vec<usize> = left.iter().map(|&axis| at_hand.axis(rank, axis)).collect();
        let layout = if keep_dims || places.is_sorted() { at_hand } else { Layout::Stored };
        let bits = axes.iter().fold(0_u8, |bits, &axis| {
            let place = u32::try_from(layout.axis(rank, axis)).unwrap_or(u32::MAX);
            bits | 1_u8.checked_shl(place).unwrap_or(0)
        });
        let id = self.tensor_in(input, layout)?;
        let id = self.builder.op(&call.name, Op::Reduce(Reduce { kind, axes: bits, keep_dims }), &[id])?;
        self.give(call, id, if keep_dims { layout } else { Layout::Stored }, 0)
    }
}
