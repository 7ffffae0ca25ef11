//! Networks of the zoo as libtorch runs them: output shapes, finite values, the same values again.

use derate::torch::Network;
use derate::zoo::{self, Mlp};
use derate_core::graph::Tables;
use derate_core::shape::DataType;
use tch::{Kind, Tensor};

fn all_finite(tensor: &Tensor) -> bool {
    bool::try_from(tensor.isfinite().all()).expect("one value")
}

/// Whether two runs agree to the rounding of fp32 sums.
fn same(a: &Tensor, b: &Tensor) -> bool {
    a.allclose(b, 1e-4, 1e-5, false)
}

#[test]
fn image_networks_give_a_score_for_each_of_1000_classes() {
    for name in ["resnet18", "mobilenet_v2"] {
        let graph = zoo::network(name, 1, DataType::Fp32).expect("valid");
        let network = Network::new(graph.view()).expect("built");
        let output = network.run().expect("runs");
        assert_eq!(output.size(), [1, 1000], "{name}");
        assert!(all_finite(&output), "{name}");
        // Ops that work in place must not change what the next run reads.
        assert!(same(&output, &network.run().expect("runs again")), "{name}");
        // Parameters are random: another network of the same graph gives other scores.
        let other = Network::new(graph.view()).expect("built").run().expect("runs");
        assert!(!same(&output, &other), "{name}");
    }
}

#[test]
fn a_batch_goes_through_as_a_whole() {
    let graph = zoo::network("resnet18", 2, DataType::Fp32).expect("valid");
    let output = Network::new(graph.view()).expect("built").run().expect("runs");
    assert_eq!(output.size(), [2, 1000]);
    assert!(all_finite(&output));
}

#[test]
fn an_mlp_keeps_the_spread_of_its_input_as_its_parameters_promise() {
    let mlp = Mlp { input_dim: 1024, hidden_dims: vec![1024, 1024], output_dim: 512, batch: 64 };
    let graph = mlp.graph(DataType::Fp32).expect("valid");
    let output = Network::new(graph.view()).expect("built").run().expect("runs");
    assert_eq!((output.size(), output.kind()), (vec![64, 512], Kind::Float));
    assert!(all_finite(&output));
    // Inputs of variance 1, weights of variance 2 / fan-in, no bias: a linear layer gives variance 2, of which ReLU leaves a mean
    // square of 1. After the last linear layer the variance is 2 again; were a ReLU behind it, no value would be negative.
    let variance = output.square().mean(Kind::Float).double_value(&[]);
    assert!((1.6..2.4).contains(&variance), "{variance}");
    assert!(output.min().double_value(&[]) < 0.0);
}

#[test]
fn elements_have_the_kind_of_the_data_type() {
    let mlp = Mlp { input_dim: 24, hidden_dims: vec![40], output_dim: 7, batch: 3 };
    for precision in derate::torch::precisions() {
        let data_type = precision.data_type();
        let graph = mlp.graph(data_type).expect("valid");
        let output = Network::new(graph.view()).expect("built").run().expect("runs");
        assert_eq!((output.size(), Some(output.kind())), (vec![3, 7], derate::torch::kind(data_type)));
        assert!(all_finite(&output));
    }
}
