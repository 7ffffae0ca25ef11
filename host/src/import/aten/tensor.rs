//! Tensors while ATen ops are lowered: in the graph already, stored with the network, or put off until something reads them.
//!
//! Views are lazy: what `chunk`, `slice`, `permute` or `expand` gives costs nothing until an op needs it laid out. So unused parts
//! cost nothing, broadcast operands are not expanded, and a product reads a transposed operand as it lies.

use std::cell::Cell;
use std::rc::Rc;

use derate_core::op::Op;
use derate_core::shape::DataType;
use derate_core::tensor::TensorId;

/// Longest chain of views that is put off: longer ones are laid out on the way, so that no chain exhausts the stack.
pub(super) const MAX_DEPTH: u8 = 12;

/// A tensor, cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Tensor(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    extents: Vec<u32>,
    data_type: DataType,
    origin: Origin,
    depth: u8,
    /// The tensor of the graph, once there is one.
    made: Cell<Option<TensorId>>,
}

/// Where a tensor comes from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// An input of the graph, or what an op computes.
    Graph,
    /// A stored tensor by number, whole or a part of it; its axes may stand in another order, as it can be laid out beforehand.
    Stored { index: usize, part: String },
    /// The same whatever the input is; of one value in all elements, where that is known.
    Known(Option<f64>),
    /// A part of a tensor of the same rank.
    Slice(Tensor),
    /// The same elements under another shape.
    View(Tensor),
    /// Axes in another order.
    Permute(Tensor, Vec<u8>),
    /// Extents of 1 repeated.
    Expand(Tensor),
    /// What an op gives, which is added when something reads it.
    Deferred(Box<Op>, Tensor),
}

impl Tensor {
    pub(super) fn new(extents: Vec<u32>, data_type: DataType, origin: Origin) -> Self {
        let depth = match &origin {
            Origin::Graph | Origin::Stored { .. } | Origin::Known(_) => 0,
            Origin::Slice(base)
            | Origin::View(base)
            | Origin::Permute(base, _)
            | Origin::Expand(base)
            | Origin::Deferred(_, base) => base.0.depth.saturating_add(1),
        };
        Self(Rc::new(Inner { extents, data_type, origin, depth, made: Cell::new(None) }))
    }

    /// A tensor of the graph.
    pub(super) fn in_graph(id: TensorId, extents: Vec<u32>, data_type: DataType) -> Self {
        let tensor = Self::new(extents, data_type, Origin::Graph);
        tensor.0.made.set(Some(id));
        tensor
    }

    /// A tensor that does not depend on the input, of one value where that is known.
    pub(crate) fn known(extents: Vec<u32>, data_type: DataType, value: Option<f64>) -> Self {
        Self::new(extents, data_type, Origin::Known(value))
    }

    /// Whether both are one and the same tensor.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Extents, outermost first.
    pub(crate) fn extents(&self) -> &[u32] {
        &self.0.extents
    }

    /// Number of axes.
    pub(crate) fn rank(&self) -> usize {
        self.0.extents.len()
    }

    /// How each element is stored.
    pub(crate) fn data_type(&self) -> DataType {
        self.0.data_type
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// How many views are put off until this one is laid out.
    pub(super) fn depth(&self) -> u8 {
        if self.0.made.get().is_some() { 0 } else { self.0.depth }
    }

    pub(super) fn made(&self) -> Option<TensorId> {
        self.0.made.get()
    }

    pub(super) fn make(&self, id: TensorId) {
        self.0.made.set(Some(id));
    }

    /// Number of elements; `u64::MAX` where there are more.
    pub(crate) fn elements(&self) -> u64 {
        self.0.extents.iter().fold(1_u64, |product, &extent| product.saturating_mul(u64::from(extent)))
    }

    /// Whether it is the same whatever the input is, and not stored.
    pub(super) fn is_known(&self) -> bool {
        matches!(self.0.origin, Origin::Known(_))
    }

    /// The one value of a single element that is known.
    pub(crate) fn value(&self) -> Option<f64> {
        match self.0.origin {
            Origin::Known(value) if self.elements() == 1 => value,
            _ => None,
        }
    }
}
