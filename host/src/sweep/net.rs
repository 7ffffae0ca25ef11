//! Networks of a sweep: MLPs or stacks of convolutions, and the columns in which a CSV holds their shape.

use derate_core::shape::DataType;

use crate::graph_buf::{GraphBuf, GraphError};
use crate::zoo::{ConvStack, Mlp};

/// Which networks a sweep is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Multi-layer perceptrons.
    Mlp,
    /// Stacks of convolutions.
    Conv2d,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Mlp, Self::Conv2d];

    /// Name of the verb below `derate sweep`, and first part of the names of result files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mlp => "mlp",
            Self::Conv2d => "conv2d",
        }
    }

    /// Columns of a CSV that hold the shape of a network, in their order; the batch is the last.
    #[must_use]
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Mlp => &["input_dim", "hidden_dims", "output_dim", "batch_size"],
            Self::Conv2d => &["in_channels", "out_channels", "kernel_size", "num_layers", "image_size", "batch_size"],
        }
    }

    /// What [`Net::layers`] counts, in the singular.
    #[must_use]
    pub const fn layer(self) -> &'static str {
        match self {
            Self::Mlp => "hidden layer",
            Self::Conv2d => "convolution",
        }
    }
}

/// One network of a sweep.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Net {
    /// Linear layers with ReLU between.
    Mlp(Mlp),
    /// Convolutions with ReLU after each.
    Conv2d(ConvStack),
}

impl From<Mlp> for Net {
    fn from(mlp: Mlp) -> Self {
        Self::Mlp(mlp)
    }
}

impl From<ConvStack> for Net {
    fn from(stack: ConvStack) -> Self {
        Self::Conv2d(stack)
    }
}

/// A cell of a shape that cannot be read: its column, and what may stand there.
pub type WrongCell = (&'static str, &'static str);

impl Net {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Mlp(_) => Kind::Mlp,
            Self::Conv2d(_) => Kind::Conv2d,
        }
    }

    /// Name of the model, as rows have it: `mlp_2layer`, `conv2d_3layer`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Mlp(mlp) => mlp.name(),
            Self::Conv2d(stack) => stack.name(),
        }
    }

    /// Short name for reports: kind, shape, batch.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Mlp(Mlp { input_dim, hidden_dims, output_dim, batch }) => {
                let hidden = hidden_dims.iter().map(u32::to_string).collect::<Vec<_>>().join("-");
                format!("mlp {input_dim}-{hidden}-{output_dim} @{batch}")
            }
            Self::Conv2d(ConvStack { in_channels, out_channels, kernel_size, num_layers, image_size, batch }) => {
                format!("conv2d {in_channels}-{out_channels} k{kernel_size} x{num_layers} {image_size}px @{batch}")
            }
        }
    }

    /// Samples of the input.
    #[must_use]
    pub const fn batch(&self) -> u32 {
        match self {
            Self::Mlp(mlp) => mlp.batch,
            Self::Conv2d(stack) => stack.batch,
        }
    }

    /// The same network on another batch.
    #[must_use]
    pub fn with_batch(&self, batch: u32) -> Self {
        match self {
            Self::Mlp(mlp) => Self::Mlp(Mlp { batch, ..mlp.clone() }),
            Self::Conv2d(stack) => Self::Conv2d(ConvStack { batch, ..stack.clone() }),
        }
    }

    /// Hidden layers of an MLP, convolutions of a stack.
    #[must_use]
    pub fn layers(&self) -> usize {
        match self {
            Self::Mlp(mlp) => mlp.hidden_dims.len(),
            Self::Conv2d(stack) => usize::try_from(stack.num_layers).unwrap_or(usize::MAX),
        }
    }

    /// The network as a graph.
    ///
    /// # Errors
    /// [`GraphError`] for an extent of zero, or counts that overflow.
    pub fn graph(&self, data_type: DataType) -> Result<GraphBuf, GraphError> {
        match self {
            Self::Mlp(mlp) => mlp.graph(data_type),
            Self::Conv2d(stack) => stack.graph(data_type),
        }
    }

    /// Cells of its shape, in the order of [`Kind::columns`].
    #[must_use]
    pub fn cells(&self) -> Vec<String> {
        match self {
            Self::Mlp(Mlp { input_dim, hidden_dims, output_dim, batch }) => {
                vec![input_dim.to_string(), format!("{hidden_dims:?}"), output_dim.to_string(), batch.to_string()]
            }
            Self::Conv2d(ConvStack { in_channels, out_channels, kernel_size, num_layers, image_size, batch }) => {
                let kernel = u32::from(*kernel_size);
                [*in_channels, *out_channels, kernel, *num_layers, *image_size, *batch].map(|n| n.to_string()).to_vec()
            }
        }
    }

    /// The network whose shape stands in these cells.
    ///
    /// # Errors
    /// The first column that does not hold what it must, and what that is.
    pub fn of_cells<'a>(kind: Kind, cell: impl Fn(&'static str) -> Option<&'a str>) -> Result<Self, WrongCell> {
        let whole = |column: &'static str| {
            let value = cell(column).and_then(|text| text.trim().parse::<u32>().ok()).filter(|&value| value > 0);
            value.ok_or((column, "it must be a whole number above 0"))
        };
        Ok(match kind {
            Kind::Mlp => Self::Mlp(Mlp {
                input_dim: whole("input_dim")?,
                hidden_dims: cell("hidden_dims")
                    .and_then(list)
                    .ok_or(("hidden_dims", "it must be a list like [512, 512] of whole numbers above 0"))?,
                output_dim: whole("output_dim")?,
                batch: whole("batch_size")?,
            }),
            Kind::Conv2d => Self::Conv2d(ConvStack {
                in_channels: whole("in_channels")?,
                out_channels: whole("out_channels")?,
                kernel_size: u16::try_from(whole("kernel_size")?)
                    .map_err(|_| ("kernel_size", "it must be a whole number from 1 to 65535"))?,
                num_layers: whole("num_layers")?,
                image_size: whole("image_size")?,
                batch: whole("batch_size")?,
            }),
        })
    }

    /// What tells the network from all others of a sweep: its cells, the batch after `@`.
    #[must_use]
    pub fn key(&self) -> String {
        let cells = self.cells();
        match cells.split_last() {
            Some((batch, shape)) => format!("{}@{batch}", shape.join("-")),
            None => String::new(),
        }
    }
}

/// `[512, 512]`.
fn list(text: &str) -> Option<Vec<u32>> {
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    let values: Option<Vec<u32>> =
        inner.split(',').map(|text| text.trim().parse::<u32>().ok().filter(|&value| value > 0)).collect();
    values.filter(|values| !values.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_read_as_they_were_written() {
        let mlp = Mlp { input_dim: 12, hidden_dims: vec![3, 4], output_dim: 5, batch: 6 };
        let stack =
            ConvStack { in_channels: 3, out_channels: 8, kernel_size: 5, num_layers: 2, image_size: 32, batch: 7 };
        for (net, key) in [(Net::from(mlp), "12-[3, 4]-5@6"), (Net::from(stack), "3-8-5-2-32@7")] {
            let (columns, cells) = (net.kind().columns(), net.cells());
            assert_eq!(columns.len(), cells.len());
            let cell = |column| columns.iter().position(|name| *name == column).map(|at| cells[at].as_str());
            assert_eq!(Net::of_cells(net.kind(), cell), Ok(net.clone()));
            assert_eq!(net.key(), key);
            let wrong = |column| if column == "batch_size" { Some("0") } else { cell(column) };
            assert_eq!(Net::of_cells(net.kind(), wrong), Err(("batch_size", "it must be a whole number above 0")));
        }
    }
}
