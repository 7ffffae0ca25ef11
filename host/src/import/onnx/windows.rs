//! Sliding windows from a node's attributes: kernel, strides, dilations, and padding given or made.

use derate_core::op::{Window, Windows};

use super::call::{Call, Stop, unsupported, wrong};

/// The attributes of a window along each axis after the channels.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    kernel: Vec<u16>,
    stride: Vec<u16>,
    dilation: Vec<u16>,
    pads: Vec<i64>,
    auto_pad: String,
}

fn small(name: &str, value: i64) -> Result<u16, Stop> {
    match u16::try_from(value) {
        Ok(value) => Ok(value),
        Err(_) => wrong(format!("{name} {value}; 0 to 65535 are allowed")),
    }
}

impl Frame {
    /// The attributes of a node whose windows have this kernel.
    pub(super) fn new(call: &Call<'_>, kernel: &[u32]) -> Result<Self, Stop> {
        if kernel.is_empty() || kernel.len() > Windows::MAX {
            return unsupported(format!("windows over {} axes; 1 to 3 are described", kernel.len()));
        }
        let list = |name: &str| -> Result<Vec<u16>, Stop> {
            let Some(values) = call.ints(name)? else { return Ok(vec![1; kernel.len()]) };
            if values.len() != kernel.len() || values.iter().any(|&value| value < 1) {
                return wrong(format!(
                    "{name} {values:?}; one positive number for each of {} axes is wanted",
                    kernel.len()
                ));
            }
            values.into_iter().map(|value| small(name, value)).collect()
        };
        let pads = call.ints("pads")?.unwrap_or_else(|| vec![0; 2 * kernel.len()]);
        if pads.len() != 2 * kernel.len() {
            return wrong(format!("pads {pads:?}; two for each of {} axes are wanted", kernel.len()));
        }
        let auto_pad = call.text("auto_pad", "NOTSET")?;
        if !matches!(auto_pad.as_str(), "NOTSET" | "" | "VALID" | "SAME_UPPER" | "SAME_LOWER") {
            return wrong(format!("auto_pad {auto_pad:?}; NOTSET, VALID, SAME_UPPER and SAME_LOWER exist"));
        }
        Ok(Self {
            kernel: kernel.iter().map(|&extent| small("kernel", i64::from(extent))).collect::<Result<_, _>>()?,
            stride: list("strides")?,
            dilation: list("dilations")?,
            pads,
            auto_pad,
        })
    }

    fn axis(&self, at: usize) -> (i64, i64, u16, u16) {
        let kernel = self.kernel.get(at).copied().unwrap_or(1);
        let stride = self.stride.get(at).copied().unwrap_or(1);
        let dilation = self.dilation.get(at).copied().unwrap_or(1);
        let reach = i64::from(dilation) * (i64::from(kernel) - 1) + 1;
        (reach, i64::from(stride), kernel, dilation)
    }

    fn given(&self, at: usize) -> [i64; 2] {
        let get = |at: usize| self.pads.get(at).copied().unwrap_or(0);
        [get(at), get(at + self.kernel.len())]
    }

    /// Total padding put on both sides, the odd one after (`SAME_UPPER`) or before.
    fn halves(&self, total: i64) -> [i64; 2] {
        let small = total / 2;
        if self.auto_pad == "SAME_LOWER" { [total - small, small] } else { [small, total - small] }
    }

    fn window(&self, at: usize, padding: [i64; 2]) -> Result<Window, Stop> {
        let (_, _, kernel, dilation) = self.axis(at);
        let [before, after] = padding;
        Ok(Window {
            kernel,
            stride: self.stride.get(at).copied().unwrap_or(1),
            padding: [small("pads", before)?, small("pads", after)?],
            dilation,
        })
    }

    /// Windows over an operand with these extents after the channels.
    pub(super) fn over(&self, spatial: &[u32]) -> Result<Windows, Stop> {
        if spatial.len() != self.kernel.len() {
            return wrong(format!("windows over {} axes on an operand with {}", self.kernel.len(), spatial.len()));
        }
        let mut windows = Vec::new();
        for (at, &extent) in spatial.iter().enumerate() {
            let (reach, stride, ..) = self.axis(at);
            let extent = i64::from(extent);
            let padding = match self.auto_pad.as_str() {
                "VALID" => [0, 0],
                "SAME_UPPER" | "SAME_LOWER" => {
                    let outputs = (extent + stride - 1) / stride;
                    self.halves(((outputs - 1) * stride + reach - extent).max(0))
                }
                _ => self.given(at),
            };
            windows.push(self.window(at, padding)?);
        }
        Ok(Windows::new(&windows)?)
    }

    /// Windows of a transposed convolution, and the extents added at the end of each axis.
    pub(super) fn transposed(&self, call: &Call<'_>, spatial: &[u32]) -> Result<(Windows, [u16; Windows::MAX]), Stop> {
        let rank = self.kernel.len();
        if spatial.len() != rank {
            return wrong(format!("windows over {rank} axes on an operand with {}", spatial.len()));
        }
        let extra = call.ints("output_padding")?.unwrap_or_else(|| vec![0; rank]);
        let wanted = call.ints("output_shape")?;
        // Some writers give the whole shape.
        let wanted = wanted.map(|shape| shape.get(shape.len().saturating_sub(rank)..).unwrap_or_default().to_vec());
        if extra.len() != rank || wanted.as_ref().is_some_and(|wanted| wanted.len() != rank) {
            return wrong(format!("output_padding or output_shape do not have one number for each of {rank} axes"));
        }
        let mut windows = Vec::new();
        let mut added = [0; Windows::MAX];
        for (at, &extent) in spatial.iter().enumerate() {
            let (reach, stride, ..) = self.axis(at);
            let extra = extra.get(at).copied().unwrap_or(0);
            small("output_padding", extra)?;
            let full = (i64::from(extent) - 1) * stride + extra + reach;
            let wanted = match (&wanted, self.auto_pad.as_str()) {
                (Some(wanted), _) => wanted.get(at).copied(),
                (None, "SAME_UPPER" | "SAME_LOWER") => Some(i64::from(extent) * stride),
                _ => None,
            };
            let (padding, extra) = match wanted {
                None if self.auto_pad == "VALID" => ([0, 0], extra),
                None => (self.given(at), extra),
                // An output larger than all taps reach has zeros at its end.
                Some(wanted) if wanted > full => ([0, 0], extra.saturating_add(wanted.saturating_sub(full))),
                Some(wanted) => (self.halves(full.saturating_sub(wanted)), extra),
            };
            windows.push(self.window(at, padding)?);
            if let Some(slot) = added.get_mut(at) {
                *slot = small("output_padding", extra)?;
            }
        }
        Ok((Windows::new(&windows)?, added))
    }
}
