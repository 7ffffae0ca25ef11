//! A look at the bytes before they are decoded: how much memory their messages would take.
//!
//! A message of two bytes becomes a structure of hundreds: a small hostile file could fill the memory. The walk follows the
//! messages of the schema only, skips over all data, and stops where they would take more than [`MOST`].

use super::proto;

/// Most bytes of decoded structures; a network of a hundred thousand nodes takes a tenth.
const MOST: usize = 200 << 20;

/// Deepest nesting of graphs in attributes.
const DEEPEST: u32 = 24;

/// Kinds of messages with their fields that are messages.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    /// Of small messages and numbers.
    Other,
}

impl Kind {
    fn size(self) -> usize {
        match self {
            Self::Model => size_of::<proto::Model>(),
            Self::Graph => size_of::<proto::Graph>(),
            Self::Node => size_of::<proto::Node>(),
            Self::Attribute => size_of::<proto::Attribute>(),
            Self::Tensor => size_of::<proto::Tensor>(),
            Self::Value => size_of::<proto::ValueInfo>(),
            Self::Other => size_of::<proto::Dimension>(),
        }
    }

    /// The kind of a field; `None` for bytes and text.
    fn field(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::Model, 7) | (Self::Attribute, 6) => Self::Graph,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5) => Self::Tensor,
            (Self::Graph, 11..=13) => Self::Value,
            (Self::Node, 5) => Self::Attribute,
            (Self::Model, 8) | (Self::Graph, 15) | (Self::Tensor, 13) | (Self::Value | Self::Other, _) => Self::Other,
            _ => return None,
        })
    }
}

/// Refuses bytes that are cut short, or whose messages take too much memory.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let mut budget = MOST;
    walk(bytes, Kind::Model, 0, &mut budget)
}

fn charge(budget: &mut usize, bytes: usize) -> Result<(), String> {
    *budget = budget.checked_sub(bytes).ok_or_else(|| {
        format!("not an ONNX model that can be read: its structure needs more than {} MiB", MOST >> 20)
    })?;
    Ok(())
}

fn walk(bytes: &[u8], kind: Kind, depth: u32, budget: &mut usize) -> Result<(), String> {
    let cut = |_| "not an ONNX model, or cut short: a field ends beyond its message".to_owned();
    if depth > DEEPEST {
        return Err(format!("graphs and types are nested deeper than {DEEPEST} levels"));
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        let key = prost::encoding::decode_varint(&mut rest).map_err(|_| cut(()))?;
        let skip = match key & 7 {
            0 => {
                prost::encoding::decode_varint(&mut rest).map_err(|_| cut(()))?;
                // A list of integers keeps eight bytes, and twice that while it grows.
                charge(budget, 16)?;
                0
            }
            1 => 8,
            2 => {
                let length = prost::encoding::decode_varint(&mut rest).map_err(|_| cut(()))?;
                let length = usize::try_from(length).map_err(|_| cut(()))?;
                let inner = rest.get(..length).ok_or_else(|| cut(()))?;
                match kind.field(key >> 3) {
                    // What is not read costs nothing; text and lists of numbers are small, or their bytes are charged as elements.
                    None if matches!(kind, Kind::Tensor) => charge(budget, 64)?,
                    None if matches!(kind, Kind::Attribute) && matches!(key >> 3, 7 | 8) => {
                        charge(budget, length.saturating_mul(16))?;
                    }
                    None if matches!(kind, Kind::Attribute) => charge(budget, 64)?,
                    None => charge(budget, length.saturating_add(64))?,
                    // Leaves of `Other` are text, which need not be made of messages: their cost is their length.
                    Some(Kind::Other) => {
                        charge(budget, length.saturating_mul(8).saturating_add(2 * Kind::Other.size()))?
                    }
                    Some(field) => {
                        charge(budget, 2 * field.size())?;
                        walk(inner, field, depth.saturating_add(1), budget)?;
                    }
                }
                length
            }
            5 => {
                charge(budget, 16)?;
                4
            }
            other => return Err(format!("not an ONNX model: wire type {other} does not exist in it")),
        };
        rest = rest.get(skip..).ok_or_else(|| cut(()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_cannot_ask_for_much_memory() {
        // A graph of two million empty nodes: four million bytes that would become half a gigabyte.
        let nodes = [0x0a, 0x00].repeat(2_000_000);
        let mut file = vec![0x3a];
        prost::encoding::encode_varint(nodes.len() as u64, &mut file);
        file.extend(nodes);
        assert!(check(&file).is_err_and(|error| error.contains("MiB")));
        assert!(check(&[0x3a, 0x05, 0x0a]).is_err_and(|error| error.contains("cut short")));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let mut inner = Vec::new();
        for _ in 0..60 {
            for tag in [0x32, 0x2a, 0x0a] {
                let mut outer = vec![tag];
                prost::encoding::encode_varint(inner.len() as u64, &mut outer);
                outer.extend(&inner);
                inner = outer;
            }
        }
        let mut file = vec![0x3a];
        prost::encoding::encode_varint(inner.len() as u64, &mut file);
        file.extend(inner);
        assert!(check(&file).is_err_and(|error| error.contains("nested")));
    }
}
