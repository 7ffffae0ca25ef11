//! Values of a graph: tensors that are computed, tensors that are stored, and those nothing is known of.

use std::cell::OnceCell;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::rc::Rc;

use bytes::Bytes;
use derate_core::op::Op;
use derate_core::shape::DataType;
use derate_core::tensor::TensorId;

/// Most elements of a constant whose values are computed with.
pub(super) const KNOWN: u64 = 65_536;

/// What a name of the file stands for.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A tensor of the graph under construction.
    Tensor(TensorId),
    /// Stored with the file, or computed from what is.
    Stored(Rc<Stored>),
    /// Nothing is known, because of this.
    Unknown(String),
}

/// A tensor that does not depend on the inputs.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// Name of the initializer; of a computed constant, of the value.
    pub(super) name: String,
    pub(super) dims: Vec<u32>,
    pub(super) data_type: DataType,
    /// How the file stores its elements: another type than `data_type` after a cast or a dequantization.
    pub(super) storage: DataType,
    /// Whether its elements may have been learned: see [`Names`].
    pub(super) learned: bool,
    /// The stored tensor that it is a part of, and the op that takes the part.
    pub(super) part: Option<(Rc<Stored>, Op)>,
    pub(super) data: Data,
}

/// The elements, where they can be known.
#[derive(Clone, Debug)]
pub(super) struct Data {
    source: Source,
    known: OnceCell<Option<Rc<Elements>>>,
}

/// Where elements lie.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Nowhere.
    None,
    /// Little-endian, one after the other.
    Raw(Bytes),
    /// 32-bit floats.
    Floats(Vec<Bytes>),
    /// 64-bit floats.
    Doubles(Vec<Bytes>),
    /// Variable-length integers.
    Varints(Vec<Bytes>),
    /// In a file of their own, from this byte on.
    File(PathBuf, u64),
}

/// Elements as numbers; truth values are 0 and 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Elements {
    Int(Vec<i64>),
    Float(Vec<f64>),
}

impl Elements {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Int(values) => values.len(),
            Self::Float(values) => values.len(),
        }
    }

    pub(super) fn ints(&self) -> Vec<i64> {
        match self {
            Self::Int(values) => values.clone(),
            #[allow(clippy::cast_possible_truncation, reason = "a cast to integers is meant; it saturates")]
            Self::Float(values) => values.iter().map(|&value| value as i64).collect(),
        }
    }

    pub(super) fn floats(&self) -> Vec<f64> {
        match self {
            #[allow(clippy::cast_precision_loss, reason = "a cast to floats is meant")]
            Self::Int(values) => values.iter().map(|&value| value as f64).collect(),
            Self::Float(values) => values.clone(),
        }
    }

    /// The elements at these positions; `None` where one does not exist.
    pub(super) fn pick(&self, positions: impl Iterator<Item = usize>) -> Option<Self> {
        Some(match self {
            Self::Int(values) => Self::Int(positions.map(|at| values.get(at).copied()).collect::<Option<_>>()?),
            Self::Float(values) => Self::Float(positions.map(|at| values.get(at).copied()).collect::<Option<_>>()?),
        })
    }
}

impl Data {
    pub(super) fn none() -> Self {
        Self::from_source(Source::None)
    }

    pub(super) fn from_source(source: Source) -> Self {
        Self { source, known: OnceCell::new() }
    }

    pub(super) fn from_elements(elements: Elements) -> Self {
        let known = OnceCell::new();
        known.set(Some(Rc::new(elements))).ok();
        Self { source: Source::None, known }
    }
}

/// Whether elements of this type are real numbers.
pub(super) fn is_float(data_type: DataType) -> bool {
    matches!(data_type, DataType::Fp64 | DataType::Fp32 | DataType::Fp16 | DataType::Bf16)
}

/// How a file names what it stores. One number is a parameter only where a module calls it by its name (`pool.p`, `logit_scale`);
/// other names are an exporter's, for what the source wrote as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// By the path of a module: some name has a dot between identifiers.
    Modules,
    /// By anything else.
    Any,
}

impl Names {
    /// How these are named.
    pub(super) fn of<'a>(mut names: impl Iterator<Item = &'a str>) -> Self {
        if names.any(is_path) { Self::Modules } else { Self::Any }
    }

    /// Whether the tensor of this name may be a parameter.
    pub(super) fn may_be_parameter(self, name: &str, dims: &[u32], data_type: DataType) -> bool {
        is_float(data_type)
            && (elements(dims) > 1
                || is_path(name)
                || self == Self::Modules && is_identifier(name) && !is_counted(name))
    }
}

/// Identifiers joined by dots: a module, and what it holds.
fn is_path(name: &str) -> bool {
    name.contains('.') && name.split('.').all(is_identifier)
}

fn is_identifier(part: &str) -> bool {
    !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether a name looks like one that an exporter gave: numbered, private, or as constants are called.
fn is_counted(name: &str) -> bool {
    name.ends_with(|c: char| c.is_ascii_digit())
        || ["_", "val", "const", "Constant", "scalar_tensor"].iter().any(|prefix| name.starts_with(prefix))
}

/// Number of elements; `u64::MAX` beyond it.
pub(super) fn elements(dims: &[u32]) -> u64 {
    dims.iter().fold(1_u64, |product, &extent| product.saturating_mul(u64::from(extent)))
}

impl Stored {
    /// A constant with these values.
    pub(super) fn constant(name: &str, dims: Vec<u32>, data_type: DataType, values: Elements) -> Self {
        Self {
            name: name.to_owned(),
            dims,
            data_type,
            storage: data_type,
            learned: false,
            part: None,
            data: Data::from_elements(values),
        }
    }

    /// A tensor without elements, of a shape with an extent of 0.
    pub(super) fn empty(name: &str, dims: Vec<u32>, data_type: DataType) -> Self {
        Self::constant(name, dims, data_type, Elements::Int(Vec::new()))
    }

    /// A vector of 64-bit integers.
    pub(super) fn vector(name: &str, values: Vec<i64>) -> Self {
        let dims = vec![u32::try_from(values.len()).unwrap_or(u32::MAX)];
        Self::constant(name, dims, DataType::Int64, Elements::Int(values))
    }

    pub(super) fn elements(&self) -> u64 {
        elements(&self.dims)
    }

    /// The elements, of a tensor of at most [`KNOWN`], where they can be known.
    pub(super) fn known(&self) -> Option<Rc<Elements>> {
        self.data
            .known
            .get_or_init(|| if self.elements() > KNOWN { None } else { self.read(KNOWN).map(Rc::new) })
            .clone()
    }

    /// The first elements, `most` at most; `None` where they are not stored.
    pub(super) fn read(&self, most: u64) -> Option<Elements> {
        if let Some(known) = self.data.known.get().and_then(Option::as_ref) {
            return Some(Elements::clone(known));
        }
        let count = usize::try_from(self.elements().min(most)).ok()?;
        // The shape of a scalar is a list of nothing, which has no bytes.
        if count == 0 {
            return Some(if is_float(self.data_type) {
                Elements::Float(Vec::new())
            } else {
                Elements::Int(Vec::new())
            });
        }
        let size = usize::try_from(self.storage.size().0).ok()?;
        // A value after a cast keeps its name, but its bytes are those before.
        if self.storage != self.data_type {
            return None;
        }
        let found = match &self.data.source {
            Source::None => return None,
            Source::Raw(bytes) => raw(bytes.get(..count.checked_mul(size)?)?, self.storage),
            Source::File(path, offset) => {
                let mut file = std::fs::File::open(path).ok()?;
                file.seek(SeekFrom::Start(*offset)).ok()?;
                let mut bytes = vec![0; count.checked_mul(size)?];
                file.read_exact(&mut bytes).ok()?;
                raw(&bytes, self.storage)
            }
            Source::Floats(chunks) => Elements::Float(
                chunks
                    .iter()
                    .flat_map(|chunk| chunk.chunks_exact(4))
                    .take(count)
                    .map(|b| f64::from(f32::from_le_bytes(array(b))))
                    .collect(),
            ),
            Source::Doubles(chunks) => Elements::Float(
                chunks
                    .iter()
                    .flat_map(|chunk| chunk.chunks_exact(8))
                    .take(count)
                    .map(|b| f64::from_le_bytes(array(b)))
                    .collect(),
            ),
            Source::Varints(chunks) => {
                let mut values = Vec::new();
                for chunk in chunks {
                    let mut rest: &[u8] = chunk;
                    while !rest.is_empty() && values.len() < count {
                        let value = prost::encoding::decode_varint(&mut rest).ok()?;
                        values.push(i64::from_le_bytes(value.to_le_bytes()));
                    }
                }
                match self.storage {
                    DataType::Fp16 => Elements::Float(values.iter().map(|&bits| half(low(bits))).collect()),
                    DataType::Bf16 => Elements::Float(values.iter().map(|&bits| brain(low(bits))).collect()),
                    _ => Elements::Int(values),
                }
            }
        };
        (found.len() == count).then_some(found)
    }
}

fn low(bits: i64) -> u16 {
    u16::try_from(bits & 0xffff).unwrap_or(0)
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}

fn raw(bytes: &[u8], data_type: DataType) -> Elements {
    match data_type {
        DataType::Fp64 => Elements::Float(bytes.chunks_exact(8).map(|b| f64::from_le_bytes(array(b))).collect()),
        DataType::Fp32 => {
            Elements::Float(bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(array(b)))).collect())
        }
        DataType::Fp16 => Elements::Float(bytes.chunks_exact(2).map(|b| half(u16::from_le_bytes(array(b)))).collect()),
        DataType::Bf16 => Elements::Float(bytes.chunks_exact(2).map(|b| brain(u16::from_le_bytes(array(b)))).collect()),
        DataType::Int64 => Elements::Int(bytes.chunks_exact(8).map(|b| i64::from_le_bytes(array(b))).collect()),
        DataType::Int32 => {
            Elements::Int(bytes.chunks_exact(4).map(|b| i64::from(i32::from_le_bytes(array(b)))).collect())
        }
        DataType::Int16 => {
            Elements::Int(bytes.chunks_exact(2).map(|b| i64::from(i16::from_le_bytes(array(b)))).collect())
        }
        DataType::Int8 => Elements::Int(bytes.iter().map(|&b| i64::from(i8::from_le_bytes([b]))).collect()),
        // Truth values, and types to come.
        _ => Elements::Int(bytes.iter().map(|&b| i64::from(b != 0)).collect()),
    }
}

/// A 16-bit float (IEEE 754 binary16).
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from((bits >> 10) & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
    }
}

/// The upper half of a 32-bit float.
fn brain(bits: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(bits) << 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_by_hand() {
        assert_eq!(
            [half(0x3c00), half(0xc000), half(0x7c00), half(0x0001)],
            [1.0, -2.0, f64::INFINITY, 2_f64.powi(-24)]
        );
        assert_eq!([brain(0x3f80), brain(0xc0a0)], [1.0, -5.0]);
    }

    #[test]
    fn packed_integers_are_read_where_asked_for() {
        let stored = Stored {
            data: Data::from_source(Source::Varints(vec![Bytes::from_static(&[0x96, 0x01]), Bytes::from_static(&[3])])),
            ..Stored::vector("v", vec![0, 0])
        };
        assert_eq!(stored.known().as_deref(), Some(&Elements::Int(vec![150, 3])));
    }
}
