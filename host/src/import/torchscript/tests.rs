//! Tests of the pickle reader, on bytes written by hand.

use super::pickle::{Node, Pickle};

#[test]
fn a_module_with_a_tensor_by_hand() -> Result<(), String> {
    // An object of __torch__.M with the attribute `w`: a learned tensor of 2 × 3 in storage 0.
    let bytes = b"\x80\x02c__torch__\nM\n)\x81}(X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage\
ctorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQK\x00(K\x02K\x03t(K\x03K\x01t\x88Nt\x52ub.";
    let pickle = Pickle::read(bytes)?;
    let Node::Object { class, state: Some(state) } = pickle.node(pickle.root()) else { return Err("no object".into()) };
    assert_eq!(class, "__torch__.M");
    let Node::Dict(entries) = pickle.node(*state) else { return Err("no attributes".into()) };
    let [key, value] = entries.as_slice() else { return Err(format!("{entries:?}")) };
    assert_eq!(pickle.node(*key), &Node::Str("w".to_owned()));
    let Node::Tensor { storage, offset: 0, extents, learned: true } = pickle.node(*value) else {
        return Err(format!("{:?}", pickle.node(*value)));
    };
    assert_eq!(extents, &[2, 3]);
    let of_storage = Node::Storage { key: "0".to_owned(), element: "torch.FloatStorage".to_owned() };
    assert_eq!(pickle.node(*storage), &of_storage);
    Ok(())
}

#[test]
fn numbers_and_words() -> Result<(), String> {
    let pickle =
        Pickle::read(b"\x80\x02(K\x05M\x01\x02J\xff\xff\xff\xff\x8a\x01\xfeG?\xf8\x00\x00\x00\x00\x00\x00\x88Nl.")?;
    let Node::List(items) = pickle.node(pickle.root()) else { return Err("no list".into()) };
    let items: Vec<&Node> = items.iter().map(|&item| pickle.node(item)).collect();
    let expected =
        [Node::Int(5), Node::Int(513), Node::Int(-1), Node::Int(-2), Node::Float(1.5), Node::Bool(true), Node::None];
    assert_eq!(items, expected.iter().collect::<Vec<_>>());
    Ok(())
}

#[test]
fn what_is_cut_is_an_error() {
    let whole = b"\x80\x02c__torch__\nM\n)\x81}(X\x01\x00\x00\x00wK\x01ub.";
    assert!(Pickle::read(whole).is_ok());
    for len in 0..whole.len() - 1 {
        assert!(Pickle::read(whole.get(..len).unwrap_or(&[])).is_err(), "{len} bytes");
    }
}
