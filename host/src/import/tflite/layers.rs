//! Operators with weights or windows: convolutions, fully connected layers, products, recurrence, pooling.

use derate_core::op::{
    Cell, Conv, ConvTranspose, Embedding, Linear, LocalResponseNorm, MatMul, Op, PRelu, Pool, PoolKind, Recurrent,
    Window, Windows,
};
use derate_core::shape::DataType;
use derate_core::tensor::TensorId;

use super::layout::Layout;
use super::schema::{
    BatchMatMulOptions, Conv2DOptions, Conv3DOptions, DepthwiseConv2DOptions, FullyConnectedOptions,
    LocalResponseNormalizationOptions, Options, Pool2DOptions, TransposeConvOptions, UnidirectionalSequenceLstmOptions,
};
use super::{Call, Reader, Step, Stop, unsupported};

/// What the options of a convolution or a pooling say of one axis.
struct Axis {
    kernel: u32,
    stride: i32,
    dilation: i32,
}

impl<'a> Reader<'a> {
    /// Adds an operator of this file's kind; `false` for another.
    pub(super) fn layer(&mut self, call: &Call<'a>) -> Step<bool> {
        match call.builtin {
            1 => self.pool(call, PoolKind::Average)?,
            12 => self.pool(call, PoolKind::Norm)?,
            17 => self.pool(call, PoolKind::Max)?,
            3 => {
                let options: Conv2DOptions<'_> = self.options(call)?;
                let strides = [(options.stride_h(), options.dilation_h()), (options.stride_w(), options.dilation_w())];
                self.conv(call, options.padding(), &strides, options.activation(), false)?;
            }
            4 => {
                let options: DepthwiseConv2DOptions<'_> = self.options(call)?;
                let strides = [(options.stride_h(), options.dilation_h()), (options.stride_w(), options.dilation_w())];
                self.conv(call, options.padding(), &strides, options.activation(), true)?;
            }
            132 => {
                let options: Conv3DOptions<'_> = self.options(call)?;
                let strides = [
                    (options.stride_d(), options.dilation_d()),
                    (options.stride_h(), options.dilation_h()),
                    (options.stride_w(), options.dilation_w()),
                ];
                self.conv(call, options.padding(), &strides, options.activation(), false)?;
            }
            67 => self.conv_transpose(call)?,
            9 => self.fully_connected(call)?,
            126 => self.batch_mat_mul(call)?,
            44 => self.lstm(call)?,
            54 => self.prelu(call)?,
            7 => self.embedding(call)?,
            13 => {
                let options: LocalResponseNormalizationOptions<'_> = self.options(call)?;
                let size = self.positive(call, "window", options.radius().saturating_mul(2).saturating_add(1))?;
                let input = self.operand(call, 0)?;
                let id = self.tensor_in(input, Layout::ChannelsFirst)?;
                let id = self.builder.op(&call.name, Op::LocalResponseNorm(LocalResponseNorm { size }), &[id])?;
                self.give(call, id, Layout::ChannelsFirst, 0)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The options of an operator that cannot do without.
    pub(super) fn options<T: Options<'a>>(&self, call: &Call<'a>) -> Step<T> {
        call.operator.options().ok_or_else(|| {
            let message =
                format!("options of type {}; {} needs type {}", call.operator.options_type(), call.op, T::TYPE);
            Stop::Error(self.builder.error(&call.name, message))
        })
    }

    /// Windows over the extents of an image, padded as the options say: 0 so that ⌈extent / stride⌉ remain, 1 not at all.
    fn windows(&self, call: &Call<'_>, extents: &[u32], axes: &[Axis], padding: i8) -> Step<Windows> {
        let mut windows = Vec::with_capacity(axes.len());
        for (axis, &extent) in axes.iter().zip(extents) {
            let kernel = u16::try_from(axis.kernel).ok().filter(|&kernel| kernel > 0).ok_or_else(|| {
                Stop::Error(self.builder.error(&call.name, format!("kernel {}; 1 to 65535 is possible", axis.kernel)))
            })?;
            let stride = self.positive(call, "stride", axis.stride)?;
            let dilation = self.positive(call, "dilation", axis.dilation)?;
            let reach = u64::from(dilation) * u64::from(kernel - 1) + 1;
            let outputs = u64::from(extent).div_ceil(u64::from(stride));
            let needed = outputs.saturating_sub(1) * u64::from(stride) + reach;
            let all = match padding {
                0 => needed.saturating_sub(u64::from(extent)),
                1 => 0,
                other => {
                    let message = format!("padding {other}; 0 (SAME) and 1 (VALID) are known");
                    return Err(Stop::Error(self.builder.error(&call.name, message)));
                }
            };
            let before = all / 2;
            let side = |side: u64| {
                u16::try_from(side).map_err(|_| {
                    Stop::Error(self.builder.error(&call.name, format!("padding of {side}; at most 65535 is possible")))
                })
            };
            windows.push(Window { kernel, stride, padding: [side(before)?, side(all - before)?], dilation });
        }
        Windows::new(&windows).map_err(|_| {
            Stop::Error(self.builder.error(&call.name, format!("{} windows; 1 to 3 are possible", axes.len())))
        })
    }

    /// Channels and extents of an image operand.
    fn image(&self, call: &Call<'_>, index: usize, axes: usize) -> Step<(u32, Vec<u32>)> {
        let extents = self.extents(index)?;
        match extents.as_slice() {
            [_, spatial @ .., c] if spatial.len() == axes => Ok((*c, spatial.to_vec())),
            _ => {
                let message = format!("{} on a tensor of shape {extents:?}; it takes {} axes", call.op, axes + 2);
                Err(Stop::Error(self.builder.error(&call.name, message)))
            }
        }
    }

    /// Data type of weights, where it is not that of the operand.
    fn weights_type(&self, input: TensorId, weights: usize) -> Step<Option<DataType>> {
        let held = self.stored_type(weights)?;
        Ok(Some(held).filter(|&held| held != self.builder.data_type(input)))
    }

    /// What the weights and bias of an operator are held by: an operator of the same ones shares them.
    fn held(&self, weights: usize, bias: Option<usize>) -> String {
        format!("{}+{}", self.buffer(weights), bias.map_or(0, |bias| self.buffer(bias)))
    }

    /// The stored weights of an operator.
    fn weights(&self, call: &Call<'_>, place: usize) -> Step<(usize, Vec<u32>)> {
        let index = self.operand(call, place)?;
        if !self.is_stored(index) {
            return unsupported(format!("its weights ({}) are computed", self.name(index)));
        }
        Ok((index, self.extents(index)?))
    }

    fn conv(&mut self, call: &Call<'a>, padding: i8, steps: &[(i32, i32)], activation: i8, depthwise: bool) -> Step {
        let input = self.operand(call, 0)?;
        let (c_in, extents) = self.image(call, input, steps.len())?;
        let (weights, shape) = self.weights(call, 1)?;
        let bias = call.inputs.get(2).copied().flatten();
        // [c_out, h, w, c_in / groups]; depthwise [1, h, w, c_out]; three axes: [d, h, w, c_in / groups, c_out].
        let (kernel, of_group, c_out) = match (steps.len(), shape.as_slice()) {
            (2, [_, h, w, c_out]) if depthwise => (vec![*h, *w], 1, *c_out),
            (2, [c_out, h, w, of_group]) => (vec![*h, *w], *of_group, *c_out),
            (3, [d, h, w, of_group, c_out]) => (vec![*d, *h, *w], *of_group, *c_out),
            _ => {
                let message = format!("weights of shape {shape:?}; {} takes {} axes", call.op, steps.len() + 2);
                return Err(Stop::Error(self.builder.error(&call.name, message)));
            }
        };
        if of_group == 0 || c_in % of_group != 0 {
            let message = format!("weights of {of_group} channels on {c_in}; they must divide them");
            return Err(Stop::Error(self.builder.error(&call.name, message)));
        }
        let axes: Vec<Axis> = kernel
            .into_iter()
            .zip(steps)
            .map(|(kernel, &(stride, dilation))| Axis { kernel, stride, dilation })
            .collect();
        let windows = self.windows(call, &extents, &axes, padding)?;
        let id = self.tensor_in(input, Layout::ChannelsFirst)?;
        let groups = c_in / of_group;
        let weights_type = self.weights_type(id, weights)?;
        let conv = Conv { c_in, c_out, groups, windows, bias: bias.is_some(), weights: weights_type };
        let held = self.held(weights, bias);
        let id = self.builder.op_with_weights(&call.name, Op::Conv(conv), &[id], &held)?;
        self.give(call, id, Layout::ChannelsFirst, activation)
    }

    /// Operands: output shape, weights `[c_out, h, w, c_in]`, image, bias.
    fn conv_transpose(&mut self, call: &Call<'a>) -> Step {
        let options: TransposeConvOptions<'_> = self.options(call)?;
        let input = self.operand(call, 2)?;
        let (c_in, extents) = self.image(call, input, 2)?;
        let (weights, shape) = self.weights(call, 1)?;
        let &[c_out, h, w, _] = shape.as_slice() else {
            let message = format!("weights of shape {shape:?}; {} takes 4 axes", call.op);
            return Err(Stop::Error(self.builder.error(&call.name, message)));
        };
        let stated = self.operand(call, 0).ok().and_then(|index| self.numbers(index));
        let bias = call.inputs.get(3).copied().flatten();
        let mut windows = Vec::new();
        let mut output_padding = [0_u16; Windows::MAX];
        let strides = [options.stride_h(), options.stride_w()];
        for (axis, ((kernel, stride), &extent)) in [h, w].into_iter().zip(strides).zip(&extents).enumerate() {
            let stride = self.positive(call, "stride", stride)?;
            let kernel = self.positive(call, "kernel", i32::try_from(kernel).unwrap_or(0))?;
            let full = u64::from(extent.max(1) - 1) * u64::from(stride) + u64::from(kernel);
            let wanted = match (stated.as_deref(), options.padding()) {
                (Some([_, h, w, _]), _) => u64::from(self.extent(call, if axis == 0 { *h } else { *w })?),
                (_, 0) => u64::from(extent) * u64::from(stride),
                _ => full.max(u64::from(extent) * u64::from(stride)),
            };
            let too_far = || {
                let message =
                    format!("output extent {wanted} of an image of {extent} under stride {stride}, kernel {kernel}");
                Stop::Error(self.builder.error(&call.name, message))
            };
            let cut = full.saturating_sub(wanted);
            let before = u16::try_from(cut / 2).map_err(|_| too_far())?;
            let after = u16::try_from(cut - cut / 2).map_err(|_| too_far())?;
            if let Some(more) = output_padding.get_mut(axis) {
                *more = u16::try_from(wanted.saturating_sub(full)).map_err(|_| too_far())?;
            }
            windows.push(Window { kernel, stride, padding: [before, after], dilation: 1 });
        }
        let windows = Windows::new(&windows)
            .map_err(|_| Stop::Error(self.builder.error(&call.name, "windows of more than 3 axes")))?;
        let id = self.tensor_in(input, Layout::ChannelsFirst)?;
        let weights_type = self.weights_type(id, weights)?;
        let bias_given = bias.is_some();
        let op =
            ConvTranspose { c_in, c_out, groups: 1, windows, output_padding, bias: bias_given, weights: weights_type };
        let held = self.held(weights, bias);
        let id = self.builder.op_with_weights(&call.name, Op::ConvTranspose(op), &[id], &held)?;
        self.give(call, id, Layout::ChannelsFirst, options.activation())
    }

    fn pool(&mut self, call: &Call<'a>, kind: PoolKind) -> Step {
        let options: Pool2DOptions<'_> = self.options(call)?;
        let input = self.operand(call, 0)?;
        let (_, extents) = self.image(call, input, 2)?;
        let axis = |kernel: i32, stride: i32| Axis { kernel: u32::try_from(kernel).unwrap_or(0), stride, dilation: 1 };
        let axes =
            [axis(options.filter_height(), options.stride_h()), axis(options.filter_width(), options.stride_w())];
        let windows = self.windows(call, &extents, &axes, options.padding())?;
        let id = self.tensor_in(input, Layout::ChannelsFirst)?;
        let id = self.builder.op(&call.name, Op::Pool(Pool { kind, windows, ceil_mode: false }), &[id])?;
        self.give(call, id, Layout::ChannelsFirst, options.activation())
    }

    /// Operands: rows, weights `[out_features, in_features]`, bias. Without `keep_num_dims` all rows become a matrix.
    fn fully_connected(&mut self, call: &Call<'a>) -> Step {
        let options: FullyConnectedOptions<'_> = self.options(call)?;
        let (input, weights) = (self.operand(call, 0)?, self.operand(call, 1)?);
        let bias = call.inputs.get(2).copied().flatten();
        let shape = self.extents(weights)?;
        let &[out_features, in_features] = shape.as_slice() else {
            let message = format!("weights of shape {shape:?}; {} takes 2 axes", call.op);
            return Err(Stop::Error(self.builder.error(&call.name, message)));
        };
        let rows = self.extents(input)?;
        let keep = rows.last() == Some(&in_features) && (options.keep_num_dims() || rows.len() == 2);
        let id = if keep {
            self.tensor_in(input, Layout::Stored)?
        } else {
            let elements = rows.iter().try_fold(1_u64, |product, &extent| product.checked_mul(u64::from(extent)));
            let count = elements.and_then(|elements| elements.checked_div(u64::from(in_features)));
            let count = count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
            let (id, _) = self.any(input)?;
            self.view(&format!("{}:rows", call.name), &[count, in_features], id)?
        };
        let id = if self.is_stored(weights) {
            let weights_type = self.weights_type(id, weights)?;
            let op = Linear { in_features, out_features, bias: bias.is_some(), weights: weights_type };
            let held = self.held(weights, bias);
            self.builder.op_with_weights(&call.name, Op::Linear(op), &[id], &held)?
        } else {
            if bias.is_some() {
                return unsupported("a bias beside computed weights");
            }
            let matrix = self.tensor_in(weights, Layout::Stored)?;
            self.builder.op(&call.name, Op::MatMul(MatMul { transpose_a: false, transpose_b: true }), &[id, matrix])?
        };
        self.give(call, id, Layout::Stored, options.activation())
    }

    fn batch_mat_mul(&mut self, call: &Call<'a>) -> Step {
        let options = call.operator.options::<BatchMatMulOptions<'_>>();
        let (a, b) = (self.operand(call, 0)?, self.operand(call, 1)?);
        if self.type_of(a)? != self.type_of(b)? {
            return unsupported("operands of two data types");
        }
        let operands = [self.tensor_in(a, Layout::Stored)?, self.tensor_in(b, Layout::Stored)?];
        let op = MatMul {
            transpose_a: options.is_some_and(|options| options.adj_x()),
            transpose_b: options.is_some_and(|options| options.adj_y()),
        };
        let id = self.builder.op(&call.name, Op::MatMul(op), &operands)?;
        self.give(call, id, Layout::Stored, 0)
    }

    /// Operands: sequence; weights of the input for input, forget, cell and output gate; the same of the state; peepholes; biases;
    /// projection; states; normalisation.
    fn lstm(&mut self, call: &Call<'a>) -> Step {
        let options: UnidirectionalSequenceLstmOptions<'_> = self.options(call)?;
        let given = |place: usize| call.inputs.get(place).copied().flatten().is_some();
        if !given(1) {
            return unsupported("an LSTM whose input gate follows from the forget gate");
        }
        for (places, what) in [(9..12, "peepholes"), (16..18, "a projection"), (20..24, "layer normalisation")] {
            if places.into_iter().any(given) {
                return unsupported(format!("an LSTM with {what}"));
            }
        }
        let input = self.operand(call, 0)?;
        let (weights, shape) = self.weights(call, 1)?;
        let &[hidden, features] = shape.as_slice() else {
            let message = format!("weights of shape {shape:?}; {} takes 2 axes", call.op);
            return Err(Stop::Error(self.builder.error(&call.name, message)));
        };
        let id = self.tensor_in(input, Layout::Stored)?;
        // Core's cells have two biases a gate, TFLite's one: they enter as a stored tensor, so that what is stored stays exact.
        let op = Recurrent {
            cell: Cell::Lstm,
            input: features,
            hidden,
            layers: 1,
            bidirectional: false,
            bias: false,
            batch_first: !options.time_major(),
        };
        let held = self.held(weights, None);
        let output = self.builder.op_with_weights(&call.name, Op::Recurrent(op), &[id], &held)?;
        for place in 12..16 {
            if let Some(bias) = call.inputs.get(place).copied().flatten() {
                self.ranked(bias, Layout::Stored, 0)?;
            }
        }
        self.give(call, output, Layout::Stored, 0)
    }

    fn prelu(&mut self, call: &Call<'a>) -> Step {
        let input = self.operand(call, 0)?;
        let (_, shape) = self.weights(call, 1)?;
        let slopes = shape.iter().try_fold(1_u32, |product, &extent| product.checked_mul(extent));
        let channels = self.extents(input)?.last().copied();
        let slopes = slopes.filter(|&slopes| slopes == 1 || Some(slopes) == channels);
        let Some(slopes) = slopes else {
            return unsupported(format!("slopes of shape {shape:?}; one, or one a channel, is possible"));
        };
        let id = self.tensor_in(input, Layout::ChannelsFirst)?;
        let id = self.builder.op(&call.name, Op::PRelu(PRelu { slopes }), &[id])?;
        self.give(call, id, Layout::ChannelsFirst, 0)
    }

    /// `EMBEDDING_LOOKUP`: indices, table.
    fn embedding(&mut self, call: &Call<'a>) -> Step {
        let indices = self.operand(call, 0)?;
        let (table, _) = self.weights(call, 1)?;
        self.look_up(call, table, indices)
    }

    /// Rows of a stored table.
    pub(super) fn look_up(&mut self, call: &Call<'a>, table: usize, indices: usize) -> Step {
        let shape = self.extents(table)?;
        let &[entries, features] = shape.as_slice() else {
            return unsupported(format!("a table of shape {shape:?}; 2 axes are possible"));
        };
        let op = Embedding { entries, features, data_type: self.stored_type(table)? };
        let id = self.tensor_in(indices, Layout::Stored)?;
        let held = self.held(table, None);
        let id = self.builder.op_with_weights(&call.name, Op::Embedding(op), &[id], &held)?;
        self.give(call, id, Layout::Stored, 0)
    }
}
