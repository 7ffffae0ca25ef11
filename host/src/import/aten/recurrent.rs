//! Recurrent layers and cells.

use derate_core::op::{Cell, Op, Recurrent};

use super::argument::Argument;
use super::tensor::Tensor;
use super::{Call, Lowered, Lowering, Refusal};

impl Lowering {
    /// `lstm`: input, states, weights, biases, layers, dropout, training, bidirectional, batch first; `gru` and `rnn_*` with one state.
    pub(super) fn recurrent(&mut self, call: &Call<'_>) -> Lowered {
        let args = call.args;
        let x = args.tensor(0, "input")?.clone();
        if matches!(args.get(1, "batch_sizes"), Some(Argument::Tensor(sizes)) if sizes.rank() == 1 && call.op == "lstm")
        {
            return Err(Refusal::new("packed sequences have no shape of their own"));
        }
        let states = match args.get(1, "hx") {
            Some(Argument::List(_)) => args.tensor_list(1, "hx")?,
            _ => vec![args.tensor(1, "hx")?.clone()],
        };
        let weights = args.tensor_list(2, "params")?;
        let op = self.layers(
            call,
            &x,
            &weights,
            args.bool_or(3, "has_biases", true)?,
            args.int_or(4, "num_layers", 1)?,
            args.bool_or(7, "bidirectional", false)?,
            args.bool_or(8, "batch_first", false)?,
        )?;
        self.sequence(call.node, op, &x, &states, &weights).map(Argument::tensors)
    }

    #[allow(clippy::too_many_arguments, reason = "they are the attributes of the op")]
    fn layers(
        &self,
        call: &Call<'_>,
        x: &Tensor,
        weights: &[Tensor],
        bias: bool,
        layers: i64,
        bidirectional: bool,
        batch_first: bool,
    ) -> Result<Recurrent, Refusal> {
        let (Some(first), Some(state)) = (weights.first(), weights.get(1)) else {
            return Err(Refusal::new("no weights"));
        };
        let (&[gates, input], &[_, hidden]) = (first.extents(), state.extents()) else {
            return Err(Refusal::new("its weights are no matrices"));
        };
        let cell = match call.op {
            op if op.contains("lstm") => Cell::Lstm,
            op if op.contains("gru") => Cell::Gru,
            _ => Cell::Plain,
        };
        if u64::from(hidden).checked_mul(cell.gates()) != Some(u64::from(gates)) || x.extents().last() != Some(&input) {
            return Err(Refusal::new(format!(
                "weights {:?} and {:?}: a projected state is not counted",
                first.extents(),
                state.extents()
            )));
        }
        let layers = u16::try_from(layers).map_err(|_| Refusal::new(format!("{layers} layers")))?;
        Ok(Recurrent { cell, input, hidden, layers, bidirectional, bias, batch_first })
    }

    /// Adds the op; first states of zeros are no operands.
    fn sequence(
        &mut self,
        node: &str,
        op: Recurrent,
        x: &Tensor,
        states: &[Tensor],
        weights: &[Tensor],
    ) -> Result<Vec<Tensor>, Refusal> {
        let name = weights.first().and_then(|weight| self.weight_name(weight));
        let name = name.ok_or_else(|| Refusal::new("its weights are computed rather than stored"))?;
        let mut ids = vec![self.id(node, x)?];
        for state in states.iter().filter(|state| !state.is_known()) {
            ids.push(self.id(node, state)?);
        }
        let id = self.builder.op_with_weights(node, Op::Recurrent(op), &ids, &name)?;
        for weight in weights {
            self.attributes.extend(self.weight_name(weight));
        }
        Ok((0..Op::Recurrent(op).output_count()).map(|at| self.tensor(id.offset(at))).collect())
    }

    /// `lstm_cell`, `gru_cell`, …: input, state or states, weights and biases; one step of a sequence.
    pub(super) fn recurrent_cell(&mut self, call: &Call<'_>) -> Lowered {
        let args = call.args;
        let x = args.tensor(0, "input")?.clone();
        let states = match args.get(1, "hx") {
            Some(Argument::List(_)) => args.tensor_list(1, "hx")?,
            _ => vec![args.tensor(1, "hx")?.clone()],
        };
        let mut weights = vec![args.tensor(2, "w_ih")?.clone(), args.tensor(3, "w_hh")?.clone()];
        let bias = args.optional_tensor(4, "b_ih")?;
        weights.extend(bias.cloned());
        weights.extend(args.optional_tensor(5, "b_hh")?.cloned());
        let op = self.layers(call, &x, &weights, bias.is_some(), 1, false, false)?;
        let step = self.unsqueezed(&x, 0)?;
        let mut wide = Vec::with_capacity(states.len());
        for state in &states {
            wide.push(self.unsqueezed(state, 0)?);
        }
        let outputs = self.sequence(call.node, op, &step, &wide, &weights)?;
        // The state after the only step: [1, n, hidden].
        let states = outputs.iter().skip(1).map(|state| self.squeezed(state, 0)).collect::<Result<Vec<_>, _>>()?;
        match states.as_slice() {
            [state] => Ok(Argument::Tensor(state.clone())),
            _ => Ok(Argument::tensors(states)),
        }
    }

    /// `mkldnn_rnn_layer`: one layer in one direction of an LSTM: input, two matrices, two biases, states, …
    pub(super) fn recurrent_layer(&mut self, call: &Call<'_>) -> Lowered {
        let args = call.args;
        let x = args.tensor(0, "input")?.clone();
        let matrices = [args.tensor(1, "weight0")?.clone(), args.tensor(2, "weight1")?.clone()];
        let bias = args.bool_or(12, "has_biases", true)?;
        let weights =
            [&matrices[..], &[args.tensor(3, "weight2")?.clone(), args.tensor(4, "weight3")?.clone()]].concat();
        let states = [args.tensor(5, "hx_")?.clone(), args.tensor(6, "cx_")?.clone()];
        let lstm = Call { op: "lstm", ..*call };
        // The kernel takes steps first, whatever the module's layout.
        let op = self.layers(&lstm, &x, &weights, bias, 1, false, false)?;
        let outputs = self.sequence(call.node, op, &x, &states, &weights)?;
        let unread = Argument::Unknown("values for training are not counted".to_owned());
        Ok(Argument::List(outputs.into_iter().map(Argument::Tensor).chain([unread]).collect()))
    }
}
