//! Pooling: sliding windows, and whole images.

use derate_core::op::{AdaptivePool, Op, Pool, PoolKind};
use derate_core::shape::Shape;
use derate_core::tensor::TensorId;

use super::call::{Call, Stop, unsupported, wrong};
use super::graph::{Importer, Outputs};
use super::value::Value;
use super::windows::Frame;

impl Importer {
    /// A pooling op; positions of maxima are not modelled.
    pub(super) fn pool(&mut self, call: &Call<'_>) -> Outputs {
        let kind = match call.op().trim_start_matches("Global") {
            "MaxPool" => PoolKind::Max,
            "AveragePool" => PoolKind::Average,
            _ => PoolKind::Norm,
        };
        let x = self.tensor(call, 0)?;
        let y = if call.op().starts_with("Global") {
            self.global_pool(call, x, kind)?
        } else {
            self.window_pool(call, x, kind)?
        };
        Ok(vec![Value::Tensor(y)])
    }

    /// One value a channel.
    pub(super) fn global_pool(&mut self, call: &Call<'_>, x: TensorId, kind: PoolKind) -> Result<TensorId, Stop> {
        let rank = self.extents(x).len();
        let Some(spatial) = rank.checked_sub(2).filter(|&spatial| spatial > 0) else {
            return wrong(format!("a tensor of rank {rank}; at least 3 axes are wanted"));
        };
        self.emit(call, Op::AdaptivePool(AdaptivePool { kind, output: Shape::new(&vec![1; spatial])? }), &[x])
    }

    /// Pooling over windows.
    pub(super) fn window_pool(&mut self, call: &Call<'_>, x: TensorId, kind: PoolKind) -> Result<TensorId, Stop> {
        let Some(kernel) = call.ints("kernel_shape")? else { return wrong("it has no kernel_shape") };
        let kernel: Option<Vec<u32>> = kernel.iter().map(|&extent| u32::try_from(extent).ok()).collect();
        let Some(kernel) = kernel else { return wrong("a negative kernel") };
        if call.output(1).is_some() && kernel.len() > 3 {
            return unsupported("positions of maxima over more than three axes");
        }
        let dims = self.extents(x);
        let windows = Frame::new(call, &kernel)?.over(dims.get(2..).unwrap_or_default())?;
        let ceil_mode = call.flag("ceil_mode", false)?;
        self.emit(call, Op::Pool(Pool { kind, windows, ceil_mode }), &[x])
    }
}
