//! Pooling and resizing.

use derate_core::op::{AdaptivePool, Op, Pool, PoolKind, Resize, ResizeKind, Window, Windows};
use derate_core::shape::Shape;

use super::argument::Argument;
use super::conv::{of_axis, short};
use super::emit::{extent, extents};
use super::names::with_unread;
use super::{Call, Lowered, Lowering, Refusal};

/// Axes that an op's name ends with, as in `avg_pool2d`.
fn spatial_axes(op: &str) -> Result<usize, Refusal> {
    let digit = op.bytes().rev().find(u8::is_ascii_digit).map(|digit| usize::from(digit.saturating_sub(b'0')));
    digit.filter(|axes| (1..=3).contains(axes)).ok_or_else(|| Refusal::new("pooling of one to three axes is known"))
}

impl Lowering {
    /// `max_pool*d`: self, kernel, stride, padding, dilation, ceil mode; `avg_pool*d`: self, kernel, stride, padding, ceil mode.
    pub(super) fn pool(&mut self, call: &Call<'_>, kind: PoolKind) -> Lowered {
        let args = call.args;
        let x = args.first()?;
        let axes = spatial_axes(call.op)?;
        let kernel = args.ints(1, "kernel_size")?;
        // No stride is the kernel's.
        let stride =
            args.optional_ints(2, "stride")?.filter(|stride| !stride.is_empty()).unwrap_or_else(|| kernel.clone());
        let padding = args.optional_ints(3, "padding")?.unwrap_or_else(|| vec![0]);
        let (dilation, ceil_mode) = if kind == PoolKind::Max {
            (args.optional_ints(4, "dilation")?.unwrap_or_else(|| vec![1]), args.bool_or(5, "ceil_mode", false)?)
        } else {
            (vec![1], args.bool_or(4, "ceil_mode", false)?)
        };
        let window = |at| -> Result<Window, Refusal> {
            Ok(Window {
                kernel: short("kernel", of_axis(&kernel, at, 1))?,
                stride: short("stride", of_axis(&stride, at, 1))?,
                padding: [short("padding", of_axis(&padding, at, 0))?; 2],
                dilation: short("dilation", of_axis(&dilation, at, 1))?,
            })
        };
        let windows = (0..axes).map(window).collect::<Result<Vec<_>, _>>()?;
        let op = Op::Pool(Pool { kind, windows: Windows::new(&windows)?, ceil_mode });
        self.batched(call, op, x.rank() == axes.saturating_add(1))
    }

    /// `adaptive_*_pool*d`: self, output size; a size that is not given stays.
    pub(super) fn adaptive_pool(&mut self, call: &Call<'_>, kind: PoolKind) -> Lowered {
        let x = call.args.first()?;
        let axes = spatial_axes(call.op)?;
        let spatial =
            x.extents().split_at_checked(x.rank().saturating_sub(axes)).map_or(&[][..], |(_, spatial)| spatial);
        let given = match call.args.get(1, "output_size") {
            Some(Argument::List(sizes)) => sizes.iter().map(Argument::int).collect(),
            Some(one) => vec![one.int(); axes],
            None => Vec::new(),
        };
        let size = |(at, &of_x): (usize, &u32)| match given.get(at).copied().flatten() {
            Some(size) => extent(size),
            None => Ok(of_x),
        };
        let sizes = spatial.iter().enumerate().map(size).collect::<Result<Vec<_>, _>>()?;
        let op = Op::AdaptivePool(AdaptivePool { kind, output: Shape::new(&sizes)? });
        let result = self.batched(call, op, x.rank() == axes.saturating_add(1))?;
        Ok(if kind == PoolKind::Max { with_unread(result, "indices of pooling") } else { result })
    }

    /// An op on images, which may lack the axis of the batch.
    fn batched(&mut self, call: &Call<'_>, op: Op, lacks_batch: bool) -> Lowered {
        let x = call.args.first()?.clone();
        if !lacks_batch {
            return self.give(call, op, &[&x]);
        }
        let x = self.unsqueezed(&x, 0)?;
        let result = self.emit(call.node, op, &[&x])?;
        self.squeezed(&result, 0).map(Argument::Tensor)
    }

    /// `upsample_*`: input, output size or nothing, [align corners,] factors.
    pub(super) fn resize(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let nearest = call.op.contains("nearest");
        let kind = match call.op {
            _ if nearest => ResizeKind::Nearest,
            op if op.contains("cubic") => ResizeKind::Cubic,
            _ => ResizeKind::Linear,
        };
        let (outer, spatial) = x.extents().split_at_checked(2).ok_or_else(|| Refusal::new("no image"))?;
        let sizes = match call.args.optional_ints(1, "output_size")? {
            Some(sizes) => extents(&sizes)?,
            None => {
                let at = if nearest { 2 } else { 3 };
                let Some(Argument::List(factors)) = call.args.get(at, "scale_factors") else {
                    return Err(Refusal::new("neither a size nor factors"));
                };
                let scaled = |(&extent, factor): (&u32, &Argument)| {
                    let factor = factor.float().filter(|factor| *factor > 0.0);
                    // Extents are far below 2^52: the product is exact enough to be rounded down, as PyTorch does.
                    let size = factor.map(|factor| (f64::from(extent) * factor).floor());
                    let size = size.filter(|size| *size >= 1.0 && *size <= f64::from(u32::MAX));
                    size.map(|size| size as u32).ok_or_else(|| Refusal::new("a factor that is no positive number"))
                };
                spatial.iter().zip(factors).map(scaled).collect::<Result<Vec<_>, _>>()?
            }
        };
        let shape = Shape::new(&[outer, &sizes].concat())?;
        self.give(call, Op::Resize(Resize { kind, shape }), &[x])
    }
}
