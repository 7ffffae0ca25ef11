//! Attributes of the modules, and the tensors in them, from the file's pickles.

use std::rc::Rc;

use derate_core::shape::DataType;

use super::code::{ClassCode, Item};
use super::interpret::{Frame, Interpreter, Stop};
use super::pickle::{Id, Node};
use super::value::Value;
use crate::import::ImportError;
use crate::import::aten::tensor::Tensor;
use crate::import::aten::{Stored, named_data_type};

/// Most bytes of a constant whose one value is read.
const MAX_CONSTANT: u64 = 1 << 20;

impl Interpreter {
    pub(super) fn class_of(&mut self, object: Id) -> Result<Option<Rc<ClassCode>>, ImportError> {
        let Node::Object { class, .. } = self.modules.node(object) else { return Ok(None) };
        let class = class.clone();
        Ok(match self.code.item(&mut self.archive, &class)? {
            Some(Item::Class(class)) => Some(class),
            _ => None,
        })
    }

    pub(super) fn attribute(&mut self, frame: &mut Frame, base: &Value, name: &Rc<str>) -> Result<Value, Stop> {
        let (id, path) = match base {
            Value::Object(id, path) => (*id, path),
            Value::Named(fields, items) => {
                let at = fields.iter().position(|field| field == name);
                let item = at.and_then(|at| items.get(at)).cloned();
                return Ok(item.unwrap_or_else(|| Value::unknown(format!("no field {name}"))));
            }
            Value::Tensor(_) => return self.builtin(frame, name, vec![base.clone()], Vec::new()),
            Value::Unknown(why) => return Ok(Value::Unknown(Rc::clone(why))),
            _ => return Ok(Value::unknown(format!("attribute {name} of something that has none"))),
        };
        if let Some(value) = self.set.get(&(id, Rc::clone(name))) {
            return Ok(value.clone());
        }
        let class = self.class_of(id)?;
        let inner: Rc<str> = if path.is_empty() { Rc::clone(name) } else { format!("{path}.{name}").into() };
        if let Node::Object { state: Some(state), .. } = self.modules.node(id)
            && let Node::Dict(entries) = self.modules.node(*state)
        {
            let found = entries.chunks_exact(2).find_map(|entry| match entry {
                [key, value] if matches!(self.modules.node(*key), Node::Str(word) if **word == **name) => Some(*value),
                _ => None,
            });
            if let Some(found) = found {
                let learned = class.as_ref().is_some_and(|class| class.parameters.contains(name));
                return self.loaded(found, false, &inner, learned, 8);
            }
        }
        let Some(class) = class else { return Ok(Value::unknown(format!("{inner} is not in the file"))) };
        if let Some(value) = class.constants.get(name) {
            return self.eval(&mut Frame::default(), value);
        }
        if class.methods.contains_key(name) {
            return Ok(Value::Method(id, Rc::clone(path), Rc::clone(name)));
        }
        Ok(Value::unknown(format!("{inner} is not in the file")))
    }

    /// A value of a pickle.
    pub(super) fn loaded(
        &mut self,
        id: Id,
        constant: bool,
        path: &Rc<str>,
        learned: bool,
        depth: u8,
    ) -> Result<Value, Stop> {
        let pickle = if constant { &self.constants } else { &self.modules };
        let Some(deeper) = depth.checked_sub(1) else { return Ok(Value::unknown("lists within lists")) };
        Ok(match pickle.node(id) {
            Node::None => Value::None,
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(value) => Value::Int(*value),
            Node::Float(value) => Value::Float(*value),
            Node::Str(word) => Value::Str(word.as_str().into()),
            Node::Object { .. } => Value::Object(id, Rc::clone(path)),
            Node::List(items) => {
                let items = items.clone();
                Value::list(self.loaded_all(&items, constant, path, deeper)?)
            }
            Node::Tuple(items) => {
                let items = items.clone();
                Value::Tuple(Rc::new(self.loaded_all(&items, constant, path, deeper)?))
            }
            Node::Dict(entries) => {
                let entries = entries.clone();
                let all = self.loaded_all(&entries, constant, path, deeper)?;
                let pairs = all.chunks_exact(2).filter_map(|pair| Some((pair.first()?.clone(), pair.get(1)?.clone())));
                Value::Dict(Rc::new(std::cell::RefCell::new(pairs.collect())))
            }
            Node::Tensor { storage, offset, extents, learned: own } => {
                let (offset, sizes, learned) = (*offset, extents.clone(), learned || *own);
                let Node::Storage { key, element } = pickle.node(*storage) else {
                    return Err(self.fatal(format!("{path}: a tensor without a storage")));
                };
                let (key, element) = (key.clone(), element.clone());
                self.stored_tensor(constant, &key, &element, offset, &sizes, path, learned)?
            }
            Node::Global(_) | Node::Storage { .. } | Node::Other => {
                Value::unknown(format!("{path} is of no type that matters"))
            }
        })
    }

    fn loaded_all(&mut self, ids: &[Id], constant: bool, path: &Rc<str>, depth: u8) -> Result<Vec<Value>, Stop> {
        self.charge(ids.len())?;
        let mut values = Vec::with_capacity(ids.len());
        for (at, &id) in ids.iter().enumerate() {
            values.push(self.loaded(id, constant, &format!("{path}[{at}]").into(), false, depth)?);
        }
        Ok(values)
    }

    #[allow(clippy::too_many_arguments, reason = "what a pickle says of a tensor")]
    fn stored_tensor(
        &mut self,
        constant: bool,
        key: &str,
        element: &str,
        offset: i64,
        sizes: &[i64],
        path: &Rc<str>,
        learned: bool,
    ) -> Result<Value, Stop> {
        let place = format!("{constant} {key} {offset} {sizes:?}");
        if let Some(tensor) = self.stored.get(&place) {
            return Ok(Value::Tensor(tensor.clone()));
        }
        let extents: Result<Vec<u32>, _> = sizes.iter().map(|&size| u32::try_from(size)).collect();
        let extents = extents.map_err(|_| self.fatal(format!("{path}: extents {sizes:?}")))?;
        let element = element.strip_prefix("torch.").unwrap_or(element).to_lowercase();
        let element = element.strip_suffix("storage").unwrap_or(&element);
        let named = match element {
            "byte" | "char" => "int8",
            other => other,
        };
        let data_type = named_data_type(named).ok_or_else(|| {
            self.fatal(format!("{path}: elements of type {element}; real numbers and integers are allowed"))
        })?;
        if constant && extents.is_empty() {
            // A number that the code computes sizes with.
            let value = self.number_at(key, offset, data_type)?;
            return Ok(Value::Tensor(Tensor::known(extents, data_type, value)));
        }
        let tensor = self.lowering.store(Stored { name: path.to_string(), extents, data_type, learned });
        self.stored.insert(place, tensor.clone());
        Ok(Value::Tensor(tensor))
    }

    /// The value of a constant of one element; `None` for data types that no size has.
    fn number_at(&mut self, key: &str, offset: i64, data_type: DataType) -> Result<Option<f64>, Stop> {
        let entry = self.code.constant_entry(key);
        let bytes = self.archive.read(&entry, MAX_CONSTANT)?;
        let size = usize::try_from(data_type.size().0).unwrap_or(8);
        let start = usize::try_from(offset).ok().and_then(|offset| offset.checked_mul(size));
        let element = start.and_then(|start| bytes.get(start..start.checked_add(size)?));
        let Some(element) = element else { return Err(self.fatal(format!("{entry} is too short"))) };
        Ok(match (data_type, element) {
            (DataType::Int64, &[a, b, c, d, e, f, g, h]) => Some(i64::from_le_bytes([a, b, c, d, e, f, g, h]) as f64),
            (DataType::Fp64, &[a, b, c, d, e, f, g, h]) => Some(f64::from_le_bytes([a, b, c, d, e, f, g, h])),
            (DataType::Int32, &[a, b, c, d]) => Some(f64::from(i32::from_le_bytes([a, b, c, d]))),
            (DataType::Fp32, &[a, b, c, d]) => Some(f64::from(f32::from_le_bytes([a, b, c, d]))),
            (DataType::Bool, &[a]) => Some(f64::from(a)),
            _ => None,
        })
    }
}
