//! Stacks of convolutions of images: padded, with bias, ReLU after each.

use derate_core::op::{Activation, ActivationKind, Conv, Op, Windows};
use derate_core::shape::DataType;

use crate::graph_buf::{GraphBuf, GraphError};

/// Shape of a stack: the first layer maps `in_channels` to `out_channels`, each later one `out_channels` to themselves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvStack {
    /// Channels of the input.
    pub in_channels: u32,
    /// Channels of every layer's result.
    pub out_channels: u32,
    /// Taps of the kernel along each axis, at least 1. The padding is half of it, rounded down: an odd kernel keeps the extent of the
    /// image, an even one adds 1 a layer.
    pub kernel_size: u16,
    /// Number of convolutions; none are a graph without ops.
    pub num_layers: u32,
    /// Rows, and columns, of the input.
    pub image_size: u32,
    /// Images of the input.
    pub batch: u32,
}

impl ConvStack {
    /// `conv2d_Nlayer`, N the number of convolutions.
    #[must_use]
    pub fn name(&self) -> String {
        format!("conv2d_{}layer", self.num_layers)
    }

    /// The network as a graph; ReLU gives a new tensor, as `nn.ReLU()` does.
    ///
    /// # Errors
    /// [`GraphError`] for channels, a kernel or a batch of zero, an image smaller than the kernel needs, or counts that overflow.
    pub fn graph(&self, data_type: DataType) -> Result<GraphBuf, GraphError> {
        let mut graph = GraphBuf::new(self.name());
        let image = [self.batch, self.in_channels, self.image_size, self.image_size];
        let mut at = graph.add_input(&image, data_type)?;
        let windows = Windows::square(self.kernel_size, 1, self.kernel_size / 2);
        let relu = Op::Activation(Activation { kind: ActivationKind::Relu, in_place: false });
        let mut c_in = self.in_channels;
        for index in 0..self.num_layers {
            let conv = Conv { c_in, c_out: self.out_channels, groups: 1, windows, bias: true, weights: None };
            at = graph.add(format!("conv{index}"), Op::Conv(conv), &[at])?;
            at = graph.add(format!("relu{index}"), relu, &[at])?;
            c_in = self.out_channels;
        }
        Ok(graph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use derate_core::graph::Tables;

    fn stack(kernel_size: u16) -> ConvStack {
        ConvStack { in_channels: 3, out_channels: 16, kernel_size, num_layers: 2, image_size: 32, batch: 4 }
    }

    #[test]
    fn counts_by_hand() {
        let graph = stack(5).graph(DataType::Fp32).expect("valid");
        let work = graph.view().total_work().expect("small");
        // Positions × (25 taps × 3 · 16 + 25 taps × 16 · 16).
        assert_eq!(work.macs.0, 4 * 32 * 32 * 25 * (3 * 16 + 16 * 16));
        // Two for each MAC; a bias and a ReLU for each output of both layers.
        assert_eq!(work.flops.0, 2 * work.macs.0 + 2 * 2 * 4 * 32 * 32 * 16);
        assert_eq!(work.params, 25 * (3 * 16 + 16 * 16) + 2 * 16);
        assert_eq!((graph.name(), graph.names().join(" ").as_str()), ("conv2d_2layer", "conv0 relu0 conv1 relu1"));
    }

    #[test]
    fn an_even_kernel_adds_a_row_and_a_column_a_layer() {
        let graph = stack(2).graph(DataType::Fp32).expect("valid");
        let last = graph.view().tensors().last().expect("not empty");
        assert_eq!(last.shape.extents(), [4, 16, 34, 34]);
    }

    #[test]
    fn a_kernel_of_nothing_is_refused_by_name() {
        let error = stack(0).graph(DataType::Fp32).expect_err("no taps");
        assert!(error.to_string().starts_with("conv0 (conv2d) on [4, 3, 32, 32]: "), "{error}");
    }
}
