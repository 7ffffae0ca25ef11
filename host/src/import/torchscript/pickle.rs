//! A reader of the pickles in TorchScript files: names, numbers, objects with their attributes, and tensors without their data.
//!
//! Nothing is executed: a class is a name, and of functions only those that rebuild tensors are known. Values lie in one list and
//! refer to each other by number, so that no nesting, cycle or repetition costs more than its bytes.

use std::borrow::Cow;
use std::collections::HashMap;

/// Most values of a pickle.
const MAX_VALUES: usize = 2_000_000;

/// Most instructions of a pickle: a value takes two or three.
const MAX_STEPS: usize = 8_000_000;

/// Most bytes of names and lists that are copied from one value to another.
const MAX_COPIED: usize = 16 << 20;

/// Number of a value in its pickle.
pub(super) type Id = u32;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    /// Keys and values, one after the other.
    Dict(Vec<Id>),
    /// A class or function, by its qualified name.
    Global(String),
    /// An object of a class, with its attributes.
    Object {
        class: String,
        state: Option<Id>,
    },
    /// A storage: its key and the name of its type.
    Storage {
        key: String,
        element: String,
    },
    /// A tensor: its storage, its offset there, its extents, and whether it is learned.
    Tensor {
        storage: Id,
        offset: i64,
        extents: Vec<i64>,
        learned: bool,
    },
    /// What nobody needs.
    Other,
}

/// A pickle.
#[derive(Debug, Default)]
pub(super) struct Pickle {
    nodes: Vec<Node>,
    root: Id,
}

impl Pickle {
    /// The outermost value.
    pub(super) fn root(&self) -> Id {
        self.root
    }

    /// A value by its number.
    pub(super) fn node(&self, id: Id) -> &Node {
        usize::try_from(id).ok().and_then(|id| self.nodes.get(id)).unwrap_or(&Node::Other)
    }

    /// Reads a pickle.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut reader = Reader {
            bytes,
            at: 0,
            pickle: Self::default(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            steps: 0,
            copied: 0,
        };
        while !reader.step().map_err(|message| format!("{message} at byte {}", reader.at))? {}
        Ok(reader.pickle)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    pickle: Pickle,
    stack: Vec<Id>,
    /// Heights of the stack at open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    steps: usize,
    copied: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(count).ok_or("a length beyond all bounds")?;
        let bytes = self.bytes.get(self.at..end).ok_or("the pickle ends too early")?;
        self.at = end;
        Ok(bytes)
    }

    fn number(&mut self, bytes: usize) -> Result<u64, String> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or("a line without an end")?;
        let line = String::from_utf8_lossy(rest.get(..end).unwrap_or(&[])).into_owned();
        self.at = self.at.saturating_add(end).saturating_add(1);
        Ok(line)
    }

    fn text(&mut self, count: u64) -> Result<Node, String> {
        let count = usize::try_from(count).map_err(|_| "a length beyond all bounds")?;
        Ok(Node::Str(String::from_utf8_lossy(self.take(count)?).into_owned()))
    }

    fn push(&mut self, node: Node) -> Result<(), String> {
        if self.pickle.nodes.len() >= MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values"));
        }
        self.stack.push(u32::try_from(self.pickle.nodes.len()).unwrap_or(u32::MAX));
        self.pickle.nodes.push(node);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, String> {
        self.stack.pop().ok_or_else(|| "nothing on the stack".to_owned())
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| "nothing on the stack".to_owned())
    }

    fn marked(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("no mark")?;
        if mark > self.stack.len() {
            return Err("nothing above the mark".to_owned());
        }
        Ok(self.stack.split_off(mark))
    }

    fn mutable(&mut self, id: Id) -> Option<&mut Node> {
        self.pickle.nodes.get_mut(usize::try_from(id).ok()?)
    }

    fn extend(&mut self, items: Vec<Id>) -> Result<(), String> {
        let top = self.top()?;
        // Items of an object that is a list or a dictionary are of no use here.
        if let Some(Node::List(list) | Node::Dict(list)) = self.mutable(top) {
            list.extend(items);
        }
        Ok(())
    }

    /// Counts bytes that are copied: an instruction of one byte may ask for millions.
    fn charge(&mut self, bytes: usize) -> Result<(), String> {
        self.copied = self.copied.saturating_add(bytes);
        if self.copied > MAX_COPIED {
            return Err(format!("its values repeat more than {} MiB of others", MAX_COPIED >> 20));
        }
        Ok(())
    }

    fn words(&mut self, id: Id) -> Result<String, String> {
        let words = match self.pickle.node(id) {
            Node::Str(word) | Node::Global(word) => Cow::Borrowed(word.as_str()),
            Node::Int(number) => Cow::Owned(number.to_string()),
            _ => Cow::Borrowed(""),
        };
        let length = words.len();
        let words = if self.copied.saturating_add(length) > MAX_COPIED { String::new() } else { words.into_owned() };
        self.charge(length)?;
        Ok(words)
    }

    /// A value once more.
    fn copy(&mut self, id: Id) -> Result<Node, String> {
        let bytes = match self.pickle.node(id) {
            Node::List(items) | Node::Tuple(items) | Node::Dict(items) => items.len().saturating_mul(size_of::<Id>()),
            Node::Str(text) | Node::Global(text) | Node::Object { class: text, .. } => text.len(),
            Node::Storage { key, element } => key.len().saturating_add(element.len()),
            Node::Tensor { extents, .. } => extents.len().saturating_mul(size_of::<i64>()),
            Node::None | Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Other => 0,
        };
        self.charge(bytes)?;
        Ok(self.pickle.node(id).clone())
    }

    /// The numbers of a list.
    fn extents(&mut self, id: Id) -> Result<Vec<i64>, String> {
        self.charge(self.items(id).len().saturating_mul(size_of::<i64>()))?;
        Ok(self.items(id).iter().map(|&size| self.int(size).unwrap_or(-1)).collect())
    }

    fn items(&self, id: Id) -> &[Id] {
        match self.pickle.node(id) {
            Node::Tuple(items) | Node::List(items) => items,
            _ => &[],
        }
    }

    fn int(&self, id: Id) -> Option<i64> {
        match self.pickle.node(id) {
            Node::Int(value) => Some(*value),
            Node::Bool(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// A function applied to arguments.
    fn reduced(&mut self, function: Id, arguments: Id) -> Result<Node, String> {
        let Node::Global(name) = self.pickle.node(function) else { return Ok(Node::Other) };
        let items = self.items(arguments);
        Ok(match (name.as_str(), items) {
            (
                "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor",
                &[storage, offset, sizes, ref rest @ ..],
            ) => {
                let learned = rest.get(1).is_some_and(|&flag| self.pickle.node(flag) == &Node::Bool(true));
                let offset = self.int(offset).unwrap_or(0);
                Node::Tensor { storage, offset, extents: self.extents(sizes)?, learned }
            }
            ("torch._utils._rebuild_qtensor", &[storage, offset, sizes, ..]) => {
                let offset = self.int(offset).unwrap_or(0);
                Node::Tensor { storage, offset, extents: self.extents(sizes)?, learned: false }
            }
            ("collections.OrderedDict", _) => Node::Dict(Vec::new()),
            // `restore_type_tag(value, type)` only says which type a list or dictionary has.
            (
                "torch._utils._rebuild_parameter"
                | "torch.jit._pickle.build_intlist"
                | "torch.jit._pickle.build_doublelist"
                | "torch.jit._pickle.build_boollist"
                | "torch.jit._pickle.build_tensorlist"
                | "torch.jit._pickle.restore_type_tag",
                &[value, ..],
            ) => self.copy(value)?,
            (class, _) if class.starts_with("__torch__.") => Node::Object { class: self.words(function)?, state: None },
            _ => Node::Other,
        })
    }

    fn persistent(&mut self, id: Id) -> Result<Node, String> {
        Ok(match self.items(id) {
            &[_, element, key, ..] => Node::Storage { key: self.words(key)?, element: self.words(element)? },
            _ => Node::Other,
        })
    }

    /// Executes one instruction; true at the end.
    #[allow(clippy::too_many_lines, reason = "one arm an instruction")]
    fn step(&mut self) -> Result<bool, String> {
        self.steps = self.steps.saturating_add(1);
        if self.steps > MAX_STEPS {
            return Err(format!("more than {MAX_STEPS} instructions"));
        }
        let instruction = self.number(1)?;
        let code = u8::try_from(instruction).unwrap_or(0);
        match code {
            0x80 => {
                self.take(1)?;
            }
            0x95 => {
                self.take(8)?;
            }
            b'.' => {
                self.pickle.root = self.pop()?;
                return Ok(true);
            }
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.marked()?;
            }
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'N' => self.push(Node::None)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            b'K' => {
                let value = self.number(1)?;
                self.push(Node::Int(i64::try_from(value).unwrap_or(0)))?;
            }
            b'M' => {
                let value = self.number(2)?;
                self.push(Node::Int(i64::try_from(value).unwrap_or(0)))?;
            }
            b'J' => {
                let value = self.number(4)?;
                let value = u32::try_from(value).unwrap_or(0).cast_signed();
                self.push(Node::Int(i64::from(value)))?;
            }
            0x8a => {
                let count = usize::try_from(self.number(1)?).unwrap_or(0);
                let bytes = self.take(count)?;
                let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
                let mut wide = [if negative { 0xff } else { 0 }; 8];
                if bytes.len() > wide.len() {
                    return Err("an integer of more than 64 bits".to_owned());
                }
                for (place, byte) in wide.iter_mut().zip(bytes) {
                    *place = *byte;
                }
                self.push(Node::Int(i64::from_le_bytes(wide)))?;
            }
            b'I' | b'L' => {
                let line = self.line()?;
                let node = match line.trim_end_matches('L') {
                    "00" => Node::Bool(false),
                    "01" => Node::Bool(true),
                    digits => Node::Int(digits.parse().map_err(|_| format!("{line:?} is no integer"))?),
                };
                self.push(node)?;
            }
            b'G' => {
                let value = f64::from_bits(self.number(8)?.swap_bytes());
                self.push(Node::Float(value))?;
            }
            b'F' => {
                let line = self.line()?;
                self.push(Node::Float(line.parse().map_err(|_| format!("{line:?} is no number"))?))?;
            }
            b'X' | b'T' | b'B' => {
                let count = self.number(4)?;
                let node = self.text(count)?;
                self.push(node)?;
            }
            0x8c | b'U' | b'C' => {
                let count = self.number(1)?;
                let node = self.text(count)?;
                self.push(node)?;
            }
            0x8d | 0x8e => {
                let count = self.number(8)?;
                let node = self.text(count)?;
                self.push(node)?;
            }
            b'S' | b'V' => {
                let line = self.line()?;
                self.push(Node::Str(line.trim_matches(['\'', '"']).to_owned()))?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Node::Global(format!("{module}.{name}")))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let name = format!("{}.{}", self.words(module)?, self.words(name)?);
                self.push(Node::Global(name))?;
            }
            b')' => self.push(Node::Tuple(Vec::new()))?,
            b']' => self.push(Node::List(Vec::new()))?,
            b'}' => self.push(Node::Dict(Vec::new()))?,
            0x8f => self.push(Node::List(Vec::new()))?,
            b't' => {
                let items = self.marked()?;
                self.push(Node::Tuple(items))?;
            }
            b'l' => {
                let items = self.marked()?;
                self.push(Node::List(items))?;
            }
            b'd' => {
                let items = self.marked()?;
                self.push(Node::Dict(items))?;
            }
            0x85..=0x87 => {
                let count = usize::from(code.saturating_sub(0x84));
                let first = self.stack.len().checked_sub(count).ok_or("nothing on the stack")?;
                let items = self.stack.split_off(first);
                self.push(Node::Tuple(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend(vec![key, value])?;
            }
            b'e' | b'u' | 0x90 => {
                let items = self.marked()?;
                self.extend(items)?;
            }
            b'q' | b'r' | b'p' => {
                let key = match code {
                    b'q' => u32::try_from(self.number(1)?).unwrap_or(0),
                    b'r' => u32::try_from(self.number(4)?).unwrap_or(0),
                    _ => self.line()?.parse().map_err(|_| "a memo without a number")?,
                };
                let top = self.top()?;
                self.memo.insert(key, top);
            }
            0x94 => {
                let (key, top) = (u32::try_from(self.memo.len()).unwrap_or(u32::MAX), self.top()?);
                self.memo.insert(key, top);
            }
            b'h' | b'j' | b'g' => {
                let key = match code {
                    b'h' => u32::try_from(self.number(1)?).unwrap_or(0),
                    b'j' => u32::try_from(self.number(4)?).unwrap_or(0),
                    _ => self.line()?.parse().map_err(|_| "a memo without a number")?,
                };
                let id = self.memo.get(&key).copied().ok_or_else(|| format!("memo {key} is empty"))?;
                self.stack.push(id);
            }
            b'Q' => {
                let id = self.pop()?;
                let node = self.persistent(id)?;
                self.push(node)?;
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let node = self.reduced(function, arguments)?;
                self.push(node)?;
            }
            0x81 => {
                let (_, class) = (self.pop()?, self.pop()?);
                let class = self.words(class)?;
                self.push(Node::Object { class, state: None })?;
            }
            b'b' => {
                let given = self.pop()?;
                let top = self.top()?;
                if let Some(Node::Object { state, .. }) = self.mutable(top) {
                    *state = Some(given);
                }
            }
            other => return Err(format!("instruction {other:#04x} is not known")),
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_pickle_cannot_ask_for_much_memory() {
        let refused = |parts: &[&[u8]]| {
            let bytes = parts.concat();
            assert!(bytes.len() < 12_000_000);
            Pickle::read(&bytes).expect_err("refused")
        };
        // A name twice as long with each three bytes: the name of a module and that of a class, joined.
        assert!(refused(&[b"X\x04\0\0\0aaaa", &b"2\x93".repeat(60), b"."]).contains("repeat"));
        let list = [b"](".as_slice(), &b"N".repeat(500_000), b"e"].concat();
        let again = b"h\x00h\x01R".repeat(3000);
        assert!(
            refused(&[b"ctorch.jit._pickle\nbuild_intlist\nq\x00", &list, b"\x85q\x01", &again, b"."])
                .contains("repeat")
        );
        assert!(
            refused(&[b"ctorch._utils\n_rebuild_tensor_v2\nq\x00(NK\x01", &list, b"NNtq\x01", &again, b"."])
                .contains("repeat")
        );
        let key = [b"X\0\0\x10\0".as_slice(), &b"a".repeat(1 << 20)].concat();
        assert!(refused(&[b"(NX\x01\0\0\0a", &key, b"tq\x00", &b"h\x00Q".repeat(1000), b"."]).contains("repeat"));
        assert!(refused(&[b"N", &b"\x94".repeat(9_000_000), b"."]).contains("instructions"));
    }
}
