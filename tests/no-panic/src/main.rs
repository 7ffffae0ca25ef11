//! Proof that no function of derate-core can panic: this program links only where none can.
//!
//! Its panic handler calls a function that no library defines. As long as the optimiser finds a path from
//! any call below to a panic, the handler is needed and the linker reports `derate_core_can_panic` as undefined; where no
//! such path is left, the handler is dropped and the program links. Every public function is called with
//! inputs that the optimiser knows nothing about ([`opaque`]), so that a path is removed only where the code rules it out.
//!
//! ```text
//! cargo build --release                       must link: no panic path
//! cargo build --release --features control    must fail to link: the proof can fail
//! ```
//! Only the release profile proves anything: without optimisation the standard library's own, unreachable panics stay.
//! **Not covered**: `Debug`, whose formatting of structs, strings and floats keeps assertions of `core::fmt`; and the
//! features `serde` and `defmt`, whose derived code is theirs.
//! That no public function is missing here is checked by `tests/tests/tidy.rs`.
#![no_std]
#![no_main]

mod mapped;
mod mapper_cpu_gpu;
mod mapper_systolic;

use core::fmt::{self, Write};
use core::hint::black_box as opaque;

use derate_core::Error;
use derate_core::calibration::micro_kernel::{self, RegisterTile, kernel_time};
use derate_core::calibration::{self, COEFFICIENTS, Calibration, Coefficients, Hull};
use derate_core::error::{Attribute, Quantity, Table};
use derate_core::estimate::{
    Confidence, Estimate, KernelWork, Target, estimate, estimate_kernels, estimate_works, kernel_estimates,
    op_estimates, works,
};
use derate_core::fusion::{EAGER, Fused, INFERENCE, Link, MCU, Part, Policy, Readers, Step, fuse};
use derate_core::graph::{Build, Graph, GraphView, Node, Tables};
use derate_core::hardware::{Basis, ComputeUnit, Hardware, MemoryLevel, PrecisionFactors, ThermalProfile};
use derate_core::memory::{Buffer, Footprint, footprint, lifetimes, schedule};
use derate_core::op::{
    Activation, ActivationKind, AdaptivePool, Binary, BinaryKind, Cell, MoveKind, Op, ReduceKind, ResizeKind,
    Transpose, View, Window, Windows,
};
use derate_core::residency::{Border, Residency};
use derate_core::roofline::{attainable_throughput, ridge_point, smooth_max};
use derate_core::shape::{DataType, PerPrecision, Precision, Shape};
use derate_core::tensor::{Operands, Read, Tensor, TensorId, TensorKind};
use derate_core::units::{
    Bytes, BytesPerSecond, Factor, Flops, FlopsPerByte, FlopsPerSecond, Hertz, JoulesPerByte, JoulesPerMac, Macs,
    MacsPerCycle, Seconds, Watts,
};
use derate_core::work::{Class, Gemm, Work};

// The C library, for the code that runs before `main`.
#[link(name = "c")]
unsafe extern "C" {}

unsafe extern "C" {
    /// Defined nowhere.
    fn derate_core_can_panic() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: never called: where this handler is reachable, the program does not link.
    unsafe { derate_core_can_panic() }
}

/// Entry point, called by the C library's start-up code.
// SAFETY: the name is the C entry point's and nothing else in the program has it.
#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    #[cfg(feature = "control")]
    keep(control(opaque(&[1, 2, 3][..]), opaque(1)));
    i32::from(opaque(run()).is_err())
}

/// A bare index, which panics out of bounds.
#[cfg(feature = "control")]
fn control(slice: &[u32], index: usize) -> u32 {
    slice[index]
}

/// Makes sure that a result is computed, and drops it.
fn keep<T>(result: T) {
    opaque(result);
}

fn run() -> Result<(), Error> {
    counts()?;
    rates()?;
    shapes()?;
    windows()?;
    names();
    messages().map_err(|_| Error::CountOverflow)?;
    let mut graph = Graph::<8, 16>::new();
    let id = build(opaque(&mut graph))?;
    let view = opaque(&graph).view();
    on_graph(view)?;
    // Three tables of any content, such as may not belong together.
    on_graph(GraphView::new(opaque(view.nodes()), opaque(view.tensors()), opaque(&[id][..])))
}

fn counts() -> Result<(), Error> {
    let (macs, flops, bytes) = (opaque(Macs(1)), opaque(Flops(1)), opaque(Bytes(1)));
    keep((macs.checked_add(opaque(Macs::ZERO)), macs.as_f32(), macs.flops()));
    keep((flops.checked_add(opaque(Flops::ZERO)), flops.as_f32()));
    keep((bytes.checked_add(opaque(Bytes::ZERO)), bytes.as_f32()));
    keep((bytes / BytesPerSecond::new(opaque(1.0))?, flops / FlopsPerSecond::new(opaque(1.0))?, flops / bytes));
    let time = opaque(Seconds(1.0));
    keep((time.max(opaque(Seconds::ZERO)), time + time, time * opaque(2.0)));
    keep(opaque(&[time][..]).iter().copied().sum::<Seconds>());
    Ok(())
}

fn rates() -> Result<(), Error> {
    let number = opaque(1.0_f32);
    keep([
        BytesPerSecond::new(number)?.get(),
        FlopsPerSecond::new(number)?.get(),
        Hertz::new(number)?.get(),
        Watts::new(number)?.get(),
        MacsPerCycle::new(number)?.get(),
        Factor::new(number)?.get(),
        f32::from(Factor::try_from(number)?),
    ]);
    let (bandwidth, peak, factor) = (BytesPerSecond::new(number)?, FlopsPerSecond::new(number)?, Factor::new(number)?);
    keep((bandwidth * factor, peak * factor));
    keep((attainable_throughput(opaque(FlopsPerByte(1.0)), peak, bandwidth), ridge_point(peak, bandwidth)));
    keep(smooth_max(opaque(Seconds(1.0)), opaque(Seconds(2.0))));
    Ok(())
}

fn shapes() -> Result<(), Error> {
    let shape = opaque(Shape::new(opaque(&[1, 3, 8, 8][..]))?);
    keep((shape.extents(), shape.rank(), shape.extent(opaque(2)), shape.elements(), shape == Shape::default()));
    let data_type = opaque(DataType::Fp32);
    keep(data_type.accumulator());
    keep((data_type.size(), data_type.precision(), data_type.bytes(opaque(7))));
    let precision = opaque(Precision::Fp32);
    keep((precision.name(), precision.data_type()));
    let table = PerPrecision::all(opaque(0_u32)).with(precision, opaque(1));
    let tensor = opaque(Tensor::activation(shape, data_type));
    keep((table.at(opaque(Precision::Int8)), tensor.bytes(), tensor.kind.is_stored(), data_type.name()));
    keep(Read::default().and(&tensor, opaque(Bytes(1))));
    keep((shape.broadcast(opaque(&shape)), shape.push(opaque(2)), shape.with_extent(opaque(1), opaque(2))));
    Ok(())
}

fn windows() -> Result<(), Error> {
    let window = opaque(Window::new(opaque(3), opaque(1), opaque(1)));
    keep((window.output(opaque(8), opaque(true)), window.transposed_output(opaque(8), opaque(0))));
    keep(opaque(Windows::square(opaque(3), opaque(1), opaque(1))).rank());
    let windows = opaque(Windows::new(opaque(&[window][..]))?);
    keep((windows.axes(), windows.taps()));
    keep((Transpose::new(opaque(&[1, 0][..])), AdaptivePool::global_average()));
    Ok(())
}

fn names() {
    keep(mapped::nests());
    keep((opaque(ActivationKind::Relu).name(), opaque(ActivationKind::Gelu).flops(), opaque(BinaryKind::Add).name()));
    keep((opaque(Confidence::Unknown).name(), opaque(Class::Conv).index(), opaque(Class::Conv).name()));
    keep((opaque(Cell::Gru).name(), opaque(Cell::Gru).gates(), opaque(Cell::Gru).flops()));
    keep((opaque(MoveKind::Pad).name(), opaque(ReduceKind::Sum).name(), opaque(ResizeKind::Cubic).name()));
    keep(opaque(ActivationKind::Gelu).is_transcendental());
}

/// Somewhere to write that never refuses, and about which nothing is known.
struct Sink;

impl Write for Sink {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        keep(text);
        opaque(Ok(()))
    }
}

/// Text of every error, whatever it holds.
fn messages() -> fmt::Result {
    let error = opaque(Error::InvalidAttribute(opaque(Attribute::Axis)));
    write!(Sink, "{error}")?;
    keep((Error::CapacityExceeded { table: Table::Ops, capacity: 1 }, Error::NotPositive(Quantity::Clock)));
    write!(Sink, "{} {} {}", opaque(Macs(1)), opaque(Flops(1)), opaque(Bytes(1)))
}

/// Any op on any operands: which of the variants it is, and with what attributes, is not known.
fn build<const OPS: usize, const TENSORS: usize>(graph: &mut Graph<OPS, TENSORS>) -> Result<TensorId, Error> {
    let id = graph.input(opaque(&[1, 8][..]), opaque(DataType::Fp32))?;
    keep(graph.tensor(opaque(&[1, 8][..]), opaque(DataType::Fp32), opaque(TensorKind::Parameter))?);
    let op = opaque(Op::View(View { shape: Shape::new(opaque(&[8][..]))? }));
    let other = Op::Activation(Activation { kind: opaque(ActivationKind::Relu), in_place: opaque(true) });
    let third = Op::Binary(Binary { kind: opaque(BinaryKind::Add), in_place: opaque(true) });
    keep((op.name(), op.in_place(), op.is_view(), op.output_count(), opaque(other).name(), opaque(third).name()));
    graph.op(op, opaque(&[id][..]))?;
    let graph = opaque(graph);
    graph.reserve(opaque(1), opaque(1), opaque(1))?;
    let node = opaque(graph.view().nodes()).first().copied();
    if let Some(node) = node {
        graph.push_node(node);
        graph.push_operand(opaque(node.output));
    }
    graph.push_tensor(opaque(Tensor::activation(Shape::default(), DataType::Int8)));
    graph.node(opaque(op), opaque(&[id.offset(opaque(1))][..]), opaque(true))
}

fn on_graph(view: GraphView<'_>) -> Result<(), Error> {
    keep(view.check());
    keep(Node::new(
        opaque(Op::View(View { shape: Shape::default() })),
        opaque(0),
        opaque(1),
        TensorId::new(opaque(1)),
        opaque(false),
    ));
    for node in view.nodes() {
        let operands: Operands<'_> = view.operands(node);
        keep((operands.len(), operands.is_empty(), operands.ids(), operands.bytes(), node.output.index()));
        keep(operands.at(opaque(0))?);
        for operand in operands.iter() {
            keep(operand?);
        }
        let output = view.output(node)?;
        keep((node.op.output(operands, opaque(0))?, node.op.work(operands, opaque(output))?));
        for id in view.outputs(node) {
            keep(id);
        }
        on_work(&view.work(node)?)?;
    }
    on_work(&view.total_work()?)?;
    let mut scratch = [Buffer::EMPTY; 16];
    let footprint: Footprint = footprint(view, opaque(&mut scratch[..]))?;
    keep((view.compulsory_traffic()?, view.bytes_stored()?, footprint.total()?));
    on_plan(view, &mut scratch)?;
    on_hardware(view)
}

fn on_plan(view: GraphView<'_>, buffers: &mut [Buffer]) -> Result<(), Error> {
    let (mut order, mut scratch) = ([0; 16], [0; 32]);
    keep(schedule(view, opaque(&mut order[..]), opaque(&mut scratch[..]), opaque(&mut *buffers))?);
    let mut lifetimes = lifetimes(view, opaque(Some(&order[..])), opaque(buffers))?;
    keep((lifetimes.place(opaque(16))?, lifetimes.peak()?));
    for live in lifetimes.live()? {
        keep(live?);
    }
    keep(opaque(view.tensors()).len());
    if let Some(node) = view.nodes().first() {
        keep(lifetimes.placement(node.output));
    }
    Ok(())
}

fn on_kernels(view: GraphView<'_>, target: &Target<'_>) -> Result<(), Error> {
    let (mut readers, mut links) = ([Readers::NOBODY; 16], [Link::FREE; 16]);
    let steps = [Step::once(opaque(Part::Conv)), Step::optional(Part::Bias), Step::any(Part::Pointwise)];
    keep(steps);
    let policy: &Policy = opaque([&EAGER, &INFERENCE, &MCU])[opaque(0) % 3];
    let fused: Fused<'_> = fuse(view, opaque(policy), opaque(&mut readers[..]), opaque(&mut links[..]))?;
    keep((fused.graph(), fused.policy()));
    for kernel in fused.kernels() {
        keep((kernel.rule(), kernel.last(), kernel.main(), kernel.in_place(), kernel.work()?));
        for product in kernel.products() {
            keep(product);
        }
        for node in kernel.nodes() {
            keep(node);
        }
        if let Some(node) = kernel.main() {
            keep((
                policy.is_view(view, node),
                opaque(Part::Linear).matches(view, node, opaque(None)),
                node.op.is_product(),
            ));
        }
    }
    for kernel in kernel_estimates(fused, target)? {
        keep(kernel?);
    }
    keep(estimate_kernels(fused, target)?);
    let mut scratch = [KernelWork::NOTHING; 4];
    let counted = works(opaque(fused), opaque(&mut scratch[..]))?;
    keep((counted.kernels(), estimate_works(opaque(&counted), target)?));
    mapped::kernels(opaque(fused), target)?;
    Ok(())
}

fn on_work(work: &Work) -> Result<(), Error> {
    keep((work.bytes_activation()?, work.compulsory_traffic()?, work.operational_intensity()?));
    keep(work.checked_add(opaque(&Work::none(Class::Copy)))?);
    keep(work.as_view());
    Ok(())
}

fn on_hardware(view: GraphView<'_>) -> Result<(), Error> {
    let compute = [ComputeUnit {
        name: "unit",
        count: opaque(1),
        clock: Hertz::new(opaque(1e9))?,
        macs_per_cycle: PerPrecision::all(Some(MacsPerCycle::new(opaque(1.0))?)),
        energy_per_mac: PerPrecision::all(Some(JoulesPerMac::new(opaque(1e-12))?)),
        basis: opaque(Basis::Spec),
    }];
    keep(JoulesPerByte::new(opaque(1e-12))?);
    let bandwidth = BytesPerSecond::new(opaque(1.0))?;
    let memory = [opaque(MemoryLevel::new("level", opaque(Bytes(1)), bandwidth, opaque(Basis::Spec)))];
    keep(memory.map(|level| level.instance_capacity()));
    let factor = Factor::new(opaque(0.5))?;
    let factors = PrecisionFactors {
        efficiency_factor: factor,
        memory_bottleneck_factor: factor,
        tile_utilization: factor,
        native_acceleration: opaque(true),
    };
    let profiles = [opaque(ThermalProfile::new("profile", "", PerPrecision::all(opaque(Some(factors)))))];
    let hardware =
        Hardware::new("", opaque(&compute[..]), opaque(&memory[..]), opaque(&profiles[..]), opaque(Seconds(1e-6)))?;
    keep((hardware.name(), hardware.compute(), hardware.memory(), hardware.thermal_profiles(), hardware.dispatch()));
    keep(hardware.fastest(opaque(Precision::Fp32))?);
    for unit in opaque(hardware.compute()) {
        keep(unit.peak_throughput(opaque(Precision::Fp64)));
    }
    mapper_systolic::arrays(opaque(&hardware))?;
    mapper_cpu_gpu::processors(opaque(&hardware))?;
    mapped::machines(opaque(&hardware))?;
    for border in [Border::Sharp, Border::Smooth { capacity: factor }] {
        let residency = opaque(Residency { hardware: opaque(&hardware), border, cache: factor, backing: factor });
        keep(residency.share(opaque(Bytes(1))).sum::<f32>());
        let stream = residency.transfer(opaque(Bytes(1)), opaque(Bytes(1)));
        keep(stream.and(stream));
    }
    let calibration = on_calibration(&view.total_work()?, &hardware)?;
    on_run(view, &calibration)?;
    let target = Target { calibration: opaque(Some(&calibration)), ..Target::new(&hardware)? };
    let estimate: Estimate = estimate(view, opaque(&target))?;
    keep((estimate, estimate.compute_bound()));
    on_kernels(view, opaque(&target))?;
    for op in op_estimates(view, opaque(&target))? {
        keep(op?);
    }
    Ok(())
}

fn on_calibration(work: &Work, hardware: &Hardware<'_>) -> Result<Calibration, Error> {
    let mode = hardware.thermal_profiles().first().ok_or(Error::NoThermalProfile)?;
    let machine = calibration::Machine::of(
        hardware,
        mode,
        opaque(Precision::Fp32),
        opaque(calibration::Runtime::EagerGpu),
        opaque(calibration::Protocol::WholeRun),
        opaque(4),
    )?;
    let priors = calibration::priors(opaque(&machine), opaque(calibration::Evidence::Operators));
    keep(calibration::expected(opaque(&priors)));
    let coefficients = calibration::tied(&priors, opaque(Coefficients::NEUTRAL.values()))?;
    let coefficients = Coefficients::from_values(opaque(coefficients.values()))?;
    keep((coefficients.values(), &COEFFICIENTS));
    let cell = opaque([-0.5, 0.5]);
    let kernels = micro_kernel::Coefficients::from_values(opaque(micro_kernel::Coefficients::PRIOR.values()))?;
    let (gemm, tile) = (Gemm { m: 1, n: 1, k: 1, groups: 1 }, RegisterTile { mr: 1, nr: 1 });
    keep(kernel_time(opaque(gemm), opaque(tile), opaque(&kernels))?.bound());
    let mut calibration = opaque(Calibration {
        model_version: calibration::MODEL_VERSION,
        runtime: calibration::Runtime::EagerGpu,
        protocol: calibration::Protocol::WholeRun,
        threads: 1,
        coefficients,
        hulls: [Hull::EMPTY; Class::ALL.len()],
        intervals: Some(calibration::Intervals { ops: [[cell; 3]; 5], common: 0.1, own: 0.1, quantile: 2.0 }),
    });
    calibration.widen(opaque(work))?;
    let hull = calibration.hull(opaque(Class::Linear));
    keep((
        hull.holds(work, opaque(4.0))?,
        hull.is_empty(),
        calibration.covers(opaque(Class::Linear)),
        calibration.check(),
    ));
    Ok(opaque(calibration))
}

fn on_run(view: GraphView<'_>, calibration: &Calibration) -> Result<(), Error> {
    let mut run = calibration.run(opaque(Bytes(1)));
    keep(calibration::Run::new(&calibration.coefficients, *run.setting(), calibration.protocol).end());
    for node in view.nodes() {
        let kernel = KernelWork::of_node(view, node)?;
        let calls = calibration::Calls::of(view, node, &kernel.work)?.in_place(opaque(true));
        let op = run.op(opaque(&calls));
        let regime = op.regime();
        keep(calibration::Regime::of(opaque(&op.times)) == regime);
        let group = calibration::Group::of(calls.routine());
        keep((op, group.name(), regime.name(), op.times.latency()));
        if let Some(intervals) = &calibration.intervals {
            keep(intervals.of_op(op.latency, group, regime, opaque(1.5)));
            keep(intervals.of_network(op.latency, opaque(0.5), opaque(1.5)));
        }
        calls.each(|call, _| {
            keep((
                call.flops(),
                call.activation_bytes(),
                call.weight_bytes(),
                call.routine.is_conv(),
                call.routine.is_product(),
            ));
            keep(calibration.coefficients.times(call, run.setting()).work());
        });
    }
    keep((run.ops(), run.end(), calibration.coefficients.run(run.ops())));
    Ok(())
}
