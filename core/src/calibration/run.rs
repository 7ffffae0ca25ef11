//! Runs: calls one after another, on one line of work or on two.

use super::call::{Calls, Routine};
use super::coefficients::Coefficients;
use super::interval::Regime;
use super::time::{Protocol, Runtime, Setting, Times};
use crate::units::Seconds;

/// Time of the calls of an op within a run.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OpTime {
    /// Its calls one after another.
    pub times: Times,
    /// By how much it makes the run longer.
    pub latency: Seconds,
}

impl OpTime {
    /// What most of its time goes to.
    #[must_use]
    pub fn regime(&self) -> Regime {
        Regime::of(&self.times)
    }
}

/// A run that is being added up, op after op.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    coefficients: &'a Coefficients,
    setting: Setting,
    /// Whether a device works beside its host, which does not wait for it.
    beside: bool,
    /// When the host has dispatched all ops so far.
    host: Seconds,
    /// When the device has finished them.
    device: Seconds,
}

impl<'a> Run<'a> {
    /// An empty run.
    #[must_use]
    pub const fn new(coefficients: &'a Coefficients, setting: Setting, protocol: Protocol) -> Self {
        let beside = matches!((setting.runtime, protocol), (Runtime::EagerGpu, Protocol::WholeRun));
        Self { coefficients, setting, beside, host: Seconds::ZERO, device: Seconds::ZERO }
    }

    /// What the times of its calls depend on.
    #[must_use]
    pub const fn setting(&self) -> &Setting {
        &self.setting
    }

    /// Adds an op.
    pub fn op(&mut self, calls: &Calls) -> OpTime {
        let mut sum = Times::ZERO;
        let (mut work, mut kernels) = (Seconds::ZERO, 0.0);
        calls.each(|call, repeated| {
            let times = self.coefficients.times(call, &self.setting);
            sum.overhead = sum.overhead + times.overhead * repeated;
            sum.compute = sum.compute + times.compute * repeated;
            sum.memory = sum.memory + times.memory * repeated;
            sum.copies = sum.copies + times.copies * repeated;
            sum.far = sum.far.max(times.far);
            work = work + times.work() * repeated;
            kernels += if call.routine == Routine::View { 0.0 } else { repeated };
        });
        let before = self.ops();
        self.host = self.host + sum.overhead;
        if self.beside {
            if kernels > 0.0 {
                let floor = Seconds(self.coefficients.kernel_floor * kernels);
                self.device = self.device.max(self.host) + work.max(floor);
            }
            OpTime { times: sum, latency: Seconds(self.ops().0 - before.0) }
        } else {
            self.host = self.host + work;
            OpTime { times: sum, latency: sum.overhead + work }
        }
    }

    /// Time of the ops so far.
    #[must_use]
    pub fn ops(&self) -> Seconds {
        self.host.max(self.device)
    }

    /// Time of the whole run.
    #[must_use]
    pub fn end(&self) -> Seconds {
        let ops = self.ops();
        ops + self.coefficients.run(ops)
    }
}
