//! Elements chosen or replaced by indices.

use derate_core::op::{Embedding, Gather, Move, MoveKind, Op, Pick, Scatter, View};
use derate_core::shape::DataType;
use derate_core::tensor::TensorId;

use super::call::{Call, Stop, axis, axis_u8, unsupported, wrong};
use super::graph::{Importer, Outputs, shape};
use super::operand::is_table;
use super::value::{Stored, Value};

impl Importer {
    /// A gather, a scatter, or their like.
    pub(super) fn index(&mut self, call: &Call<'_>) -> Outputs {
        let y = match call.op() {
            "Gather" => return self.gather(call),
            "GatherElements" => {
                let dims = self.dims(call, 1)?;
                self.pick(call, &dims)?
            }
            "GatherND" => {
                let (data, indices) = (self.dims(call, 0)?, self.dims(call, 1)?);
                let batch = usize::try_from(call.int("batch_dims", 0)?).unwrap_or(usize::MAX);
                let Some((&tuple, outer)) = indices.split_last() else { return wrong("its indices are a scalar") };
                let inner = batch.saturating_add(usize::try_from(tuple).unwrap_or(usize::MAX));
                let Some(inner) = data.get(inner..) else {
                    return wrong(format!(
                        "tuples of {tuple} indices behind {batch} axes of a tensor of {} axes",
                        data.len()
                    ));
                };
                self.pick(call, &[outer, inner].concat())?
            }
            "OneHot" => {
                let indices = self.dims(call, 0)?;
                let depth = self.numbers(call, 1)?.and_then(|depth| depth.first().copied());
                let Some(depth) = depth.and_then(|depth| u32::try_from(depth).ok()) else {
                    return wrong("its depth is no extent");
                };
                let at = axis(call.int("axis", -1)?, indices.len() + 1)?;
                let mut dims = indices;
                dims.insert(at, depth);
                let values = self.tensor(call, 2)?;
                let x = self.tensor(call, 0)?;
                self.emit(call, Op::Pick(Pick { shape: shape(&dims)? }), &[values, x])?
            }
            // Nothing is replaced.
            _ if self.dims(call, 1)?.contains(&0) => {
                let data = self.operand(call, 0)?;
                return self.alias(data);
            }
            _ => {
                let operands = [self.tensor(call, 0)?, self.tensor(call, 1)?, self.tensor(call, 2)?];
                let combine = call.text("reduction", "none")? != "none";
                self.emit(call, Op::Scatter(Scatter { combine }), &operands)?
            }
        };
        Ok(vec![Value::Tensor(y)])
    }

    fn pick(&mut self, call: &Call<'_>, dims: &[u32]) -> Result<TensorId, Stop> {
        if dims.contains(&0) {
            return unsupported(format!("its result has no elements: shape {dims:?}"));
        }
        let operands = [self.tensor(call, 0)?, self.tensor(call, 1)?];
        self.emit(call, Op::Pick(Pick { shape: shape(dims)? }), &operands)
    }

    /// Rows of a learned table are an embedding; known rows of anything else are a slice.
    fn gather(&mut self, call: &Call<'_>) -> Outputs {
        let data = self.dims(call, 0)?;
        let along = axis(call.int("axis", 0)?, data.len())?;
        if let Some(table) = self.stored(call, 0)
            && let &[entries, features] = table.dims.as_slice()
            && along == 0
            && is_vectors(&table)
            && entries > 0
            && features > 0
        {
            let indices = self.tensor(call, 1)?;
            let op = Op::Embedding(Embedding { entries, features, data_type: table.data_type });
            return Ok(vec![Value::Tensor(self.emit_weighted(call, op, &[indices], Some(&table.name))?)]);
        }
        let indices = self.operand(call, 1)?;
        if let Value::Stored(stored) = &indices
            && stored.elements() == 1
        {
            let mut row = data.clone();
            if let Some(extent) = row.get_mut(along) {
                *extent = 1;
            }
            let mut wanted = data.get(..along).unwrap_or_default().to_vec();
            wanted.extend(&stored.dims);
            wanted.extend(data.get(along + 1..).unwrap_or_default());
            let x = self.tensor(call, 0)?;
            let mut y = x;
            if row != data {
                y = self.emit(call, Op::Move(Move { kind: MoveKind::Slice, shape: shape(&row)? }), &[x])?;
            }
            if wanted != row {
                y = self.emit_part(call, "view", Op::View(View { shape: shape(&wanted)? }), &[y])?;
            }
            return Ok(vec![Value::Tensor(y)]);
        }
        let operands = [self.tensor(call, 0)?, self.tensor(call, 1)?];
        Ok(vec![Value::Tensor(self.emit(call, Op::Gather(Gather { axis: axis_u8(along)? }), &operands)?)])
    }
}

/// Whether a matrix is a table of learned vectors: of real numbers, or of quantized ones.
fn is_vectors(table: &Stored) -> bool {
    if table.data_type == DataType::Int8 { table.elements() > 1 } else { table.learned && !is_table(table) }
}
