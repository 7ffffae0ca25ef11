//! Small TFLite files, written field by field.

use flatbuffers::{FlatBufferBuilder, TableUnfinishedWIPOffset, UOffsetT, VOffsetT, WIPOffset};

/// A tensor of a file.
struct Tensor {
    name: String,
    shape: Vec<i32>,
    signature: Option<Vec<i32>>,
    data_type: i8,
    data: Vec<u8>,
}

/// A field of an operator's options.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Byte(i8),
    Number(i32),
    Flag(bool),
}

/// An operator: its code, operands, results, and perhaps options: their type, then slots and fields.
pub(super) struct Operation {
    code: i32,
    inputs: Vec<i32>,
    outputs: Vec<i32>,
    options: Option<(u8, Vec<(VOffsetT, Field)>)>,
}

impl Operation {
    /// An operator without options.
    pub(super) fn plain(code: i32, inputs: &[i32], outputs: &[i32]) -> Self {
        Self { code, inputs: inputs.to_vec(), outputs: outputs.to_vec(), options: None }
    }

    /// A convolution with padding SAME, stride 1 and a fused ReLU.
    pub(super) fn conv(input: i32, weights: i32, output: i32) -> Self {
        let fields = [(6, Field::Number(1)), (8, Field::Number(1)), (10, Field::Byte(1))];
        Self::plain(3, &[input, weights], &[output]).with(1, &fields)
    }

    /// The same operator with options of a type.
    pub(super) fn with(mut self, kind: u8, fields: &[(VOffsetT, Field)]) -> Self {
        self.options = Some((kind, fields.to_vec()));
        self
    }
}

/// A file under construction.
#[derive(Default)]
pub(super) struct File {
    tensors: Vec<Tensor>,
    inputs: Vec<i32>,
    operations: Vec<Operation>,
    /// How often the list of operators names each of them, beside once.
    repeated: usize,
}

impl File {
    /// An empty file.
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn tensor(mut self, name: &str, shape: &[i32], signature: Option<&[i32]>, data_type: i8, data: Vec<u8>) -> Self {
        let (shape, signature) = (shape.to_vec(), signature.map(<[i32]>::to_vec));
        self.tensors.push(Tensor { name: name.to_owned(), shape, signature, data_type, data });
        self
    }

    /// An input of real numbers.
    pub(super) fn input(mut self, name: &str, shape: &[i32], signature: Option<&[i32]>) -> Self {
        self.inputs.push(i32::try_from(self.tensors.len()).expect("few"));
        self.tensor(name, shape, signature, 0, Vec::new())
    }

    /// Stored real numbers; the bytes stand for themselves, as many as they like.
    pub(super) fn weights(self, name: &str, shape: &[i32]) -> Self {
        self.tensor(name, shape, None, 0, vec![0; 16])
    }

    /// Stored integers.
    pub(super) fn numbers(self, name: &str, numbers: &[i32], shape: &[i32]) -> Self {
        let data = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.tensor(name, shape, None, 2, data)
    }

    /// A tensor that an operator gives.
    pub(super) fn computed(self, name: &str, shape: &[i32]) -> Self {
        self.tensor(name, shape, None, 0, Vec::new())
    }

    /// One more operator.
    pub(super) fn call(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// The same file with operators that are so often the same table.
    pub(super) fn repeated(mut self, times: usize) -> Self {
        self.repeated = times;
        self
    }

    /// The file.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut fbb = FlatBufferBuilder::new();
        let fbb = &mut fbb;
        // Buffer 0 is empty by convention; each tensor has one of its own.
        let mut buffers = vec![table(fbb, |_| {})];
        let mut tensors = Vec::new();
        for (number, tensor) in (1_u32..).zip(&self.tensors) {
            let data = fbb.create_vector(&tensor.data);
            buffers.push(table(fbb, |t| t.offset(4, data)));
            let (name, shape) = (fbb.create_string(&tensor.name), fbb.create_vector(&tensor.shape));
            let signature = tensor.signature.as_ref().map(|signature| fbb.create_vector(signature));
            tensors.push(table(fbb, |t| {
                t.offset(4, shape);
                t.number(6, tensor.data_type);
                t.number(8, number);
                t.offset(10, name);
                if let Some(signature) = signature {
                    t.offset(18, signature);
                }
            }));
        }
        let (mut codes, mut operators) = (Vec::new(), Vec::new());
        for (number, operation) in (0_u32..).zip(&self.operations) {
            codes.push(table(fbb, |t| t.number(10, operation.code)));
            let (inputs, outputs) = (fbb.create_vector(&operation.inputs), fbb.create_vector(&operation.outputs));
            let options = operation.options.as_ref().map(|(kind, fields)| {
                let options = table(fbb, |t| {
                    for &(slot, field) in fields {
                        match field {
                            Field::Byte(byte) => t.number(slot, byte),
                            Field::Number(number) => t.number(slot, number),
                            Field::Flag(flag) => t.number(slot, flag),
                        }
                    }
                });
                (*kind, options)
            });
            operators.push(table(fbb, |t| {
                t.number(4, number);
                t.offset(6, inputs);
                t.offset(8, outputs);
                if let Some((kind, options)) = options {
                    t.number(10, kind);
                    t.offset(12, options);
                }
            }));
        }
        let again = operators.clone();
        for _ in 0..self.repeated {
            operators.extend(&again);
        }
        let (tensors, operators) = (fbb.create_vector(&tensors), fbb.create_vector(&operators));
        let inputs = fbb.create_vector(&self.inputs);
        let graph = table(fbb, |t| {
            t.offset(4, tensors);
            t.offset(6, inputs);
            t.offset(10, operators);
        });
        let (codes, graphs, buffers) =
            (fbb.create_vector(&codes), fbb.create_vector(&[graph]), fbb.create_vector(&buffers));
        let model = table(fbb, |t| {
            t.number(4, 3_u32);
            t.offset(6, codes);
            t.offset(8, graphs);
            t.offset(12, buffers);
        });
        fbb.finish(model, Some("TFL3"));
        fbb.finished_data().to_vec()
    }
}

/// Fields of a table being written.
struct Fields<'f, 'b> {
    fbb: &'f mut FlatBufferBuilder<'b>,
}

impl Fields<'_, '_> {
    fn offset<T>(&mut self, slot: VOffsetT, offset: WIPOffset<T>) {
        self.fbb.push_slot_always(slot, offset);
    }

    fn number<T: flatbuffers::Push>(&mut self, slot: VOffsetT, number: T) {
        self.fbb.push_slot_always(slot, number);
    }
}

fn table<'b>(fbb: &mut FlatBufferBuilder<'b>, fill: impl FnOnce(&mut Fields<'_, 'b>)) -> WIPOffset<()> {
    let start: WIPOffset<TableUnfinishedWIPOffset> = fbb.start_table();
    fill(&mut Fields { fbb: &mut *fbb });
    let end: UOffsetT = fbb.end_table(start).value();
    WIPOffset::new(end)
}
