//! libtorch: runs graphs and times them. The only place that knows `tch`.
//!
//! Each op of a graph is one `ATen` call (or as few as there are) in eager mode, without gradients, as a PyTorch user's `model(x)` under
//! `torch.no_grad()` does; fp32 matrix products and convolutions go through MKL and oneDNN as libtorch decides.

mod child;
mod network;
mod operator;
mod timing;

pub use child::serve;
pub use network::Network;
pub use operator::{Job, OperatorExecutor, Setup};
pub use timing::{GraphExecutor, TorchError, measure_memory};

use derate_core::shape::{DataType, Precision};
use tch::{Device, Kind, Tensor};

/// Name and version of the runtime, as rows and profiles carry it. A waiting policy of OpenMP that is set belongs to it: threads
/// that sleep between ops take longer to wake than threads that spin.
#[must_use]
pub fn runtime() -> String {
    let version = concat!("libtorch-", env!("DERATE_LIBTORCH_VERSION"));
    match std::env::var("OMP_WAIT_POLICY") {
        Ok(policy) if !policy.is_empty() => format!("{version} OMP_WAIT_POLICY={}", policy.to_uppercase()),
        _ => version.to_owned(),
    }
}

/// Element kind of a data type.
#[must_use]
pub const fn kind(data_type: DataType) -> Option<Kind> {
    match data_type {
        DataType::Fp64 => Some(Kind::Double),
        DataType::Fp32 => Some(Kind::Float),
        DataType::Bf16 => Some(Kind::BFloat16),
        DataType::Fp16 => Some(Kind::Half),
        _ => None,
    }
}

/// Precisions in which a linear layer really runs on the CPU here: tried, not looked up.
///
/// int8 is none of them: libtorch has no linear layer on int8 tensors whose result is right (its sums would wrap at 8 bits).
#[must_use]
pub fn precisions() -> Vec<Precision> {
    let runs = |precision: &Precision| {
        let Some(kind) = kind(precision.data_type()) else { return false };
        if *precision == Precision::Tf32 {
            return false;
        }
        let x = Tensor::ones([4, 64], (kind, Device::Cpu));
        let w = Tensor::ones([64, 64], (kind, Device::Cpu));
        x.f_linear(&w, None::<Tensor>)
            .and_then(|y| y.f_to_kind(Kind::Double)?.f_sum(Kind::Double)?.f_double_value(&[]))
            .is_ok_and(|sum| (sum - 4.0 * 64.0 * 64.0).abs() < 1.0)
    };
    Precision::ALL.into_iter().filter(runs).collect()
}

/// Sets the number of threads of every op from here on.
pub fn set_threads(threads: u32) {
    let threads = i32::try_from(threads).unwrap_or(i32::MAX);
    tch::set_num_threads(threads);
}

/// Whether a CUDA device could be used.
#[must_use]
pub fn has_cuda() -> bool {
    tch::Cuda::is_available()
}
