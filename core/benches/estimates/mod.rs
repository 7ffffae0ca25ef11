//! Estimates that are benched: ResNet-50 on described devices, from its graph on, in memory that is there before.

use derate_core::Error;
use derate_core::estimate::{
    Estimate, KernelEstimate, KernelWork, Memo, NetworkEstimate, Target, Works, estimate_mapped, estimate_works,
    task_estimate, task_of, works,
};
use derate_core::mapper::{Roofline, cpu::Cpu, npu::Npu};
use derate_core::mapping::{Device, Mapper};
use derate_core::nest::Task;
use derate_core::shape::DataType;
use derate_hw_specs::device::{ETHOS_U65_512, I7_12700K};

use crate::resnet50;

/// Room for each different kernel of the network.
pub(crate) type Memos = [Memo; 64];

/// A network, a device, and the scratch of its estimate.
#[derive(Debug)]
pub(crate) struct Case<M: 'static> {
    graph: resnet50::Networks,
    target: Target<'static>,
    mapper: M,
    scratch: resnet50::Scratch,
}

/// A processor with three levels of cache, in fp32.
///
/// # Errors
/// None here.
pub(crate) fn processor() -> Result<Case<Cpu>, Error> {
    Case::new(&I7_12700K, DataType::Fp32)
}

/// An NPU with two levels of scratchpad before its memory, in int8.
///
/// # Errors
/// None here.
pub(crate) fn npu() -> Result<Case<Npu>, Error> {
    Case::new(&ETHOS_U65_512, DataType::Int8)
}

/// The processor by its roofs alone: the same fusion, tasks and estimates without a tiling.
///
/// # Errors
/// None here.
pub(crate) fn roofs() -> Result<Case<Roofline>, Error> {
    let Case { graph, target, scratch, .. } = processor()?;
    Ok(Case { graph, target, mapper: Roofline, scratch })
}

impl<M: Mapper> Case<M> {
    fn new(device: &'static Device<'static, M>, data_type: DataType) -> Result<Self, Error>
    where
        M: Copy,
    {
        Ok(Self {
            graph: resnet50::networks_of(1, data_type)?,
            target: Target::new(&device.hardware)?,
            mapper: device.mapper,
            scratch: resnet50::Scratch::default(),
        })
    }

    /// Graph to estimate: fusion, the task of each kernel, the mapping of each different one, the sum.
    ///
    /// # Errors
    /// None here.
    pub(crate) fn estimate(&mut self) -> Result<NetworkEstimate, Error> {
        let mut memos: Memos = [Memo::EMPTY; 64];
        let Self { graph, target, mapper, scratch } = self;
        estimate_mapped(scratch.fuse(graph)?, target, mapper, &mut memos)
    }

    /// The works of its kernels, and where they run.
    ///
    /// # Errors
    /// None here.
    pub(crate) fn works<'a>(
        &'a mut self,
        scratch: &'a mut [KernelWork],
    ) -> Result<(Works<'a>, &'a Target<'static>), Error> {
        Ok((works(self.scratch.fuse(&self.graph)?, scratch)?, &self.target))
    }

    /// The task of a kernel, where it runs, and by which mapper.
    ///
    /// # Errors
    /// None here.
    #[allow(dead_code, reason = "of the two benches, one takes a kernel")]
    pub(crate) fn task(&mut self, number: usize) -> Result<(Task, &Target<'static>, &M), Error> {
        let Self { graph, target, mapper, scratch } = self;
        let fused = scratch.fuse(graph)?;
        let kernel = fused.kernels().nth(number).expect("a kernel of this number");
        let task = task_of(fused, &kernel, fused.graph().bytes_stored()?, target)?;
        Ok((task, target, mapper))
    }
}

/// Estimate by the roofs of kernels whose work is counted.
///
/// # Errors
/// None here.
pub(crate) fn by_roofs(works: &Works<'_>, target: &Target<'_>) -> Result<Estimate, Error> {
    estimate_works(works, target)
}

/// Estimate of one task that was not mapped before.
///
/// # Errors
/// None here.
#[allow(dead_code, reason = "of the two benches, one takes a kernel")]
pub(crate) fn kernel<M: Mapper>(task: &Task, target: &Target<'_>, mapper: &M) -> Result<KernelEstimate, Error> {
    task_estimate(task, target, mapper, &mut [])
}
