//! Graphs from a short description: `gemm:512x512x512`, `conv2d:1x64x56x56,64,k3,p1`, `mlp:512-[512,512]-128@32`,
//! `attention:8x12x197x64`, `op:relu:1x64x56x56`, `zoo:resnet18@8`.

use derate_core::op::{Attention, Conv, MatMul, Op, Window, Windows};
use derate_core::tensor::TensorKind;

mod ops;

pub use ops::{describe, graph_of};

use super::build::Builder;
use super::{Import, ImportError, Options};
use crate::graph_buf::GraphError;
use crate::zoo::{self, Mlp};

/// The forms of a description, for messages.
pub const FORMS: &str = "gemm:[BATCHx]MxNxK, conv2d:NxCINxHxW,COUT,kKERNEL[,sSTRIDE][,pPADDING][,dDILATION][,gGROUPS], \
                         mlp:IN-[H1,H2,…]-OUT[@BATCH], attention:BATCHxHEADSxLENGTHxDEPTH, \
                         op:NAME[,ATTRIBUTE…][/NAME…]:SHAPE[+SHAPE…], zoo:NAME[@BATCH]";

/// What describes a kind of graph.
type Describe = fn(&Description<'_>) -> Result<Import, ImportError>;

/// Prefix, grammar, and what builds it.
const KINDS: [(&str, &str, Describe); 6] = [
    ("gemm", "gemm:[BATCHx]MxNxK", gemm),
    (
        "conv2d",
        "conv2d:NxCINxHxW,COUT,kKERNEL[,sSTRIDE][,pPADDING][,dDILATION][,gGROUPS]; 3 or 3x5 for both axes",
        conv2d,
    ),
    ("mlp", "mlp:IN-[H1,H2,…]-OUT[@BATCH]", mlp),
    ("attention", "attention:BATCHxHEADSxLENGTHxDEPTH", attention),
    ("op", "op:NAME[,ATTRIBUTE…][,@TENSOR…][/NAME…]:SHAPE[+SHAPE…]", ops::read),
    ("zoo", "zoo:NAME[@BATCH]", network),
];

/// Most hidden layers of a perceptron.
const MOST_LAYERS: usize = 10_000;

/// A description that is being read.
struct Description<'a> {
    /// All of it.
    source: &'a str,
    /// What follows the prefix.
    body: &'a str,
    grammar: &'static str,
    options: &'a Options,
}

/// The graph of a description; `None` for what does not begin as one. Tensors are of [`Options::data_type`]; [`Options::batch`]
/// stands where the description leaves its batch out.
///
/// # Errors
/// [`ImportError`] naming the piece that is wrong, with the grammar; and what core refuses.
#[must_use]
pub fn read(source: &str, options: &Options) -> Option<Result<Import, ImportError>> {
    let (prefix, body) = source.split_once(':')?;
    let &(_, grammar, describe) = KINDS.iter().find(|(name, ..)| *name == prefix)?;
    Some(describe(&Description { source, body, grammar, options }))
}

impl Description<'_> {
    /// An error about a piece of the description.
    fn wrong(&self, piece: &str, problem: &str) -> ImportError {
        let cut = |text: &str| {
            if text.chars().count() > 80 { text.chars().take(80).chain(['…']).collect() } else { text.to_owned() }
        };
        let at = if piece.is_empty() { "an empty piece".to_owned() } else { format!("\"{}\"", cut(piece)) };
        let message = format!("{problem}; the form is {}", self.grammar);
        ImportError { file: cut(self.source), at: Some(at), message }
    }

    /// A count of at least 1.
    fn count<T: TryFrom<u32>>(&self, piece: &str, what: &str) -> Result<T, ImportError> {
        let digits = !piece.is_empty() && piece.bytes().all(|byte| byte.is_ascii_digit());
        let number = piece.parse::<u32>().ok().filter(|&number| digits && number > 0);
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
            let most = if size_of::<T>() == 2 { u32::from(u16::MAX) } else { u32::MAX };
            self.wrong(piece, &format!("no {what}: a number from 1 to {most} is needed"))
        })
    }

    /// Extents with `x` between them.
    fn extents(&self, piece: &str, names: &[&str]) -> Result<Vec<u32>, ImportError> {
        let parts: Vec<&str> = piece.split('x').collect();
        if parts.len() != names.len() {
            return Err(
                self.wrong(piece, &format!("{} extents; {} are needed: {}", parts.len(), names.len(), names.join("x")))
            );
        }
        parts.into_iter().zip(names).map(|(part, name)| self.count(part, name)).collect()
    }

    /// What stands before `@`, and the batch after it; without one that of the options, or 1.
    fn batch<'b>(&self, body: &'b str) -> Result<(&'b str, u32), ImportError> {
        match body.rsplit_once('@') {
            Some((before, batch)) => Ok((before, self.count(batch, "batch")?)),
            None => Ok((body, self.options.batch.unwrap_or(1))),
        }
    }

    /// A graph in which one op reads inputs.
    fn one(&self, op: Op, inputs: &[(&str, &[u32])]) -> Result<Import, ImportError> {
        let mut builder = Builder::new(self.source, self.source);
        let mut operands = Vec::new();
        for (name, extents) in inputs {
            operands.push(builder.source(name, extents, self.options.data_type, TensorKind::Input)?);
        }
        builder.op(op.name(), op, &operands)?;
        builder.finish()
    }

    fn refused(&self, error: &GraphError) -> ImportError {
        ImportError { file: self.source.to_owned(), at: None, message: error.to_string() }
    }
}

/// C [m × n] = A [m × k] · B [k × n]; both operands are inputs.
fn gemm(d: &Description<'_>) -> Result<Import, ImportError> {
    let op = Op::MatMul(MatMul { transpose_a: false, transpose_b: false });
    if d.body.split('x').count() == 4 {
        let extents = d.extents(d.body, &["BATCH", "M", "N", "K"])?;
        let &[batch, m, n, k] = extents.as_slice() else { return Err(d.wrong(d.body, "no four extents")) };
        return d.one(op, &[("a", &[batch, m, k]), ("b", &[batch, k, n])]);
    }
    let extents = d.extents(d.body, &["M", "N", "K"])?;
    let &[m, n, k] = extents.as_slice() else { return Err(d.wrong(d.body, "no three extents")) };
    d.one(op, &[("a", &[m, k]), ("b", &[k, n])])
}

/// Queries, keys and values `[batch, heads, length, depth]`.
fn attention(d: &Description<'_>) -> Result<Import, ImportError> {
    let extents = d.extents(d.body, &["BATCH", "HEADS", "LENGTH", "DEPTH"])?;
    let operands = ["q", "k", "v"].map(|name| (name, extents.as_slice()));
    d.one(Op::Attention(Attention { causal: false }), &operands)
}

/// A convolution without bias.
fn conv2d(d: &Description<'_>) -> Result<Import, ImportError> {
    let mut pieces = d.body.split(',');
    let input = pieces.next().unwrap_or_default();
    let extents = d.extents(input, &["N", "CIN", "H", "W"])?;
    let c_in = extents.get(1).copied().unwrap_or(1);
    let c_out = d.count(pieces.next().unwrap_or_default(), "number of channels COUT")?;
    let (mut kernel, mut stride, mut padding, mut dilation, mut groups) = (None, None, None, None, None);
    for piece in pieces {
        let end = piece.chars().next().map_or(0, char::len_utf8);
        let (letter, value) = piece.split_at(end);
        let place = match letter {
            "k" => &mut kernel,
            "s" => &mut stride,
            "p" => &mut padding,
            "d" => &mut dilation,
            "g" if groups.is_none() => {
                groups = Some(d.count::<u32>(value, "number of groups")?);
                continue;
            }
            "g" => return Err(d.wrong(piece, "given twice")),
            _ => return Err(d.wrong(piece, "unknown; k, s, p, d and g are known")),
        };
        if place.replace(pair(d, piece, value)?).is_some() {
            return Err(d.wrong(piece, "given twice"));
        }
    }
    let kernel = kernel.ok_or_else(|| d.wrong(d.body, "no kernel, such as k3"))?;
    let (stride, dilation) = (stride.unwrap_or([1; 2]), dilation.unwrap_or([1; 2]));
    let padding = padding.unwrap_or([0; 2]);
    for (letter, values) in [('k', kernel), ('s', stride), ('d', dilation)] {
        if values.contains(&0) {
            return Err(d.wrong(&format!("{letter}0"), "0; a number from 1 to 65535 is needed"));
        }
    }
    let windows: Vec<Window> = (0..2)
        .map(|axis| Window {
            kernel: kernel[axis],
            stride: stride[axis],
            padding: [padding[axis]; 2],
            dilation: dilation[axis],
        })
        .collect();
    let windows = Windows::new(&windows).map_err(|error| d.wrong(d.body, &error.to_string()))?;
    let conv = Conv { c_in, c_out, groups: groups.unwrap_or(1), windows, bias: false, weights: None };
    d.one(Op::Conv(conv), &[("input", &extents)])
}

/// `3` for both axes, `3x5` for each.
fn pair(d: &Description<'_>, piece: &str, value: &str) -> Result<[u16; 2], ImportError> {
    let number = |part: &str| {
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u16>().ok().filter(|_| digits).ok_or_else(|| {
            d.wrong(piece, "a letter and a number from 0 to 65535, or two with x between them, are needed")
        })
    };
    match value.split_once('x') {
        Some((h, w)) => Ok([number(h)?, number(w)?]),
        None => Ok([number(value)?; 2]),
    }
}

/// Linear layers with bias, ReLU between them.
fn mlp(d: &Description<'_>) -> Result<Import, ImportError> {
    let (layers, batch) = d.batch(d.body)?;
    let pieces = layers.split_once("-[").and_then(|(input, rest)| {
        let (hidden, output) = rest.split_once("]-")?;
        Some((input, hidden, output))
    });
    let (input, hidden, output) =
        pieces.ok_or_else(|| d.wrong(layers, "no hidden layers in brackets between two dashes"))?;
    let hidden: Vec<&str> = hidden.split(',').collect();
    if hidden.len() > MOST_LAYERS {
        return Err(d.wrong(layers, &format!("{} hidden layers; at most {MOST_LAYERS} are possible", hidden.len())));
    }
    let mlp = Mlp {
        input_dim: d.count(input, "input features")?,
        hidden_dims: hidden.iter().map(|piece| d.count(piece.trim(), "hidden features")).collect::<Result<_, _>>()?,
        output_dim: d.count(output, "output features")?,
        batch,
    };
    let graph = mlp.graph(d.options.data_type).map_err(|error| d.refused(&error))?;
    Ok(Import { graph, unsupported: Vec::new(), bookkeeping: 0 })
}

/// A network of the zoo.
fn network(d: &Description<'_>) -> Result<Import, ImportError> {
    let (name, batch) = d.batch(d.body)?;
    let graph = zoo::network(name, batch, d.options.data_type).map_err(|error| d.wrong(name, &error.to_string()))?;
    Ok(Import { graph, unsupported: Vec::new(), bookkeeping: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use derate_core::graph::Tables;
    use derate_core::shape::DataType;

    fn macs(source: &str) -> u64 {
        let import = read(source, &Options::default()).expect("a description").expect("valid");
        import.graph.view().total_work().expect("small").macs.0
    }

    fn error(source: &str) -> String {
        read(source, &Options::default()).expect("a description").expect_err("wrong").to_string()
    }

    #[test]
    fn macs_by_hand() {
        assert_eq!(macs("gemm:32x64x128"), 32 * 64 * 128);
        assert_eq!(macs("gemm:4x32x64x128"), 4 * 32 * 64 * 128);
        // 28 · 28 outputs of 64 channels, each of 3 · 3 taps of 16 channels.
        assert_eq!(macs("conv2d:2x32x56x56,64,k3,s2,p1,g2"), 2 * 28 * 28 * 64 * 9 * 16);
        // (10 + 0 − 1) outputs along the height by (12 + 4 − 3 · 2 − 1 + 1) along the width.
        assert_eq!(macs("conv2d:1x1x10x12,1,k2x4,p0x2,d1x2"), 9 * 10 * 8);
        assert_eq!(macs("mlp:512-[512,512]-128@32"), 32 * (2 * 512 * 512 + 512 * 128));
        assert_eq!(macs("attention:2x12x197x64"), 2 * 12 * 197 * 197 * 128);
        assert_eq!(macs("zoo:resnet18@2"), 2 * 1_814_073_344);
    }

    #[test]
    fn options_give_data_type_and_batch() {
        let options = Options { batch: Some(8), data_type: DataType::Int8, ..Options::default() };
        let import = read("mlp:4-[8]-2", &options).expect("a description").expect("valid");
        let input = import.graph.view().tensors()[0];
        assert_eq!((input.shape.extents(), input.data_type), (&[8, 4][..], DataType::Int8));
    }

    #[test]
    fn what_is_wrong_is_named_with_the_form() {
        for (source, piece) in [
            ("gemm:32x64", "\"32x64\": 2 extents; 3 are needed: MxNxK"),
            ("gemm:32x-4x8", "\"-4\": no N"),
            ("gemm:", "an empty piece: 1 extents"),
            ("gemm:1x2x99999999999", "\"99999999999\": no K: a number from 1 to 4294967295"),
            ("conv2d:1x3x8x8,16", "no kernel, such as k3"),
            ("conv2d:1x3x8x8,16,k3,q2", "\"q2\": unknown"),
            ("conv2d:1x3x8x8,16,k3,k5", "\"k5\": given twice"),
            ("conv2d:1x3x8x8,16,k70000", "\"k70000\""),
            ("conv2d:1x3x8x8,16,k3,s0", "\"s0\": 0;"),
            ("conv2d:1x3x8x8,16,é", "\"é\": unknown"),
            ("conv2d:1x3x8x8,16,k9", "conv2d"),
            ("mlp:4-8-2", "\"4-8-2\": no hidden layers in brackets"),
            ("mlp:4-[]-2", "an empty piece: no hidden features"),
            ("attention:1x2x3", "4 are needed"),
            ("zoo:resnet81@2", "did you mean resnet18?"),
            ("zoo:resnet18@0", "\"0\": no batch"),
        ] {
            let message = error(source);
            assert!(message.contains(piece), "{source}: {message}");
        }
        assert!(error("gemm:1x").contains("the form is gemm:[BATCHx]MxNxK"));
    }

    #[test]
    fn what_does_not_begin_as_a_description_is_none() {
        for source in ["model.onnx", "C:\\model.tflite", "gem:1x2x3", ""] {
            assert!(read(source, &Options::default()).is_none(), "{source}");
        }
    }
}
