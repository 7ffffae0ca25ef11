//! Recurrent layers in ONNX's layouts.

use derate_core::op::{Cell, Op, Recurrent, View};

use super::call::{Call, unsupported, wrong};
use super::graph::{Importer, Outputs, shape};
use super::value::Value;

impl Importer {
    /// An LSTM, GRU or plain layer on `[steps, n, input]` (`layout` 1: `[n, steps, input]`).
    ///
    /// Core's layer gives `[steps, n, directions · hidden]`, ONNX `[steps, directions, n, hidden]`. For one direction that is a view;
    /// for two, each direction writes its own half, which moves no bytes either: the kernel writes them where they belong.
    pub(super) fn recurrent(&mut self, call: &Call<'_>) -> Outputs {
        let cell = match call.op() {
            "LSTM" | "DynamicQuantizeLSTM" => Cell::Lstm,
            "GRU" => Cell::Gru,
            _ => Cell::Plain,
        };
        let x = self.tensor(call, 0)?;
        let mut w = self.weights(call, 1, x)?;
        let mut of_r = self.dims(call, 2)?;
        if call.op() == "DynamicQuantizeLSTM" {
            // Its matrices are transposed.
            for dims in [&mut w.dims, &mut of_r] {
                if dims.len() == 3 {
                    dims.swap(1, 2);
                }
            }
        }
        let dims = self.extents(x);
        let batch_first = call.int("layout", 0)? == 1;
        let &[first, second, input] = dims.as_slice() else {
            return wrong(format!("an operand of shape {dims:?}; three axes are wanted"));
        };
        let (steps, n) = if batch_first { (second, first) } else { (first, second) };
        let direction = call.text("direction", "forward")?;
        let bidirectional = match direction.as_str() {
            "forward" | "reverse" => false,
            "bidirectional" => true,
            other => return wrong(format!("direction {other:?}; forward, reverse and bidirectional exist")),
        };
        let directions = if bidirectional { 2 } else { 1 };
        let gates = u32::try_from(cell.gates()).unwrap_or(1);
        let &[of_w, rows, columns] = w.dims.as_slice() else {
            return wrong(format!("W of shape {:?}; three axes are wanted", w.dims));
        };
        let hidden = rows / gates;
        if of_w != directions || columns != input || hidden == 0 || !rows.is_multiple_of(gates) {
            return wrong(format!(
                "W of shape {:?} does not fit an operand of shape {dims:?}: [{directions}, {gates} · hidden, {input}] is wanted",
                w.dims
            ));
        }
        if of_r != [directions, rows, hidden] {
            return wrong(format!("R of shape {of_r:?}; {:?} is wanted", [directions, rows, hidden]));
        }
        if call.input(7).is_some() && cell == Cell::Lstm {
            return unsupported("peephole weights");
        }
        let bias = call.input(3).is_some();
        let op = Recurrent { cell, input, hidden, layers: 1, bidirectional, bias, batch_first };
        let mut operands = vec![x];
        for position in [5, 6] {
            let is_state = position == 5 || cell == Cell::Lstm;
            if is_state && matches!(self.optional(call, position), Some(Value::Tensor(_))) {
                operands.push(self.tensor(call, position)?);
            }
        }
        let y = self.emit_weighted(call, Op::Recurrent(op), &operands, w.key.as_deref())?;
        let wanted = if batch_first { [n, steps, directions, hidden] } else { [steps, directions, n, hidden] };
        let mut outputs = Vec::new();
        outputs.push(match call.output(0) {
            Some(_) => {
                let op = Op::View(View { shape: shape(&wanted)? });
                Value::Tensor(self.emit_part(call, "y", op, &[y])?)
            }
            None => Value::Unknown("it is left out".to_owned()),
        });
        let states: u16 = if cell == Cell::Lstm { 2 } else { 1 };
        for position in 1..=states {
            let state = y.offset(position);
            outputs.push(Value::Tensor(if batch_first && call.output(usize::from(position)).is_some() {
                let op = Op::View(View { shape: shape(&[n, directions, hidden])? });
                self.emit_part(call, "state", op, &[state])?
            } else {
                state
            }));
        }
        Ok(outputs)
    }
}
