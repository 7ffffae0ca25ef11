//! `--spec FILE`: parameter lists in TOML whose product is the plan.
//!
//! ```toml
//! input_dim = [1024]                      # derate sweep mlp
//! hidden = [{ hidden_dims = [2048, 2048, 2048], output_dim = 1024 }]
//! batch_size = [1, 2, 4, 8]
//! precision = ["fp32"]
//! ```
//! ```toml
//! in_channels = [3]                       # derate sweep conv2d
//! out_channels = [16, 32]
//! kernel_size = [1, 3]
//! num_layers = [2]
//! image_size = [56]
//! batch_size = [1, 8]
//! ```

use std::num::{NonZeroU16, NonZeroU32};
use std::path::Path;

use derate_core::shape::Precision;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::net::{Kind, Net};
use super::plan::PlanError;
use crate::zoo::{ConvStack, Mlp};

/// What a file of parameters holds.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) nets: Vec<Net>,
    pub(super) precision: Option<Vec<Precision>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfMlps {
    input_dim: List<NonZeroU32>,
    hidden: List<Hidden>,
    batch_size: List<NonZeroU32>,
    precision: Option<List<Precision>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hidden {
    hidden_dims: List<NonZeroU32>,
    output_dim: NonZeroU32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfStacks {
    in_channels: List<NonZeroU32>,
    out_channels: List<NonZeroU32>,
    kernel_size: List<NonZeroU16>,
    num_layers: List<NonZeroU32>,
    image_size: List<NonZeroU32>,
    batch_size: List<NonZeroU32>,
    precision: Option<List<Precision>>,
}

/// A list of one or more; the parser tells the line of an empty one.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<T>")]
struct List<T>(Vec<T>);

impl<T> TryFrom<Vec<T>> for List<T> {
    type Error = &'static str;

    fn try_from(list: Vec<T>) -> Result<Self, Self::Error> {
        if list.is_empty() { Err("a list must not be empty") } else { Ok(Self(list)) }
    }
}

impl Spec {
    /// Reads the lists for networks of a kind.
    pub(super) fn read(kind: Kind, path: &Path) -> Result<Self, PlanError> {
        Ok(match kind {
            Kind::Mlp => {
                let lists: OfMlps = parse(path)?;
                Self { nets: lists.nets(), precision: lists.precision.map(|list| list.0) }
            }
            Kind::Conv2d => {
                let lists: OfStacks = parse(path)?;
                Self { nets: lists.nets(), precision: lists.precision.map(|list| list.0) }
            }
        })
    }
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, PlanError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| PlanError::Read { path: name.clone(), source })?;
    toml::from_str(&text).map_err(|error| PlanError::Spec { path: name, message: error.to_string().trim().to_owned() })
}

impl OfMlps {
    fn nets(&self) -> Vec<Net> {
        let mut list = Vec::new();
        for input_dim in &self.input_dim.0 {
            for Hidden { hidden_dims, output_dim } in &self.hidden.0 {
                for batch in &self.batch_size.0 {
                    list.push(Net::Mlp(Mlp {
                        input_dim: input_dim.get(),
                        hidden_dims: hidden_dims.0.iter().map(|dim| dim.get()).collect(),
                        output_dim: output_dim.get(),
                        batch: batch.get(),
                    }));
                }
            }
        }
        list
    }
}

impl OfStacks {
    fn nets(&self) -> Vec<Net> {
        let mut list = Vec::new();
        for in_channels in &self.in_channels.0 {
            for out_channels in &self.out_channels.0 {
                for kernel_size in &self.kernel_size.0 {
                    for num_layers in &self.num_layers.0 {
                        for image_size in &self.image_size.0 {
                            list.extend(self.batch_size.0.iter().map(|batch| {
                                Net::Conv2d(ConvStack {
                                    in_channels: in_channels.get(),
                                    out_channels: out_channels.get(),
                                    kernel_size: kernel_size.get(),
                                    num_layers: num_layers.get(),
                                    image_size: image_size.get(),
                                    batch: batch.get(),
                                })
                            }));
                        }
                    }
                }
            }
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, text: &str) -> Result<Spec, String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        Spec::read(kind, file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_wrong_key_is_named_with_its_line() {
        let error = read(Kind::Mlp, "input_dim = [1]\nbatchsize = [1]\n").expect_err("wrong key");
        assert!(error.contains("line 2") && error.contains("batchsize"), "{error}");
        let error = read(Kind::Conv2d, "in_channels = [1]\nout_channels = []\n").expect_err("an empty list");
        assert!(error.contains("line 2") && error.contains("must not be empty"), "{error}");
    }

    #[test]
    fn stacks_are_the_product_of_all_lists() {
        let text = "in_channels = [3]\nout_channels = [8, 16]\nkernel_size = [1, 3]\nnum_layers = [2]\nimage_size = [9]\n\
                    batch_size = [1, 2, 4]\nprecision = [\"bf16\"]\n";
        let spec = read(Kind::Conv2d, text).expect("valid");
        assert_eq!((spec.nets.len(), spec.precision), (12, Some(vec![Precision::Bf16])));
        assert_eq!(spec.nets[5].key(), "3-8-3-2-9@4");
    }
}
