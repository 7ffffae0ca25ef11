//! Convolutions and their transposes.

use derate_core::op::{Conv, ConvTranspose, Op, Window, Windows};

use super::argument::{Args, Argument};
use super::emit::Weights;
use super::tensor::Tensor;
use super::{Call, Lowered, Lowering, Refusal};

/// Geometry of a convolution as ATen gives it, one value an axis.
#[derive(Debug)]
struct Geometry {
    stride: Vec<i64>,
    padding: Padding,
    dilation: Vec<i64>,
    transposed: bool,
    output_padding: Vec<i64>,
    groups: i64,
}

#[derive(Debug)]
enum Padding {
    Each(Vec<i64>),
    /// As many outputs as inputs.
    Same,
}

/// The value of an axis; one value stands for all.
pub(super) fn of_axis(values: &[i64], at: usize, default: i64) -> i64 {
    values.get(at).or(if values.len() == 1 { values.first() } else { None }).copied().unwrap_or(default)
}

/// A value that must fit the 16 bits of a window.
pub(super) fn short(name: &str, value: i64) -> Result<u16, Refusal> {
    u16::try_from(value).map_err(|_| Refusal::new(format!("{name} {value}; 0 to 65535 are allowed")))
}

fn padding(args: &Args, position: usize) -> Result<Padding, Refusal> {
    match args.get(position, "padding") {
        Some(Argument::Str(word)) if word == "same" => Ok(Padding::Same),
        Some(Argument::Str(word)) if word == "valid" => Ok(Padding::Each(vec![0])),
        Some(Argument::Str(word)) => Err(Refusal::new(format!("padding {word:?}; same or valid are known"))),
        _ => Ok(Padding::Each(args.optional_ints(position, "padding")?.unwrap_or_else(|| vec![0]))),
    }
}

impl Lowering {
    /// `conv1d`, `conv2d`, `conv3d`: input, weight, bias, stride, padding, dilation, groups.
    pub(super) fn conv(&mut self, call: &Call<'_>) -> Lowered {
        let args = call.args;
        let ints = |at, name| args.optional_ints(at, name).map(|ints| ints.unwrap_or_else(|| vec![1]));
        let geometry = Geometry {
            stride: ints(3, "stride")?,
            padding: padding(args, 4)?,
            dilation: ints(5, "dilation")?,
            transposed: false,
            output_padding: vec![0],
            groups: args.int_or(6, "groups", 1)?,
        };
        self.convolution(call, &geometry)
    }

    /// `conv_transpose*d`: input, weight, bias, stride, padding, output padding, groups, dilation.
    pub(super) fn conv_transpose(&mut self, call: &Call<'_>) -> Lowered {
        let args = call.args;
        let ints = |at, name, default| args.optional_ints(at, name).map(|ints| ints.unwrap_or_else(|| vec![default]));
        let geometry = Geometry {
            stride: ints(3, "stride", 1)?,
            padding: padding(args, 4)?,
            dilation: ints(7, "dilation", 1)?,
            transposed: true,
            output_padding: ints(5, "output_padding", 0)?,
            groups: args.int_or(6, "groups", 1)?,
        };
        self.convolution(call, &geometry)
    }

    /// `convolution`, `_convolution`: input, weight, bias, stride, padding, dilation, whether transposed, output padding, groups.
    pub(super) fn general_conv(&mut self, call: &Call<'_>) -> Lowered {
        let args = call.args;
        let geometry = Geometry {
            stride: args.ints(3, "stride")?,
            padding: padding(args, 4)?,
            dilation: args.ints(5, "dilation")?,
            transposed: args.bool_or(6, "transposed", false)?,
            output_padding: args.optional_ints(7, "output_padding")?.unwrap_or_else(|| vec![0]),
            groups: args.int_or(8, "groups", 1)?,
        };
        self.convolution(call, &geometry)
    }

    fn convolution(&mut self, call: &Call<'_>, geometry: &Geometry) -> Lowered {
        let (input, weight) = (call.args.tensor(0, "input")?, call.args.tensor(1, "weight")?);
        let bias = call.args.optional_tensor(2, "bias")?;
        let &[first, second, ref kernel @ ..] = weight.extents() else {
            return Err(Refusal::new(format!("weights {:?}; [channels, channels, …] are allowed", weight.extents())));
        };
        let mut windows = Vec::with_capacity(kernel.len());
        let mut output_padding = [0_u16; Windows::MAX];
        for (at, &taps) in kernel.iter().enumerate() {
            let dilation = short("dilation", of_axis(&geometry.dilation, at, 1))?;
            let padding = match &geometry.padding {
                Padding::Each(padding) => [short("padding", of_axis(padding, at, 0))?; 2],
                Padding::Same => {
                    let total = u64::from(dilation).saturating_mul(u64::from(taps).saturating_sub(1));
                    let before = i64::try_from(total / 2).unwrap_or(i64::MAX);
                    let after = i64::try_from(total.div_ceil(2)).unwrap_or(i64::MAX);
                    [short("padding", before)?, short("padding", after)?]
                }
            };
            if let Some(place) = output_padding.get_mut(at) {
                *place = short("output_padding", of_axis(&geometry.output_padding, at, 0))?;
            }
            windows.push(Window {
                kernel: short("kernel", i64::from(taps))?,
                stride: short("stride", of_axis(&geometry.stride, at, 1))?,
                padding,
                dilation,
            });
        }
        let windows = Windows::new(&windows)?;
        let groups = u32::try_from(geometry.groups).map_err(|_| Refusal::new(format!("groups {}", geometry.groups)))?;
        let times_groups = |channels: u32| {
            channels.checked_mul(groups).ok_or_else(|| Refusal::new(format!("{channels} · {groups} channels")))
        };
        // An image without a batch has one axis fewer than one with.
        let batched = input.rank() == weight.rank();
        let input = if batched { input.clone() } else { self.unsqueezed(input, 0)? };
        let stored_as = (weight.data_type() != input.data_type()).then(|| weight.data_type());
        let weights = Weights { weight, bias };
        let result = if geometry.transposed {
            let (c_in, c_out) = (first, times_groups(second)?);
            let op = |bias| {
                Op::ConvTranspose(ConvTranspose {
                    c_in,
                    c_out,
                    groups,
                    windows,
                    output_padding,
                    bias,
                    weights: stored_as,
                })
            };
            self.emit_weighted(call.node, op, &input, weights, 1)?
        } else {
            let (c_in, c_out) = (times_groups(second)?, first);
            let op = |bias| Op::Conv(Conv { c_in, c_out, groups, windows, bias, weights: stored_as });
            self.emit_weighted(call.node, op, &input, weights, 1)?
        };
        let result: Tensor = if batched { result } else { self.squeezed(&result, 0)? };
        Ok(Argument::Tensor(result))
    }
}
