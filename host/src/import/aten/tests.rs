//! Tests of the lowering, op by op: what the graph holds after one call or a few.

use derate_core::graph::Tables;
use derate_core::shape::DataType;

use super::argument::{Args, Argument};
use super::tensor::Tensor;
use super::{Lowering, Refusal, Stored};

fn lowering() -> Lowering {
    Lowering::new("file", "network")
}

fn input(lowering: &mut Lowering, extents: &[u32]) -> Result<Argument, Refusal> {
    Ok(Argument::Tensor(lowering.input("x", extents, DataType::Fp32)?))
}

fn weight(lowering: &mut Lowering, name: &str, extents: &[u32]) -> Argument {
    let stored = Stored { name: name.to_owned(), extents: extents.to_vec(), data_type: DataType::Fp32, learned: true };
    Argument::Tensor(lowering.store(stored))
}

fn call(lowering: &mut Lowering, op: &str, args: &[Argument]) -> Result<Argument, Refusal> {
    lowering.call("node", op, &Args { positional: args.to_vec(), named: Vec::new() })
}

fn ints(values: &[i64]) -> Argument {
    Argument::List(values.iter().copied().map(Argument::Int).collect())
}

fn shape(argument: &Argument) -> Vec<u32> {
    match argument {
        Argument::Tensor(tensor) => tensor.extents().to_vec(),
        _ => Vec::new(),
    }
}

/// Names of the ops, MACs and parameters of the graph, after the result is laid out.
fn found(mut lowering: Lowering, result: &Argument) -> Result<(Vec<String>, u64, u64), Refusal> {
    if let Argument::Tensor(tensor) = result {
        lowering.output(tensor)?;
    }
    let import = lowering.builder.finish()?;
    let names = import.graph.view().nodes().iter().map(|node| node.op.name().to_owned()).collect();
    let work = import.graph.view().total_work()?;
    Ok((names, work.macs.0, work.params))
}

#[test]
fn convolutions_of_every_spelling() -> Result<(), Refusal> {
    let (stride, padding, dilation) = (ints(&[2]), ints(&[1]), ints(&[1]));
    let tail = [Argument::Bool(false), ints(&[0]), Argument::Int(1)];
    for op in ["conv2d", "convolution", "_convolution"] {
        let mut l = lowering();
        let x = input(&mut l, &[1, 3, 8, 8])?;
        let w = weight(&mut l, "w", &[4, 3, 3, 3]);
        let b = weight(&mut l, "b", &[4]);
        let mut args = vec![x, w, b, stride.clone(), padding.clone(), dilation.clone()];
        args.extend(if op == "conv2d" { vec![Argument::Int(1)] } else { tail.to_vec() });
        let y = call(&mut l, op, &args)?;
        assert_eq!(shape(&y), [1, 4, 4, 4]);
        assert_eq!(found(l, &y)?, (vec!["conv2d".to_owned()], 4 * 16 * 27, 4 * 27 + 4));
    }
    Ok(())
}

#[test]
fn a_transposed_weight_is_a_layer_and_counts_once() -> Result<(), Refusal> {
    let mut l = lowering();
    let x = input(&mut l, &[5, 8])?;
    let (w, b) = (weight(&mut l, "w", &[6, 8]), weight(&mut l, "b", &[6]));
    let turned = call(&mut l, "t", std::slice::from_ref(&w))?;
    let y = call(&mut l, "addmm", &[b, x.clone(), turned.clone()])?;
    let z = call(&mut l, "mm", &[x, turned])?;
    let sum = call(&mut l, "add_", &[y, z])?;
    let expected = ["linear", "linear", "add"].map(str::to_owned).to_vec();
    assert_eq!(found(l, &sum)?, (expected, 2 * 5 * 8 * 6, 8 * 6 + 6));
    Ok(())
}

#[test]
fn a_bias_of_its_own_is_an_addition_beside_shared_weights() -> Result<(), Refusal> {
    let mut l = lowering();
    let x = input(&mut l, &[5, 8])?;
    let (w, b) = (weight(&mut l, "w", &[8, 8]), weight(&mut l, "b", &[8]));
    let y = call(&mut l, "linear", &[x, w.clone()])?;
    let z = call(&mut l, "linear", &[y, w, b])?;
    let expected = ["linear", "linear", "add"].map(str::to_owned).to_vec();
    assert_eq!(found(l, &z)?, (expected, 2 * 5 * 64, 64 + 8));
    Ok(())
}

#[test]
fn parts_that_nobody_reads_cost_nothing() -> Result<(), Refusal> {
    let mut l = lowering();
    let x = input(&mut l, &[2, 6])?;
    let Argument::List(parts) = call(&mut l, "chunk", &[x, Argument::Int(3), Argument::Int(1)])? else {
        return Err(Refusal::new("no parts"));
    };
    assert_eq!(parts.iter().map(shape).collect::<Vec<_>>(), [[2, 2]; 3]);
    let y = parts.first().cloned().unwrap_or(Argument::None);
    let z = call(&mut l, "relu", &[y])?;
    assert_eq!(found(l, &z)?.0, ["slice", "relu"]);
    Ok(())
}

#[test]
fn a_product_reads_a_transposed_operand_as_it_lies() -> Result<(), Refusal> {
    let mut l = lowering();
    let x = input(&mut l, &[2, 5, 8])?;
    let turned = call(&mut l, "transpose", &[x.clone(), Argument::Int(-2), Argument::Int(-1)])?;
    let y = call(&mut l, "matmul", &[x, turned])?;
    assert_eq!((shape(&y), found(l, &y)?), (vec![2, 5, 5], (vec!["mat_mul".to_owned()], 2 * 5 * 8 * 5, 0)));
    Ok(())
}

#[test]
fn activations_by_their_bounds() -> Result<(), Refusal> {
    let float = Argument::Float;
    let cases: [(&str, &[Argument], &str); 6] = [
        ("hardtanh_", &[float(0.0), float(6.0)], "relu6"),
        ("clamp", &[float(0.0)], "relu"),
        ("clamp", &[float(-1.0), float(1.0)], "clip"),
        ("gelu", &[Argument::Str("tanh".to_owned())], "gelu_tanh"),
        ("pow", &[Argument::Int(2)], "square"),
        ("mul", &[float(0.5)], "mul"),
    ];
    for (op, rest, expected) in cases {
        let mut l = lowering();
        let x = input(&mut l, &[2, 6])?;
        let args: Vec<Argument> = [x].into_iter().chain(rest.iter().cloned()).collect();
        let y = call(&mut l, op, &args)?;
        assert_eq!(found(l, &y)?.0, [expected], "{op}");
    }
    Ok(())
}

#[test]
fn einsum_is_a_contraction() -> Result<(), Refusal> {
    let mut l = lowering();
    let (q, k) = (input(&mut l, &[2, 3, 5, 8])?, input(&mut l, &[2, 3, 7, 8])?);
    let equation = Argument::Str("B H I D, B H J D -> B H I J".to_owned());
    let y = call(&mut l, "einsum", &[equation, Argument::List(vec![q, k])])?;
    assert_eq!(shape(&y), [2, 3, 5, 7]);
    assert_eq!(found(l, &y)?, (vec!["contraction".to_owned()], 2 * 3 * 5 * 7 * 8, 0));
    Ok(())
}

#[test]
fn shapes_by_hand() -> Result<(), Refusal> {
    let int = Argument::Int;
    let cases: [(&str, &[Argument], &[u32]); 14] = [
        ("view", &[ints(&[4, -1])], &[4, 30]),
        ("flatten", &[int(1)], &[2, 60]),
        ("unflatten", &[int(1), ints(&[2, -1])], &[2, 2, 2, 5, 3]),
        ("permute", &[ints(&[3, 0, 2, 1])], &[3, 2, 5, 4]),
        ("movedim", &[int(1), int(-1)], &[2, 5, 3, 4]),
        ("select", &[int(1), int(-1)], &[2, 5, 3]),
        ("slice", &[int(2), int(1), int(9_223_372_036_854_775_807), int(2)], &[2, 4, 2, 3]),
        ("narrow", &[int(2), int(1), int(3)], &[2, 4, 3, 3]),
        ("pad", &[ints(&[1, 1, -1, 2])], &[2, 4, 6, 5]),
        ("repeat", &[ints(&[2, 1, 1, 1, 3])], &[2, 2, 4, 5, 9]),
        ("unsqueeze", &[int(-1)], &[2, 4, 5, 3, 1]),
        ("mean", &[ints(&[2, 3]), Argument::Bool(true)], &[2, 4, 1, 1]),
        ("argmax", &[int(1)], &[2, 5, 3]),
        ("pixel_shuffle", &[int(2)], &[2, 1, 10, 6]),
    ];
    for (op, rest, expected) in cases {
        let mut l = lowering();
        let x = input(&mut l, &[2, 4, 5, 3])?;
        let args: Vec<Argument> = [x].into_iter().chain(rest.iter().cloned()).collect();
        assert_eq!(call(&mut l, op, &args).map(|y| shape(&y)), Ok(expected.to_vec()), "{op}");
    }
    Ok(())
}

#[test]
fn advanced_indices_stand_where_pytorch_puts_them() -> Result<(), Refusal> {
    let cases: [(&[bool], &[u32]); 4] = [
        (&[false, true], &[2, 7, 5, 3]),
        (&[true, true], &[7, 5, 3]),
        (&[false, true, true], &[2, 7, 3]),
        (&[true, false, true], &[7, 4, 3]),
    ];
    for (indices, expected) in cases {
        let mut l = lowering();
        let x = input(&mut l, &[2, 4, 5, 3])?;
        let index = Argument::Tensor(Tensor::known(vec![7], DataType::Int64, None));
        let at = |&there: &bool| if there { index.clone() } else { Argument::None };
        let list = Argument::List(indices.iter().map(at).collect());
        assert_eq!(call(&mut l, "index", &[x, list]).map(|y| shape(&y)), Ok(expected.to_vec()));
    }
    Ok(())
}

#[test]
fn what_cannot_be_lowered_says_why() -> Result<(), Refusal> {
    let mut l = lowering();
    let x = input(&mut l, &[2, 4])?;
    let image = input(&mut l, &[1, 1, 2, 2])?;
    let mask = Argument::Tensor(Tensor::known(vec![2, 4], DataType::Bool, None));
    let cases: [(&str, Vec<Argument>, &str); 5] = [
        ("grid_sampler", vec![x.clone()], "no op of core"),
        ("index", vec![x.clone(), Argument::List(vec![mask])], "mask"),
        ("conv2d", vec![image.clone(), image], "computed"),
        ("view", vec![x.clone(), ints(&[3, 3])], "elements"),
        ("relu", vec![Argument::Unknown("it was lost".to_owned())], "it was lost"),
    ];
    for (op, args, expected) in cases {
        let reason = call(&mut l, op, &args).err().map(|refusal| refusal.reason().to_owned()).unwrap_or_default();
        assert!(reason.contains(expected), "{op}: {reason:?}");
    }
    Ok(())
}

#[test]
fn long_chains_of_views_are_laid_out_on_the_way() -> Result<(), Refusal> {
    let mut l = lowering();
    let mut x = input(&mut l, &[200, 2])?;
    for at in 1..100 {
        x = call(&mut l, "slice", &[x, Argument::Int(0), Argument::Int(0), Argument::Int(200 - at)])?;
        x = call(&mut l, "t", &[x])?;
        x = call(&mut l, "flip", &[x.clone(), ints(&[0])]).and_then(|_| call(&mut l, "t", &[x]))?;
    }
    assert_eq!(shape(&x), [101, 2]);
    found(l, &x).map(|_| ())
}
