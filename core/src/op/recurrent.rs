//! Recurrent layers: LSTM, GRU and plain cells, over a whole sequence.

use super::{Describe, positive, streaming};
use crate::error::{Attribute, Error};
use crate::shape::{Shape, product};
use crate::tensor::{Operands, Tensor};
use crate::units::{Flops, Macs};
use crate::work::{Class, Gemm, Work};

/// Which cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Cell {
    /// Long short-term memory: four gates.
    Lstm,
    /// Gated recurrent unit: three gates.
    Gru,
    /// One gate, tanh or ReLU.
    Plain,
}

impl Cell {
    /// Every kind of cell.
    pub const ALL: [Self; 3] = [Self::Lstm, Self::Gru, Self::Plain];

    /// Gates, each a matrix for the input and one for the state.
    #[must_use]
    pub const fn gates(self) -> u64 {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
            Self::Plain => 1,
        }
    }

    /// FLOPs of one hidden value beside MACs and biases. LSTM: 4 sums of the gates' two products, 3 sigmoids of 4, 2 tanh, and
    /// c = f·c + i·g, h = o·tanh(c) with 4: 22. GRU: 3 sums, 2 sigmoids of 4, 1 tanh, r·(…) and h = (1 − z)·n + z·h with 5: 17.
    /// Plain: 1 sum, 1 tanh: 2.
    #[must_use]
    pub const fn flops(self) -> u64 {
        match self {
            Self::Lstm => 22,
            Self::Gru => 17,
            Self::Plain => 2,
        }
    }

    /// Lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lstm => "lstm",
            Self::Gru => "gru",
            Self::Plain => "rnn",
        }
    }
}

/// A stack of recurrent layers on a sequence `[steps, n, input]` (or `[n, steps, input]`), giving `[…, directions · hidden]` and the
/// last state `[layers · directions, n, hidden]` (an LSTM: and the last cell state). Further operands are first states of the same shape.
///
/// ```text
/// macs   = steps · n · Σ over layers, directions of gates · hidden · (input_of_layer + hidden)
/// flops  = 2 · macs + steps · n · Σ (flops of a hidden value · hidden + (bias: 2 · gates · hidden))
/// params = Σ gates · hidden · (input_of_layer + hidden + (bias: 2))          input_of_layer = directions · hidden after the first
/// ```
/// **Source**: `torch.nn.LSTM`, `GRU`, `RNN`; two biases a gate, as there and in ONNX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Recurrent {
    /// Which cell.
    pub cell: Cell,
    /// Features of a step of the operand.
    pub input: u32,
    /// Features of the state.
    pub hidden: u32,
    /// Layers, at least 1.
    pub layers: u16,
    /// Whether a second pass runs from the end.
    pub bidirectional: bool,
    /// Whether each gate has its biases.
    pub bias: bool,
    /// Whether the batch is axis 0 and the steps axis 1; the other way round else.
    pub batch_first: bool,
}

/// MACs of one step of one row, FLOPs beside them, parameters.
struct Step {
    macs: u64,
    flops: u64,
    params: u64,
}

impl Recurrent {
    fn directions(&self) -> u32 {
        if self.bidirectional { 2 } else { 1 }
    }

    /// A state of all layers: what is given as the first, and given back as the last.
    fn state(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        let n = input.shape.extent(usize::from(!self.batch_first));
        let n = n.ok_or(Error::ShapeMismatch { operand: 0, axis: input.shape.rank() })?;
        let states = u32::from(self.layers).checked_mul(self.directions()).ok_or(Error::CountOverflow)?;
        Ok(Tensor::activation(Shape::new(&[states, n, self.hidden])?, input.data_type))
    }

    fn step(&self) -> Result<Step, Error> {
        let (gates, hidden) = (self.cell.gates(), u64::from(self.hidden));
        let directions = u64::from(self.directions());
        let layers = u64::from(self.layers);
        let sum = |a: u64, b: u64| a.checked_add(b).ok_or(Error::CountOverflow);
        let later = product([layers.saturating_sub(1), product([directions, hidden])?])?;
        let inputs = sum(u64::from(self.input), later)?;
        let state = product([layers, hidden])?;
        let macs = product([directions, gates, hidden, sum(inputs, state)?])?;
        let biases = if self.bias { product([2, layers, directions, gates, hidden])? } else { 0 };
        let cells = product([layers, directions, hidden, self.cell.flops()])?;
        Ok(Step { macs, flops: sum(cells, biases)?, params: sum(macs, biases)? })
    }
}

impl Describe for Recurrent {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        positive(self.input, Attribute::Channels)?;
        positive(self.hidden, Attribute::Channels)?;
        positive(u32::from(self.layers), Attribute::Groups)?;
        let input = operands.at(0)?;
        let &[a, b, features] = input.shape.extents() else {
            return Err(Error::ShapeMismatch { operand: 0, axis: input.shape.rank() });
        };
        if features != self.input {
            return Err(Error::ShapeMismatch { operand: 0, axis: 2 });
        }
        let state = self.state(operands)?;
        for first in operands.iter().skip(1) {
            let (position, first) = first?;
            if first.data_type != input.data_type {
                return Err(Error::DataTypeMismatch { operand: position });
            }
            if first.shape.rank() != state.shape.rank() {
                return Err(Error::ShapeMismatch { operand: position, axis: first.shape.rank() });
            }
            for (axis, (x, y)) in (0..u8::MAX).zip(first.shape.extents().iter().zip(state.shape.extents())) {
                if x != y {
                    return Err(Error::ShapeMismatch { operand: position, axis });
                }
            }
        }
        let out = self.hidden.checked_mul(self.directions()).ok_or(Error::CountOverflow)?;
        Ok(Tensor::activation(Shape::new(&[a, b, out])?, input.data_type))
    }

    fn further_output(&self, operands: Operands<'_>, _position: u16) -> Result<Tensor, Error> {
        self.state(operands)
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let step = self.step()?;
        let &[a, b, _] = output.shape.extents() else {
            return Err(Error::ShapeMismatch { operand: 0, axis: output.shape.rank() });
        };
        let rows = product([u64::from(a), u64::from(b)])?;
        let (steps, n) = if self.batch_first { (b, a) } else { (a, b) };
        let macs = Macs(product([rows, step.macs])?);
        let work = streaming(Class::Recurrent, operands, output, 0)?;
        let state = self.state(operands)?.bytes()?;
        let states = if self.cell == Cell::Lstm { state.checked_add(state)? } else { state };
        let stored = output.data_type.bytes(step.params)?;
        // A step cannot start before the last ends: the product is as tall as the batch.
        let gate_rows = product([self.cell.gates(), u64::from(self.hidden)])?;
        Ok(Work {
            gemm: Some(Gemm {
                m: u64::from(n),
                n: gate_rows,
                k: step.macs.checked_div(gate_rows).unwrap_or(0),
                groups: u64::from(steps),
            }),
            macs,
            flops: macs.flops()?.checked_add(Flops(product([rows, step.flops])?))?,
            params: step.params,
            bytes_weight: work.bytes_weight.checked_add(stored)?,
            bytes_stored: stored,
            bytes_out: work.bytes_out.checked_add(states)?,
            ..work
        })
    }
}
