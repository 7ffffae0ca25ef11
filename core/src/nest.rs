//! Loop nests: what a kernel computes, as products over loops and streams of bytes, before anyone says how it lies on a device.
//!
//! A [`Task`] is one kernel: up to [`MAX_NESTS`] products one after the other (the projections and the core of a multi-head
//! attention are five), and a [`Stream`] of everything beside them: bias, activation, a residual addition. Tilings cut the
//! nests ([`mod@crate::tile`]), mappers lay them on units ([`crate::mapping`]).
//!
//! Leaves out what a kernel shares with the one before it but the level at which its operands lie ([`Homes`]).

use crate::error::Error;
use crate::fusion::Kernel;
use crate::graph::{GraphView, Node};
use crate::shape::{Precision, product};
use crate::units::{Bytes, Flops, Macs};
use crate::work::{Gemm, Work};

mod axis;
mod ops;

pub(crate) use axis::Axis;
use ops::{join_attention, nests_of};

/// Most products of a task.
pub const MAX_NESTS: usize = 6;

/// A loop of a nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Dim {
    /// Independent products: batches, heads, groups of channels.
    Group,
    /// Rows of the result of a product; queries of an attention.
    M,
    /// Columns of the result of a product; keys of an attention.
    N,
    /// Elements of a sum of a product.
    K,
    /// Images of a convolution.
    Batch,
    /// Output channels of a group of a convolution.
    COut,
    /// Input channels of a group of a convolution.
    CIn,
    /// Output extents of a convolution, outermost first: depth.
    Depth,
    /// Output rows of a convolution.
    Height,
    /// Output columns of a convolution.
    Width,
}

impl Dim {
    /// Lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::M => "m",
            Self::N => "n",
            Self::K => "k",
            Self::Batch => "batch",
            Self::COut => "c_out",
            Self::CIn => "c_in",
            Self::Depth => "depth",
            Self::Height => "height",
            Self::Width => "width",
        }
    }
}

/// An operand of a nest: C = A · B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Operand {
    /// The left one: activations; queries of an attention.
    A,
    /// The right one: weights, where there are some; keys and values of an attention.
    B,
    /// The result.
    C,
}

impl Operand {
    /// Lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::C => "c",
        }
    }
}

/// Bytes of an element of each operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ElementSizes {
    /// Of A.
    pub a: u64,
    /// Of B.
    pub b: u64,
    /// Of C while sums are not finished: the width of the accumulator.
    pub partial: u64,
    /// Of C as it is written.
    pub c: u64,
}

impl ElementSizes {
    /// Operands of one size, with sums as wide as they are.
    #[must_use]
    pub const fn all(bytes: u64) -> Self {
        Self { a: bytes, b: bytes, partial: bytes, c: bytes }
    }
}

/// Where operands lie before the task, and its result after it: an index into the device's memory levels. A level beyond the
/// last is the last: the backing store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Homes {
    /// Of activations that are read.
    pub input: u8,
    /// Of weights.
    pub weights: u8,
    /// Of the result.
    pub output: u8,
}

impl Homes {
    /// Everything in the backing store, as before a first run.
    pub const COLD: Self = Self { input: u8::MAX, weights: u8::MAX, output: u8::MAX };
}

/// A convolution as loops. Kernel taps are not cut: a tile has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConvLoops {
    /// Images.
    pub batch: u64,
    /// Groups of channels, independent of each other.
    pub groups: u64,
    /// Input channels of one group.
    pub c_in: u64,
    /// Output channels of one group.
    pub c_out: u64,
    /// Input extents without padding, depth, height, width; 1 where there is no such axis.
    pub input: [u64; 3],
    /// Output extents.
    pub output: [u64; 3],
    /// Taps along each axis.
    pub kernel: [u64; 3],
    /// Steps of the window.
    pub stride: [u64; 3],
    /// Distances of the taps.
    pub dilation: [u64; 3],
    /// Padding before each axis.
    pub padding: [u64; 3],
}

/// A scaled dot-product attention as loops: `groups` heads of m × d queries, n × d keys, n × `d_v` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AttentionLoops {
    /// Heads of all sequences.
    pub groups: u64,
    /// Queries of a head.
    pub m: u64,
    /// Keys of a head.
    pub n: u64,
    /// Depth of queries and keys.
    pub d: u64,
    /// Depth of values.
    pub d_v: u64,
}

/// The loops of a nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Loops {
    /// Independent matrix products.
    Gemm(Gemm),
    /// A convolution whose windows are more than one tap without step or padding; the others are matrix products.
    Conv(ConvLoops),
    /// Both products of an attention, the scores between them in no memory.
    Attention(AttentionLoops),
}

/// One product of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LoopNest {
    /// Its loops.
    pub loops: Loops,
    /// Bytes of its elements.
    pub sizes: ElementSizes,
    /// Where its operands lie.
    pub homes: Homes,
    /// Whether B is weights.
    pub weighted: bool,
    /// How often it runs, one after the other, with the same B: steps of a recurrent layer.
    pub repeats: u64,
}

impl LoopNest {
    /// A product of weights in the backing store, once.
    #[must_use]
    pub const fn new(loops: Loops, sizes: ElementSizes) -> Self {
        Self { loops, sizes, homes: Homes::COLD, weighted: true, repeats: 1 }
    }

    /// MACs of all runs.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub fn macs(&self) -> Result<Macs, Error> {
        let once = match self.loops {
            Loops::Gemm(Gemm { m, n, k, groups }) => product([groups, m, n, k])?,
            Loops::Conv(c) => {
                let window = product(c.kernel)?;
                product([c.batch, c.groups, c.c_in, c.c_out, window, product(c.output)?])?
            }
            Loops::Attention(a) => product([a.groups, a.m, a.n, a.d.checked_add(a.d_v).ok_or(Error::CountOverflow)?])?,
        };
        Ok(Macs(product([once, self.repeats])?))
    }
}

/// Work of a task beside its products: bytes that pass through once, and arithmetic on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stream {
    /// Bytes of activations read.
    pub read: Bytes,
    /// Bytes of parameters and constants read.
    pub weights: Bytes,
    /// Bytes written.
    pub written: Bytes,
    /// FLOPs that are no MACs of a product.
    pub flops: Flops,
    /// Elements of the result.
    pub elements: u64,
    /// Where the bytes lie.
    pub homes: Homes,
}

impl Stream {
    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.read.0 == 0 && self.weights.0 == 0 && self.written.0 == 0 && self.flops.0 == 0
    }
}

/// One kernel, as a mapper sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Exact work of the kernel.
    pub work: Work,
    /// The precision it computes in.
    pub precision: Precision,
    /// Its products.
    pub nests: heapless::Vec<LoopNest, MAX_NESTS>,
    /// Everything beside them.
    pub stream: Stream,
}

impl Task {
    /// A task of one product, nothing beside it.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 of anything.
    pub fn product(nest: LoopNest, precision: Precision) -> Result<Self, Error> {
        let macs = nest.macs()?;
        let bytes = Traffic::compulsory(&nest)?;
        let mut work = Work::none(crate::work::Class::MatMul);
        work.macs = macs;
        work.flops = macs.flops()?;
        work.bytes_in = bytes.a;
        if nest.weighted {
            (work.class, work.bytes_weight) = (crate::work::Class::Linear, bytes.b);
        } else {
            work.bytes_in = work.bytes_in.checked_add(bytes.b)?;
        }
        work.bytes_out = bytes.c;
        work.elements_out = bytes.c.0.checked_div(nest.sizes.c).unwrap_or(0);
        let mut nests = heapless::Vec::new();
        nests.push(nest).ok();
        let stream = Stream {
            read: Bytes::ZERO,
            weights: Bytes::ZERO,
            written: Bytes::ZERO,
            flops: Flops::ZERO,
            elements: work.elements_out,
            homes: nest.homes,
        };
        Ok(Self { work, precision, nests, stream })
    }

    /// A task of nothing, for [`Self::set`].
    pub(crate) const NOTHING: Self = Self {
        work: Work::none(crate::work::Class::View),
        precision: Precision::Fp32,
        nests: heapless::Vec::new(),
        stream: Stream {
            read: Bytes::ZERO,
            weights: Bytes::ZERO,
            written: Bytes::ZERO,
            flops: Flops::ZERO,
            elements: 0,
            homes: Homes::COLD,
        },
    };

    /// The task of a kernel that computes in this precision; every operand in the backing store.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 of anything.
    pub fn of(graph: GraphView<'_>, kernel: &Kernel<'_>, precision: Precision) -> Result<Self, Error> {
        let mut task = Self::NOTHING;
        task.set(graph, kernel, precision)?;
        Ok(task)
    }

    /// The task of a single op with this work; [`Task::of`] otherwise.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 of anything.
    pub fn op(graph: GraphView<'_>, node: &Node, work: Work, precision: Precision) -> Result<Self, Error> {
        let mut task = Self::NOTHING;
        let products = core::iter::once(node).filter(|node| node.op.is_product());
        task.fill(graph, work, products, precision)?;
        Ok(task)
    }

    /// Becomes the task of a kernel, as [`Task::of`] has it: a task has room for several products, and is large to move.
    ///
    /// # Errors
    /// As [`Task::of`].
    pub(crate) fn set(&mut self, graph: GraphView<'_>, kernel: &Kernel<'_>, precision: Precision) -> Result<(), Error> {
        self.fill(graph, kernel.work()?, kernel.products(), precision)
    }

    fn fill<'n>(
        &mut self,
        graph: GraphView<'_>,
        work: Work,
        products: impl Iterator<Item = &'n Node>,
        precision: Precision,
    ) -> Result<(), Error> {
        (self.work, self.precision) = (work, precision);
        self.stream = Stream {
            read: work.bytes_in,
            weights: work.bytes_weight,
            written: work.bytes_out,
            flops: work.flops,
            elements: work.elements_out,
            homes: Homes::COLD,
        };
        self.nests.clear();
        for node in products {
            nests_of(graph, node, &mut self.nests)?;
        }
        join_attention(&mut self.nests);
        // What the products read, write and compute is not streamed a second time.
        let stream = &mut self.stream;
        for nest in &self.nests {
            let bytes = Traffic::compulsory(nest)?;
            stream.flops = Flops(stream.flops.0.saturating_sub(nest.macs()?.flops()?.0));
            stream.read = Bytes(stream.read.0.saturating_sub(bytes.a.0));
            let b = if nest.weighted { &mut stream.weights } else { &mut stream.read };
            *b = Bytes(b.0.saturating_sub(bytes.b.0));
            stream.written = Bytes(stream.written.0.saturating_sub(bytes.c.0));
        }
        Ok(())
    }

    /// The same task with its operands at these levels.
    #[must_use]
    pub fn at(mut self, homes: Homes) -> Self {
        for nest in &mut self.nests {
            nest.homes = homes;
        }
        self.stream.homes = homes;
        self
    }
}

/// Bytes of each operand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Traffic {
    /// Of A, read.
    pub a: Bytes,
    /// Of B, read.
    pub b: Bytes,
    /// Of C: partial sums read and written, and the result written.
    pub c: Bytes,
}

impl Traffic {
    /// Every operand once, for all runs: A and C of each run, B of all runs together.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub fn compulsory(nest: &LoopNest) -> Result<Self, Error> {
        let [a, b, c] = match nest.loops {
            Loops::Gemm(Gemm { m, n, k, groups }) => {
                [product([groups, m, k])?, product([groups, k, n])?, product([groups, m, n])?]
            }
            Loops::Conv(loops) => {
                let channels = product([loops.batch, loops.groups])?;
                [
                    product([channels, loops.c_in, loops.touched()])?,
                    product([loops.groups, loops.c_out, loops.c_in, product(loops.kernel)?])?,
                    product([channels, loops.c_out, product(loops.output)?])?,
                ]
            }
            Loops::Attention(AttentionLoops { groups, m, n, d, d_v }) => {
                let depths = d.checked_add(d_v).ok_or(Error::CountOverflow)?;
                [product([groups, m, d])?, product([groups, n, depths])?, product([groups, m, d_v])?]
            }
        };
        Ok(Self {
            a: Bytes(product([a, nest.sizes.a, nest.repeats])?),
            b: Bytes(product([b, nest.sizes.b])?),
            c: Bytes(product([c, nest.sizes.c, nest.repeats])?),
        })
    }

    /// Sum over the operands.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub fn total(&self) -> Result<Bytes, Error> {
        self.a.checked_add(self.b)?.checked_add(self.c)
    }
}
