//! Time of a call: the equations of [`super`], term by term.

use super::call::{Call, Routine};
use super::coefficients::Coefficients;
use crate::roofline::smooth_max;
use crate::units::Seconds;

/// Elements above which libtorch's elementwise kernels start another thread (`at::internal::GRAIN_SIZE`).
pub const GRAIN: f32 = 32_768.0;

/// Bytes above which glibc's allocator always maps fresh pages (`DEFAULT_MMAP_THRESHOLD_MAX` on 64 bits): 32 MiB.
pub const FRESH: f32 = 33_554_432.0;

/// Elements of the operand up to which libtorch runs a small convolution as a plain matrix product (`use_mkldnn`, ATen/native/Convolution.cpp).
pub const SMALL_CONV: f32 = 20_480.0;

/// Elementary steps of one output of a pooling beside its taps: index arithmetic, and the start of its window.
const POOL_START: f32 = 4.0;

/// Bytes of the layers that an im2col buffer passes: written once, read once.
const IM2COL_PASSES: f32 = 2.0;

/// What runs the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Runtime {
    /// Op after op on the cores of a CPU, by a library that reorders the data of large convolutions into blocks.
    EagerCpu,
    /// Op after op on a device that works beside its host.
    EagerGpu,
    /// Kernels of an embedded library on one core, one after another; convolutions of several taps copy their windows first.
    Embedded,
}

/// How the times that a calibration was fitted on were taken, and so which times it predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Protocol {
    /// Each op timed by itself, the device waited for after each; a network is the sum.
    PerOp,
    /// A whole run timed at its ends. A device beside its host works while the host dispatches what comes next.
    WholeRun,
}

/// When the data of a call were used last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reuse {
    /// Within a network: activations by the call before, weights one run ago.
    Network,
    /// By the same call just before: an op timed alone again and again.
    Warm,
    /// Not since the caches were flushed.
    Cold,
}

/// What a call's time depends on beside the call and the coefficients.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Setting {
    /// What runs it.
    pub runtime: Runtime,
    /// Threads of the runtime, at least 1.
    pub threads: f32,
    /// Bytes of all weights of the network.
    pub weights: f32,
    /// When its data were used last.
    pub reuse: Reuse,
}

/// Time of a call, by what it is spent on.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Times {
    /// Of the runtime, before the work.
    pub overhead: Seconds,
    /// Of the arithmetic alone.
    pub compute: Seconds,
    /// Of the traffic that overlaps with it, alone.
    pub memory: Seconds,
    /// Of the copies that do not: reordered data, buffers of windows, fresh pages.
    pub copies: Seconds,
    /// Share of the bytes that come from the backing store, from 0 to 1.
    pub far: f32,
}

impl Times {
    /// Nothing.
    pub const ZERO: Self = Self {
        overhead: Seconds::ZERO,
        compute: Seconds::ZERO,
        memory: Seconds::ZERO,
        copies: Seconds::ZERO,
        far: 0.0,
    };

    /// Time on the device: arithmetic and traffic overlapped, and the copies.
    #[must_use]
    pub fn work(&self) -> Seconds {
        smooth_max(self.compute, self.memory) + self.copies
    }

    /// Overhead and work one after the other.
    #[must_use]
    pub fn latency(&self) -> Seconds {
        self.overhead + self.work()
    }
}

/// Share of a stream that passes beyond a capacity, of this reuse distance: x² / (1 + x²), x = distance / capacity.
fn beyond(distance: f32, capacity: f32) -> f32 {
    let x = distance / capacity;
    // Written so that neither end loses digits: 0 at x = 0, 1 at x = ∞.
    1.0 / (1.0 + 1.0 / (x * x))
}

impl Coefficients {
    /// Seconds a byte takes of which this share comes from the backing store.
    fn per_byte(&self, far: f32) -> f32 {
        1.0 / self.cache_bandwidth + far / self.memory_bandwidth
    }

    /// Time of a whole run beside that of its ops.
    #[must_use]
    pub fn run(&self, ops: Seconds) -> Seconds {
        Seconds(self.run_overhead + self.idle_clock / (1.0 + ops.0 / self.wake))
    }

    /// Time of a call.
    #[must_use]
    pub fn times(&self, call: &Call, setting: &Setting) -> Times {
        let coldness = match setting.reuse {
            Reuse::Network => self.network_coldness,
            Reuse::Warm => 0.0,
            Reuse::Cold => 1.0,
        };
        let dearer = 1.0 + (self.cold_factor - 1.0) * coldness;
        if call.routine == Routine::View {
            return Times { overhead: Seconds(self.view_dispatch * dearer), ..Times::ZERO };
        }
        let (activations, weights) = (call.activation_bytes(), call.weight_bytes());
        let (far, far_weights) = match setting.reuse {
            Reuse::Network => {
                (beyond(activations, self.cache_capacity), beyond(setting.weights + activations, self.cache_capacity))
            }
            Reuse::Warm => {
                let share = beyond(activations + weights, self.cache_capacity);
                (share, share)
            }
            Reuse::Cold => (1.0, 1.0),
        };
        let memory = activations * self.per_byte(far) + weights * self.per_byte(far_weights);
        let mut times = if call.routine.is_product() {
            self.product(call, setting, memory)
        } else {
            self.pass(call, setting, memory)
        };
        times.overhead = times.overhead * dearer;
        times.far = if weights > activations { far_weights } else { far };
        times
    }

    /// Convolutions and matrix products.
    fn product(&self, call: &Call, setting: &Setting, memory: f32) -> Times {
        let conv = call.routine.is_conv();
        let small = call.batch <= 1.0 && call.mnkg[3] <= 1.0 && call.edge <= 3.0 && call.elements_in <= SMALL_CONV;
        let direct = conv
            && match setting.runtime {
                Runtime::EagerCpu => small,
                Runtime::EagerGpu => false,
                Runtime::Embedded => true,
            };
        let blocked = conv && !direct;
        let saturated = |half: [f32; 3]| {
            let [m, n, k, _] = call.mnkg;
            (1.0 + half[0] / m) * (1.0 + half[1] / n) * (1.0 + half[2] / k)
        };
        let (of_conv, of_linear) =
            ([self.conv_m, self.conv_n, self.conv_k], [self.linear_m, self.linear_n, self.linear_k]);
        let (throughput, slower) = match call.routine {
            Routine::Depthwise => (self.depthwise_throughput, 1.0),
            _ if conv && setting.runtime == Runtime::Embedded => (self.conv_throughput, saturated(of_conv)),
            _ if direct => (self.direct_throughput, saturated(of_linear)),
            _ if conv => (self.conv_throughput, saturated(of_conv)),
            _ => (self.linear_throughput, saturated(of_linear)),
        };
        let compute = call.flops() * slower / throughput;

        let mut copies = self.faults(call, blocked);
        if blocked {
            copies += self.reorder_passes * memory;
        }
        if call.taps > 1.0 && matches!(call.routine, Routine::Conv | Routine::GroupedConv) {
            if direct {
                let [m, _, k, groups] = call.mnkg;
                copies += IM2COL_PASSES * m * k * groups * call.element / self.thread_bandwidth;
            } else if setting.runtime == Runtime::EagerGpu {
                // The weights are permuted to the layout of the kernel on each call: read and written one by one.
                copies += 2.0 * call.elements_weight / self.indexed_rate;
            }
        }
        let dispatch = if direct { self.dispatch } else { self.library_dispatch };
        Times {
            overhead: Seconds(dispatch * call.overhead_share),
            compute: Seconds(compute),
            memory: Seconds(memory),
            copies: Seconds(copies),
            far: 0.0,
        }
    }

    /// Everything else: one pass over the elements.
    fn pass(&self, call: &Call, setting: &Setting, memory: f32) -> Times {
        let reduction = call.routine == Routine::Reduction;
        let elements = if reduction { call.elements_in } else { call.elements_out };
        let team = match setting.runtime {
            Runtime::EagerCpu => setting.threads.min(libm::ceilf(elements / GRAIN)).max(1.0),
            _ => 1.0,
        };
        // A batch normalisation is divided by channels, whatever their number of elements.
        let batch_norm = call.routine == Routine::BatchNorm;
        let streams = if batch_norm { setting.threads } else { team };
        let dispatch = match call.routine {
            Routine::Reduction | Routine::Norm | Routine::Softmax => self.reduction_dispatch,
            Routine::BatchNorm => self.norm_dispatch,
            _ => self.dispatch,
        };
        let of_team = setting.threads / team;
        let compute = match call.routine {
            Routine::Transcendental | Routine::Softmax if setting.runtime == Runtime::EagerCpu => {
                call.elements_out / self.transcendental_rate * of_team
            }
            Routine::Transcendental | Routine::Softmax => call.elements_out / self.transcendental_rate,
            Routine::Pooling => call.elements_out * (call.taps + POOL_START) / self.pooling_rate,
            Routine::Reduction => call.elements_in / self.indexed_rate,
            _ if call.broadcast => call.elements_out / self.indexed_rate,
            _ => 0.0,
        };
        let fork = if elements > GRAIN && !batch_norm { self.fork } else { 0.0 };
        let alone = call.activation_bytes() / (self.thread_bandwidth * streams);
        Times {
            overhead: Seconds(dispatch * call.overhead_share + fork),
            compute: Seconds(compute),
            memory: Seconds(memory.max(alone)),
            copies: Seconds(self.faults(call, false)),
            far: 0.0,
        }
    }

    /// Fresh pages: of the result, where it is a buffer of its own, and of the copies of a reordered convolution.
    fn faults(&self, call: &Call, reordered: bool) -> f32 {
        let fresh = |elements: f32| {
            let bytes = elements * call.element;
            if bytes > FRESH { bytes } else { 0.0 }
        };
        let result = if call.in_place { 0.0 } else { fresh(call.elements_out) };
        let copies = if reordered { fresh(call.elements_out) + fresh(call.elements_in) } else { 0.0 };
        (result + copies) / self.fault_bandwidth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1 TFLOP/s each, 100 GB/s within the caches of 1 MB, 25 GB/s beyond.
    const C: Coefficients = Coefficients {
        conv_throughput: 1e12,
        linear_throughput: 1e12,
        direct_throughput: 0.5e12,
        depthwise_throughput: 0.1e12,
        cache_bandwidth: 100e9,
        memory_bandwidth: 25e9,
        cache_capacity: 1e6,
        dispatch: 1e-6,
        view_dispatch: 0.5e-6,
        reduction_dispatch: 2e-6,
        norm_dispatch: 4e-6,
        library_dispatch: 8e-6,
        fork: 16e-6,
        reorder_passes: 3.0,
        thread_bandwidth: 10e9,
        fault_bandwidth: 1e9,
        transcendental_rate: 1e9,
        pooling_rate: 1e9,
        indexed_rate: 1e9,
        ..Coefficients::NEUTRAL
    };

    const CPU: Setting = Setting { runtime: Runtime::EagerCpu, threads: 4.0, weights: 0.0, reuse: Reuse::Cold };

    fn micros(seconds: Seconds) -> f32 {
        seconds.0 * 1e6
    }

    fn near(got: f32, wanted: f32) -> bool {
        (got - wanted).abs() <= 1e-4 * wanted.abs().max(1e-3)
    }

    /// 3 × 3, 64 to 64 channels, 56 × 56.
    const CONV: Call = Call {
        routine: Routine::Conv,
        mnkg: [3136.0, 64.0, 576.0, 1.0],
        taps: 9.0,
        edge: 3.0,
        elements_in: 200_704.0,
        elements_out: 200_704.0,
        elements_weight: 36_864.0,
        ..Call::VIEW
    };

    #[test]
    fn a_blocked_convolution_by_hand() {
        let got = C.times(&CONV, &CPU);
        // 2 · 3136 · 64 · 576 = 231.2 MFLOP at 1 TFLOP/s: 231.2 µs. 1 753 088 B, cold: 10 ps + 40 ps a byte: 87.654 µs; three times that again.
        assert!(near(micros(got.compute), 231.211), "{got:?}");
        assert!(near(micros(got.memory), 87.654), "{got:?}");
        assert!(near(micros(got.copies), 262.963) && near(micros(got.overhead), 8.0), "{got:?}");
        // On a GPU the weights are permuted instead: 2 · 36 864 at 1 GHz; nothing is reordered where that takes no pass.
        let gpu = Coefficients { reorder_passes: 0.0, ..C };
        let got = gpu.times(&CONV, &Setting { runtime: Runtime::EagerGpu, ..CPU });
        assert!(near(micros(got.copies), 73.728), "{got:?}");
    }

    #[test]
    fn a_small_convolution_runs_as_a_product_by_hand() {
        let small = Call { mnkg: [49.0, 64.0, 576.0, 1.0], elements_in: 3136.0, elements_out: 3136.0, ..CONV };
        let got = C.times(&small, &CPU);
        // Half a TFLOP/s; the windows are copied: 2 · 49 · 576 · 4 B at 10 GB/s.
        assert!(near(micros(got.compute), 7.2253) && near(micros(got.copies), 22.579), "{got:?}");
        assert!(near(micros(got.overhead), 1.0), "{got:?}");
        for blocked in [
            Call { batch: 2.0, ..small },
            Call { edge: 5.0, ..small },
            Call { mnkg: [49.0, 32.0, 288.0, 2.0], routine: Routine::GroupedConv, ..small },
            Call { elements_in: SMALL_CONV + 1.0, ..small },
        ] {
            assert!(near(micros(C.times(&blocked, &CPU).overhead), 8.0), "{blocked:?}");
        }
    }

    #[test]
    fn a_product_fills_slowly_by_hand() {
        let c = Coefficients { linear_m: 4.0, linear_n: 8.0, linear_k: 16.0, ..C };
        let linear = Call { routine: Routine::Linear, mnkg: [4.0, 8.0, 16.0, 1.0], ..Call::VIEW };
        // 1024 FLOP at an eighth of 1 TFLOP/s.
        assert!(near(micros(c.times(&linear, &CPU).compute), 8.192e-3));
        // Those of convolutions are others.
        let conv = Call { routine: Routine::Pointwise, batch: 2.0, ..linear };
        assert!(near(micros(c.times(&conv, &CPU).compute), 1.024e-3));
    }

    #[test]
    fn reuse_within_a_network_and_alone_by_hand() {
        let linear = Call {
            routine: Routine::Linear,
            elements_in: 125_000.0,
            elements_out: 125_000.0,
            elements_weight: 250_000.0,
            ..Call::VIEW
        };
        let memory = |setting: &Setting| micros(C.times(&linear, setting).memory);
        // Activations: 1 MB at distance 1 MB, half from the backing store: 10 + 20 µs. Weights: 1 MB at 3 MB, nine tenths: 10 + 36 µs.
        assert!(near(memory(&Setting { weights: 2e6, reuse: Reuse::Network, ..CPU }), 76.0));
        // Alone and warm: 2 MB at 2 MB, four fifths: 20 + 64 µs. Cold: 20 + 80.
        assert!(near(memory(&Setting { reuse: Reuse::Warm, ..CPU }), 84.0));
        assert!(near(memory(&CPU), 100.0));
    }

    #[test]
    fn a_team_grows_with_its_op_by_hand() {
        let op = |routine, elements| Call { routine, elements_in: elements, elements_out: elements, ..Call::VIEW };
        let warm = Setting { reuse: Reuse::Warm, ..CPU };
        // Two threads at 10 GB/s each for 65 536 elements, 524 288 B: 26.2 µs, and a fork.
        let got = C.times(&op(Routine::Elementwise, 65_536.0), &warm);
        assert!(near(micros(got.memory), 26.2144) && near(micros(got.overhead), 17.0), "{got:?}");
        // One thread below the grain, and no fork; a batch normalisation has all four, whatever it is.
        let got = C.times(&op(Routine::Elementwise, 32_768.0), &warm);
        assert!(near(micros(got.memory), 26.2144) && near(micros(got.overhead), 1.0), "{got:?}");
        let got = C.times(&op(Routine::BatchNorm, 32_768.0), &warm);
        assert!(near(micros(got.memory), 6.5536) && near(micros(got.overhead), 4.0), "{got:?}");
        // Exponentials: 1 a nanosecond by four threads, so a quarter of that by one.
        let got = C.times(&op(Routine::Transcendental, 1000.0), &warm);
        assert!(near(micros(got.compute), 4.0), "{got:?}");
        let got = C.times(&op(Routine::Softmax, 1000.0), &Setting { runtime: Runtime::EagerGpu, ..warm });
        assert!(near(micros(got.compute), 1.0) && near(micros(got.overhead), 2.0), "{got:?}");
    }

    #[test]
    fn pooling_reductions_and_broadcasts_by_hand() {
        let op = |routine| Call { routine, elements_in: 4000.0, elements_out: 1000.0, taps: 9.0, ..Call::VIEW };
        let compute = |call: &Call| micros(C.times(call, &CPU).compute);
        // 1000 · (9 + 4) taps; 4000 summed; 1000 addressed one by one; nothing.
        assert!(near(compute(&op(Routine::Pooling)), 13.0) && near(compute(&op(Routine::Reduction)), 4.0));
        assert!(near(compute(&Call { broadcast: true, ..op(Routine::Elementwise) }), 1.0));
        assert_eq!(compute(&op(Routine::Elementwise)), 0.0);
    }

    #[test]
    fn fresh_pages_and_cold_calls_by_hand() {
        // 40 MB at 1 GB/s, unless the result lies where the operand lay.
        let op = Call { routine: Routine::Elementwise, elements_in: 1e7, elements_out: 1e7, ..Call::VIEW };
        assert!(near(micros(C.times(&op, &CPU).copies), 40_000.0));
        assert_eq!(C.times(&Call { in_place: true, ..op }, &CPU).copies, Seconds::ZERO);
        // Overhead four times as long when cold, in a network a third of the way there.
        let c = Coefficients { cold_factor: 4.0, network_coldness: 1.0 / 3.0, ..C };
        let of = |reuse| micros(c.times(&Call::VIEW, &Setting { reuse, ..CPU }).overhead);
        assert!(near(of(Reuse::Cold), 2.0) && near(of(Reuse::Network), 1.0) && near(of(Reuse::Warm), 0.5));
    }

    #[test]
    fn a_run_that_wakes_the_clock_by_hand() {
        let c = Coefficients { run_overhead: 100e-6, idle_clock: 300e-6, wake: 50e-6, ..C };
        // 100 + 300 / (1 + 100/50).
        assert!(near(micros(c.run(Seconds(100e-6))), 200.0));
    }
}
