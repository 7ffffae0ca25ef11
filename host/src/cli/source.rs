//! Where a network comes from: what every verb that reads one takes.
#![allow(clippy::doc_markdown, reason = "these comments are printed as they stand, as help")]

use anyhow::{Context, Result, bail};
use clap::Args;
use derate_core::shape::DataType;

use crate::import::{Import, Options, import};
use crate::rebatch::rebatched;

/// A network, and what its file leaves open.
#[derive(Debug, Args)]
pub struct Source {
    /// The network: a file (ONNX, .pt2, TorchScript, TFLite, JSON), a description such as `gemm:64x512x512` or
    /// `conv2d:1x3x224x224,64,k7,s2,p3`, or one of the zoo, `zoo:resnet18@1`.
    pub source: String,
    /// Batch: extent of the outermost axis of the inputs, whether the file leaves it open or fixes another.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
    /// Extent of a dimension that the file names; may be given several times.
    #[arg(long = "dim", value_name = "NAME=VALUE", value_parser = dimension)]
    pub dims: Vec<(String, u32)>,
    /// Shape of the next input, such as `1x3x224x224`, for files that do not hold it (TorchScript); once for each input.
    #[arg(long = "input", value_name = "SHAPE", value_parser = shape)]
    pub inputs: Vec<Extents>,
}

/// Extents of a shape, outermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extents(pub Vec<u32>);

impl Source {
    /// Reads the network; one that is described rather than read has tensors of this data type.
    ///
    /// # Errors
    /// A dimension that is given twice; what [`import`] refuses; a network that cannot run at that batch.
    pub fn read(&self, data_type: DataType) -> Result<Import> {
        let mut import = import(&self.source, &self.options(data_type)?)?;
        // What the file fixes is another batch of the same network.
        if let Some(batch) = self.batch {
            import.graph = rebatched(&import.graph, batch).with_context(|| self.source.clone())?;
        }
        Ok(import)
    }

    /// What the command line says of what the file leaves open.
    fn options(&self, data_type: DataType) -> Result<Options> {
        let inputs = self.inputs.iter().map(|extents| extents.0.clone()).collect();
        let mut options = Options { batch: self.batch, inputs, data_type, ..Options::default() };
        for (name, value) in &self.dims {
            if let Some(other) = options.dims.insert(name.clone(), *value)
                && other != *value
            {
                bail!("--dim {name} is given twice, as {other} and as {value}");
            }
        }
        Ok(options)
    }
}

pub(super) fn dimension(text: &str) -> Result<(String, u32), String> {
    let allowed = || "it must be NAME=VALUE, the value a whole number, 1 or more".to_owned();
    let (name, value) = text.split_once('=').ok_or_else(allowed)?;
    let value = value.parse().ok().filter(|&value: &u32| value > 0 && !name.is_empty()).ok_or_else(allowed)?;
    Ok((name.to_owned(), value))
}

pub(super) fn shape(text: &str) -> Result<Extents, String> {
    let allowed = "it must be whole numbers, 1 or more, with `x` between, such as 1x3x224x224";
    let extent = |part: &str| part.parse().ok().filter(|&extent: &u32| extent > 0);
    text.split('x').map(extent).collect::<Option<Vec<u32>>>().map(Extents).ok_or_else(|| allowed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        source: Source,
    }

    fn options(line: &str) -> Result<Options> {
        let line = Line::try_parse_from(line.split(' ')).map_err(|error| anyhow::anyhow!("{error}"))?;
        line.source.options(DataType::Fp32)
    }

    #[test]
    fn values_that_the_file_leaves_open_are_handed_on() {
        let options = options("x x.pt --batch 4 --dim seq=128 --input 1x3x8x8 --input 5").expect("valid");
        assert_eq!((options.batch, options.dims.get("seq")), (Some(4), Some(&128)));
        assert_eq!(options.inputs, [vec![1, 3, 8, 8], vec![5]]);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for (line, said) in [
            ("x x.pt --dim seq=1 --dim seq=2", "--dim seq is given twice, as 1 and as 2"),
            ("x x.pt --dim seq=0", "it must be NAME=VALUE"),
            ("x x.pt --input 1x0", "it must be whole numbers"),
        ] {
            let error = options(line).expect_err(line).to_string();
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
