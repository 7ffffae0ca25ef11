//! Multi-layer perceptrons: linear layers with bias, ReLU between them.

use derate_core::op::ActivationKind;
use derate_core::shape::DataType;

use super::net::Net;
use crate::graph_buf::{GraphBuf, GraphError};

/// Shape of an MLP: input → h1 → … → hN → output, N + 1 linear layers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mlp {
    /// Features of the input.
    pub input_dim: u32,
    /// Features of each hidden layer, at least one.
    pub hidden_dims: Vec<u32>,
    /// Features of the output.
    pub output_dim: u32,
    /// Rows of the input.
    pub batch: u32,
}

impl Mlp {
    /// `mlp_Nlayer`, N the number of hidden dimensions.
    #[must_use]
    pub fn name(&self) -> String {
        format!("mlp_{}layer", self.hidden_dims.len())
    }

    /// Networks that `derate verify` measures: in no plan of `derate sweep mlp` but perhaps one of your own (`--spec`), and of sizes
    /// between those that are.
    #[must_use]
    pub fn unseen() -> Vec<Self> {
        let mlp = |input_dim, hidden_dims: &[u32], output_dim, batch| Self {
            input_dim,
            hidden_dims: hidden_dims.to_vec(),
            output_dim,
            batch,
        };
        vec![
            mlp(384, &[640], 96, 8),
            mlp(900, &[1800, 600], 50, 48),
            mlp(1536, &[768, 768], 200, 24),
            mlp(192, &[320, 320, 320], 64, 2),
            mlp(2500, &[1200, 1200, 400], 150, 160),
        ]
    }

    /// The network as a graph; ReLU gives a new tensor, as `nn.ReLU()` does.
    ///
    /// # Errors
    /// [`GraphError`] for a dimension of zero, or counts that overflow.
    pub fn graph(&self, data_type: DataType) -> Result<GraphBuf, GraphError> {
        let mut net = Net::new(self.name(), data_type);
        let mut x = net.input(self.batch, &[self.input_dim])?;
        for (index, &out_features) in self.hidden_dims.iter().enumerate() {
            x = net.linear(format_args!("linear{index}"), x, out_features)?;
            x = net.activation(format_args!("relu{index}"), x, ActivationKind::Relu)?;
        }
        net.linear(format_args!("linear{}", self.hidden_dims.len()), x, self.output_dim)?;
        Ok(net.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use derate_core::graph::Tables;

    #[test]
    fn counts_by_hand() {
        let mlp = Mlp { input_dim: 512, hidden_dims: vec![512, 512], output_dim: 128, batch: 32 };
        let graph = mlp.graph(DataType::Fp32).expect("valid");
        let work = graph.view().total_work().expect("small");
        // Rows × (512·512 + 512·512 + 512·128).
        assert_eq!(work.macs.0, 32 * (2 * 512 * 512 + 512 * 128));
        // Two for each MAC; a bias for each of 512 + 512 + 128 outputs; a ReLU for each of 512 + 512.
        assert_eq!(work.flops.0, 2 * work.macs.0 + 32 * (512 + 512 + 128) + 32 * (512 + 512));
        assert_eq!(work.params, 2 * (512 * 512 + 512) + 512 * 128 + 128);
        assert_eq!((mlp.name().as_str(), graph.names().len()), ("mlp_2layer", 5));
    }
}
