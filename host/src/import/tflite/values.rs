//! Tensors of the file and what stands for them in the graph: computed, stored, or known numbers of shape arithmetic.

use derate_core::op::{Op, Quantize, View};
use derate_core::shape::{DataType, Shape};
use derate_core::tensor::{TensorId, TensorKind};

use super::layout::Layout;
use super::{Call, Reader, Step, Stop, data_type, stored_kind, unsupported};
use crate::import::ImportError;

/// Most numbers of a tensor that are read: shapes, paddings and axes are far shorter.
const MOST_NUMBERS: usize = 1024;

/// What is known of a tensor of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Value {
    /// The tensor of the graph, and the order of its axes.
    computed: Option<(TensorId, Layout)>,
    /// Its numbers, where it is arithmetic of shapes.
    pub(super) numbers: Option<Vec<i64>>,
    /// The stored tensor that it is, dequantized when the network is loaded.
    pub(super) dequantized: Option<usize>,
    /// Whether an operator that is not described gives it, in a shape that is not known.
    unknown: bool,
}

impl<'a> Reader<'a> {
    /// Name of a tensor.
    pub(super) fn name(&self, index: usize) -> String {
        let name = self.tensor(index).and_then(|tensor| tensor.name()).filter(|name| !name.is_empty());
        name.map_or_else(|| format!("tensor {index}"), str::to_owned)
    }

    fn tensor(&self, index: usize) -> Option<super::Tensor<'a>> {
        (index < self.tensors.len()).then(|| self.tensors.get(index))
    }

    /// What is known of a tensor.
    pub(super) fn value(&self, index: usize) -> Option<&Value> {
        self.values.get(index)
    }

    /// Data type of a tensor as the file says; of a dequantized one, that of what is stored.
    pub(super) fn stored_type(&self, index: usize) -> Step<DataType> {
        let number = self.tensor(self.stored_index(index)).map_or(-1, |tensor| tensor.data_type());
        data_type(number).ok_or_else(|| {
            let known = "known are 0 to 4, 6, 7, 9, 10, 12, 15, 16 and 18";
            Stop::Unsupported(format!("{} has data type {number}; {known}", self.name(index)))
        })
    }

    /// Data type of a tensor in the graph.
    pub(super) fn type_of(&self, index: usize) -> Step<DataType> {
        match self.value(index).and_then(|value| value.computed) {
            Some((id, _)) => Ok(self.builder.data_type(id)),
            None => self.declared_type(index),
        }
    }

    /// Data type that the file gives a tensor.
    pub(super) fn declared_type(&self, index: usize) -> Step<DataType> {
        let number = self.tensor(index).map_or(-1, |tensor| tensor.data_type());
        data_type(number).ok_or_else(|| Stop::Unsupported(format!("{} has data type {number}", self.name(index))))
    }

    /// The stored tensor behind a dequantized one; a tensor itself else.
    fn stored_index(&self, index: usize) -> usize {
        self.value(index).and_then(|value| value.dequantized).unwrap_or(index)
    }

    /// Whether a tensor is held by the file.
    pub(super) fn is_stored(&self, index: usize) -> bool {
        !self.content(self.stored_index(index)).is_empty()
    }

    /// The bytes that the file holds of a tensor; none of one that is computed.
    fn content(&self, index: usize) -> &'a [u8] {
        let buffer = self.tensor(index).and_then(|tensor| usize::try_from(tensor.buffer()).ok());
        let held = buffer.zip(self.buffers).filter(|(buffer, buffers)| *buffer > 0 && *buffer < buffers.len());
        let Some(buffer) = held.map(|(buffer, buffers)| buffers.get(buffer)) else { return &[] };
        if let Some(data) = buffer.data().filter(|data| !data.is_empty()) {
            return data.bytes();
        }
        // Beyond 2 GiB offsets of a FlatBuffer do not reach; the bytes then follow it. An offset of 1 is a placeholder.
        let range = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.size()).ok());
        let range = range.filter(|(offset, _)| *offset > 1);
        range.and_then(|(offset, size)| self.bytes.get(offset..offset.checked_add(size)?)).unwrap_or_default()
    }

    /// Which buffer holds a stored tensor: two tensors of one buffer are the same weights.
    pub(super) fn buffer(&self, index: usize) -> u32 {
        self.tensor(self.stored_index(index)).map_or(0, |tensor| tensor.buffer())
    }

    /// Numbers of a tensor of integers, where they are known while reading; `None` for computed and for long ones.
    pub(super) fn numbers(&self, index: usize) -> Option<Vec<i64>> {
        if let Some(numbers) = self.value(index).and_then(|value| value.numbers.clone()) {
            return Some(numbers);
        }
        let bytes = self.content(index);
        let size = match self.tensor(index)?.data_type() {
            2 => 4,
            4 => 8,
            _ => return None,
        };
        if bytes.is_empty() || bytes.len() / size > MOST_NUMBERS {
            return None;
        }
        let number = |bytes: &[u8]| match *bytes {
            [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => 0,
        };
        Some(bytes.chunks_exact(size).map(number).collect())
    }

    /// Extents that the file states for a tensor, with open ones bound; names of those that nothing binds go to `open`.
    fn stated(&self, index: usize, open: &mut Vec<String>) -> Result<Vec<u32>, ImportError> {
        let Some(tensor) = self.tensor(index) else { return Ok(Vec::new()) };
        let name = self.name(index);
        let signature = tensor.shape_signature();
        let mut extents = Vec::new();
        for (axis, extent) in tensor.shape().into_iter().flatten().enumerate() {
            let signed = signature.filter(|signature| axis < signature.len()).map(|signature| signature.get(axis));
            let key = format!("{name}:{axis}");
            let bound = self.options.dims.get(&key).copied();
            let bound = if axis == 0 { self.options.batch.or(bound) } else { bound };
            extents.push(match (u32::try_from(extent), signed) {
                (_, Some(-1)) | (Err(_), _) if extent >= -1 => match bound {
                    Some(extent) => extent,
                    // The runtime starts with the extent of the file, 1, until the caller resizes the input.
                    None if axis == 0 => u32::try_from(extent).unwrap_or(1).max(1),
                    None => {
                        open.push(key);
                        u32::try_from(extent).unwrap_or(1).max(1)
                    }
                },
                (Ok(extent), _) => extent,
                (Err(_), _) => {
                    return Err(self.builder.error(name, format!("extent {extent} of axis {axis}; at least 1, or -1")));
                }
            });
            if extents.len() > 64 {
                return Err(self.builder.error(name, "more than 64 axes; 8 are possible"));
            }
        }
        Ok(extents)
    }

    /// Adds the inputs of the graph, images with their channels first.
    pub(super) fn inputs(&mut self, inputs: impl Iterator<Item = i32>) -> Result<(), ImportError> {
        let mut open = Vec::new();
        let mut found = Vec::new();
        for index in inputs {
            let index = self.tensor_index("inputs of the graph", index)?;
            let extents = self.stated(index, &mut open)?;
            let data_type = match self.declared_type(index) {
                Ok(data_type) => data_type,
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Unsupported(reason)) => return Err(self.builder.error(self.name(index), reason)),
            };
            found.push((index, extents, data_type));
        }
        if !open.is_empty() {
            let list = open.join(", ");
            let message =
                format!("extents that the file leaves open: {list} (tensor:axis); bind each with --dim NAME=N");
            return Err(self.builder.error("inputs of the graph", message));
        }
        for (index, extents, data_type) in found {
            let image = extents.len() == 4 || self.windowed.contains(&index);
            let layout = if image { Layout::ChannelsFirst } else { Layout::Stored };
            let name = self.name(index);
            let id = self.builder.source(&name, &layout.order(&extents), data_type, TensorKind::Input)?;
            self.remember(index, id, layout);
        }
        Ok(())
    }

    /// What an operator gives that no op describes: an input of the stated shape, or nothing where that is not known.
    pub(super) fn open_output(&mut self, index: usize) -> Result<(), ImportError> {
        let extents = self.stated(index, &mut Vec::new())?;
        let data_type = self.declared_type(index);
        let Some(value) = self.values.get_mut(index) else { return Ok(()) };
        if value.computed.is_some() {
            return Ok(());
        }
        match data_type {
            Ok(data_type) if !extents.contains(&0) && extents.len() <= 8 => {
                let name = self.name(index);
                let layout = self.layout_for(index, extents.len());
                let id = self.builder.source(&name, &layout.order(&extents), data_type, TensorKind::Input)?;
                self.remember(index, id, layout);
            }
            _ => value.unknown = true,
        }
        Ok(())
    }

    /// The order that suits the readers of a tensor that is made in any order.
    pub(super) fn layout_for(&self, index: usize, rank: usize) -> Layout {
        if self.windowed.contains(&index) { Layout::ChannelsFirst.of_rank(rank) } else { Layout::Stored }
    }

    fn remember(&mut self, index: usize, id: TensorId, layout: Layout) {
        let rank = usize::from(self.builder.shape(id).rank());
        let layout = layout.of_rank(rank);
        if let Some(value) = self.values.get_mut(index) {
            value.computed = Some((id, layout));
        }
        self.made.insert((index, layout, rank), id);
    }

    /// Says that a tensor of the file is this one of the graph.
    pub(super) fn set(&mut self, index: usize, id: TensorId, layout: Layout) -> Step {
        self.remember(index, id, layout);
        Ok(())
    }

    /// The operand of a call at a place.
    pub(super) fn operand(&self, call: &Call<'_>, place: usize) -> Step<usize> {
        call.inputs
            .get(place)
            .copied()
            .flatten()
            .ok_or_else(|| Stop::Error(self.builder.error(&call.name, format!("{} without operand {place}", call.op))))
    }

    /// Whether a tensor is an activation, and so has an order of its axes.
    pub(super) fn computed(&self, index: usize) -> Option<(TensorId, Layout)> {
        self.value(index).and_then(|value| value.computed)
    }

    /// Extents of a tensor, in the order of the file.
    pub(super) fn extents(&self, index: usize) -> Step<Vec<u32>> {
        if let Some((id, layout)) = self.computed(index) {
            return Ok(layout.stored(self.builder.shape(id).extents()));
        }
        let stored = self.stored_index(index);
        if self.is_stored(stored) {
            return Ok(self.stated(stored, &mut Vec::new())?);
        }
        self.missing(index)
    }

    fn missing<T>(&self, index: usize) -> Step<T> {
        let name = self.name(index);
        let variable = self.tensor(index).is_some_and(|tensor| tensor.is_variable());
        let value = self.value(index);
        if variable {
            return unsupported(format!("it reads the variable {name}"));
        }
        if value.is_some_and(|value| value.unknown || value.numbers.is_some()) {
            return unsupported(format!("it reads {name}, whose shape is not known"));
        }
        Err(Stop::Error(self.builder.error(name, "is read, but neither stored nor computed before")))
    }

    /// A tensor with its axes in an order, and at least `rank` of them (a stored one is padded with outer extents of 1).
    pub(super) fn ranked(&mut self, index: usize, layout: Layout, rank: usize) -> Step<TensorId> {
        let mut extents = self.extents(index)?;
        if self.computed(index).is_none() {
            while extents.len() < rank {
                extents.insert(0, 1);
            }
        }
        let layout = layout.of_rank(extents.len());
        let key = (index, layout, extents.len());
        if let Some(&id) = self.made.get(&key) {
            return Ok(id);
        }
        let extents = layout.order(&extents);
        let before = self.computed(index).map(|(id, _)| id);
        let id = match before {
            Some(id) => self.view(&format!("{}:axes", self.name(index)), &extents, id)?,
            None => self.store(index, &extents)?,
        };
        if before.is_none() {
            self.remember(index, id, layout);
        }
        self.made.insert(key, id);
        Ok(id)
    }

    /// Adds a stored tensor; one that is dequantized when read, with the op that does it.
    fn store(&mut self, index: usize, extents: &[u32]) -> Step<TensorId> {
        let (name, stored) = (self.name(index), self.stored_index(index));
        let held = self.stored_type(index)?;
        let id = self.builder.source(&self.name(stored), extents, held, stored_kind(held))?;
        if stored == index {
            return Ok(id);
        }
        let to = self.declared_type(index)?;
        Ok(self.builder.op(&name, Op::Quantize(Quantize { to }), &[id])?)
    }

    /// A tensor with its axes in an order.
    pub(super) fn tensor_in(&mut self, index: usize, layout: Layout) -> Step<TensorId> {
        self.ranked(index, layout, 0)
    }

    /// A tensor as it is at hand, and the order of its axes.
    pub(super) fn any(&mut self, index: usize) -> Step<(TensorId, Layout)> {
        match self.computed(index) {
            Some(found) => Ok(found),
            None => Ok((self.tensor_in(index, Layout::Stored)?, Layout::Stored)),
        }
    }

    /// The same bytes under other extents.
    pub(super) fn view(&mut self, name: &str, extents: &[u32], id: TensorId) -> Step<TensorId> {
        let shape = self.shape(name, extents)?;
        Ok(self.builder.op(name, Op::View(View { shape }), &[id])?)
    }

    /// Extents as a shape of the graph.
    pub(super) fn shape(&self, name: &str, extents: &[u32]) -> Step<Shape> {
        Shape::new(extents).ok().filter(|_| !extents.contains(&0)).ok_or_else(|| {
            Stop::Error(self.builder.error(name, format!("shape {extents:?}; 8 axes of at least 1 are possible")))
        })
    }
}
