//! Every device as a constant. Written from `devices/`; do not edit.

mod a100_sxm_80gb;
mod alif_ensemble_e7;
mod altra_max_m128_30;
mod ampereone_a192_32x;
mod apple_m1;
mod apple_m1_gpu;
mod apple_m2;
mod apple_m2_gpu;
mod apple_m3;
mod apple_m4;
mod arc_ev7x;
mod b100;
mod coral_edge_tpu;
mod dpu_b4096_zcu104;
mod efr32mg24;
mod epyc_9654;
mod epyc_9754;
mod epyc_9965;
mod esp32c3;
mod ethos_u55_128;
mod ethos_u55_256;
mod ethos_u65_512;
mod ethos_u85_1024;
mod fe310;
mod gap9;
mod graviton3;
mod graviton4;
mod h100_pcie;
mod h100_sxm;
mod h200_sxm;
mod hailo_10h;
mod hailo_8;
mod i7_12700k;
mod jetson_agx_orin_64gb;
mod jetson_orin_nano_8gb;
mod jetson_orin_nx_16gb;
mod jetson_thor_t5000;
mod k210;
mod kpu_t128;
mod kpu_t256;
mod kpu_t64;
mod kpu_t768;
mod l4;
mod max78000;
mod neupro_m_npm11;
mod nrf52840;
mod nrf5340;
mod numicro_m467;
mod plasticine_isca17;
mod plasticine_v2;
mod qrb5165;
mod ra6m4;
mod ra8d1;
mod rp2040;
mod ryzen_9_8945hs;
mod stm32f746;
mod stm32h743;
mod stm32h7a3;
mod stm32l4r5;
mod stm32u575;
mod t4;
mod tda4al;
mod tda4vh;
mod tda4vl;
mod tda4vm;
mod tensilica_vision_q8;
mod tpu_v3;
mod tpu_v4;
mod tpu_v5p;
mod v100_sxm2_32gb;
mod xeon_6980p;
mod xeon_8490h;
mod prelude;

use derate_core::mapper::Any;
use derate_core::mapping::Device;

use prelude::any;

pub use a100_sxm_80gb::A100_SXM_80GB;
pub use alif_ensemble_e7::ALIF_ENSEMBLE_E7;
pub use altra_max_m128_30::ALTRA_MAX_M128_30;
pub use ampereone_a192_32x::AMPEREONE_A192_32X;
pub use apple_m1::APPLE_M1;
pub use apple_m1_gpu::APPLE_M1_GPU;
pub use apple_m2::APPLE_M2;
pub use apple_m2_gpu::APPLE_M2_GPU;
pub use apple_m3::APPLE_M3;
pub use apple_m4::APPLE_M4;
pub use arc_ev7x::ARC_EV7X;
pub use b100::B100;
pub use coral_edge_tpu::CORAL_EDGE_TPU;
pub use dpu_b4096_zcu104::DPU_B4096_ZCU104;
pub use efr32mg24::EFR32MG24;
pub use epyc_9654::EPYC_9654;
pub use epyc_9754::EPYC_9754;
pub use epyc_9965::EPYC_9965;
pub use esp32c3::ESP32C3;
pub use ethos_u55_128::ETHOS_U55_128;
pub use ethos_u55_256::ETHOS_U55_256;
pub use ethos_u65_512::ETHOS_U65_512;
pub use ethos_u85_1024::ETHOS_U85_1024;
pub use fe310::FE310;
pub use gap9::GAP9;
pub use graviton3::GRAVITON3;
pub use graviton4::GRAVITON4;
pub use h100_pcie::H100_PCIE;
pub use h100_sxm::H100_SXM;
pub use h200_sxm::H200_SXM;
pub use hailo_10h::HAILO_10H;
pub use hailo_8::HAILO_8;
pub use i7_12700k::I7_12700K;
pub use jetson_agx_orin_64gb::JETSON_AGX_ORIN_64GB;
pub use jetson_orin_nano_8gb::JETSON_ORIN_NANO_8GB;
pub use jetson_orin_nx_16gb::JETSON_ORIN_NX_16GB;
pub use jetson_thor_t5000::JETSON_THOR_T5000;
pub use k210::K210;
pub use kpu_t128::KPU_T128;
pub use kpu_t256::KPU_T256;
pub use kpu_t64::KPU_T64;
pub use kpu_t768::KPU_T768;
pub use l4::L4;
pub use max78000::MAX78000;
pub use neupro_m_npm11::NEUPRO_M_NPM11;
pub use nrf52840::NRF52840;
pub use nrf5340::NRF5340;
pub use numicro_m467::NUMICRO_M467;
pub use plasticine_isca17::PLASTICINE_ISCA17;
pub use plasticine_v2::PLASTICINE_V2;
pub use qrb5165::QRB5165;
pub use ra6m4::RA6M4;
pub use ra8d1::RA8D1;
pub use rp2040::RP2040;
pub use ryzen_9_8945hs::RYZEN_9_8945HS;
pub use stm32f746::STM32F746;
pub use stm32h743::STM32H743;
pub use stm32h7a3::STM32H7A3;
pub use stm32l4r5::STM32L4R5;
pub use stm32u575::STM32U575;
pub use t4::T4;
pub use tda4al::TDA4AL;
pub use tda4vh::TDA4VH;
pub use tda4vl::TDA4VL;
pub use tda4vm::TDA4VM;
pub use tensilica_vision_q8::TENSILICA_VISION_Q8;
pub use tpu_v3::TPU_V3;
pub use tpu_v4::TPU_V4;
pub use tpu_v5p::TPU_V5P;
pub use v100_sxm2_32gb::V100_SXM2_32GB;
pub use xeon_6980p::XEON_6980P;
pub use xeon_8490h::XEON_8490H;

/// The device of this name, for programs that learn it when they run: all of them are linked then.
#[must_use]
pub fn find(name: &str) -> Option<Device<'static, Any>> {
    Some(match name {
        "a100-sxm-80gb" => any(&A100_SXM_80GB, Any::Gpu(A100_SXM_80GB.mapper)),
        "alif-ensemble-e7" => any(&ALIF_ENSEMBLE_E7, Any::Npu(ALIF_ENSEMBLE_E7.mapper)),
        "altra-max-m128-30" => any(&ALTRA_MAX_M128_30, Any::Cpu(ALTRA_MAX_M128_30.mapper)),
        "ampereone-a192-32x" => any(&AMPEREONE_A192_32X, Any::Cpu(AMPEREONE_A192_32X.mapper)),
        "apple-m1" => any(&APPLE_M1, Any::Cpu(APPLE_M1.mapper)),
        "apple-m1-gpu" => any(&APPLE_M1_GPU, Any::Gpu(APPLE_M1_GPU.mapper)),
        "apple-m2" => any(&APPLE_M2, Any::Cpu(APPLE_M2.mapper)),
        "apple-m2-gpu" => any(&APPLE_M2_GPU, Any::Gpu(APPLE_M2_GPU.mapper)),
        "apple-m3" => any(&APPLE_M3, Any::Cpu(APPLE_M3.mapper)),
        "apple-m4" => any(&APPLE_M4, Any::Cpu(APPLE_M4.mapper)),
        "arc-ev7x" => any(&ARC_EV7X, Any::Npu(ARC_EV7X.mapper)),
        "b100" => any(&B100, Any::Gpu(B100.mapper)),
        "coral-edge-tpu" => any(&CORAL_EDGE_TPU, Any::Systolic(CORAL_EDGE_TPU.mapper)),
        "dpu-b4096-zcu104" => any(&DPU_B4096_ZCU104, Any::Dpu(DPU_B4096_ZCU104.mapper)),
        "efr32mg24" => any(&EFR32MG24, Any::Mcu(EFR32MG24.mapper)),
        "epyc-9654" => any(&EPYC_9654, Any::Cpu(EPYC_9654.mapper)),
        "epyc-9754" => any(&EPYC_9754, Any::Cpu(EPYC_9754.mapper)),
        "epyc-9965" => any(&EPYC_9965, Any::Cpu(EPYC_9965.mapper)),
        "esp32c3" => any(&ESP32C3, Any::Mcu(ESP32C3.mapper)),
        "ethos-u55-128" => any(&ETHOS_U55_128, Any::Npu(ETHOS_U55_128.mapper)),
        "ethos-u55-256" => any(&ETHOS_U55_256, Any::Npu(ETHOS_U55_256.mapper)),
        "ethos-u65-512" => any(&ETHOS_U65_512, Any::Npu(ETHOS_U65_512.mapper)),
        "ethos-u85-1024" => any(&ETHOS_U85_1024, Any::Npu(ETHOS_U85_1024.mapper)),
        "fe310" => any(&FE310, Any::Mcu(FE310.mapper)),
        "gap9" => any(&GAP9, Any::Npu(GAP9.mapper)),
        "graviton3" => any(&GRAVITON3, Any::Cpu(GRAVITON3.mapper)),
        "graviton4" => any(&GRAVITON4, Any::Cpu(GRAVITON4.mapper)),
        "h100-pcie" => any(&H100_PCIE, Any::Gpu(H100_PCIE.mapper)),
        "h100-sxm" => any(&H100_SXM, Any::Gpu(H100_SXM.mapper)),
        "h200-sxm" => any(&H200_SXM, Any::Gpu(H200_SXM.mapper)),
        "hailo-10h" => any(&HAILO_10H, Any::Npu(HAILO_10H.mapper)),
        "hailo-8" => any(&HAILO_8, Any::Npu(HAILO_8.mapper)),
        "i7-12700k" => any(&I7_12700K, Any::Cpu(I7_12700K.mapper)),
        "jetson-agx-orin-64gb" => any(&JETSON_AGX_ORIN_64GB, Any::Gpu(JETSON_AGX_ORIN_64GB.mapper)),
        "jetson-orin-nano-8gb" => any(&JETSON_ORIN_NANO_8GB, Any::Gpu(JETSON_ORIN_NANO_8GB.mapper)),
        "jetson-orin-nx-16gb" => any(&JETSON_ORIN_NX_16GB, Any::Gpu(JETSON_ORIN_NX_16GB.mapper)),
        "jetson-thor-t5000" => any(&JETSON_THOR_T5000, Any::Gpu(JETSON_THOR_T5000.mapper)),
        "k210" => any(&K210, Any::Npu(K210.mapper)),
        "kpu-t128" => any(&KPU_T128, Any::TileFabric(KPU_T128.mapper)),
        "kpu-t256" => any(&KPU_T256, Any::TileFabric(KPU_T256.mapper)),
        "kpu-t64" => any(&KPU_T64, Any::TileFabric(KPU_T64.mapper)),
        "kpu-t768" => any(&KPU_T768, Any::TileFabric(KPU_T768.mapper)),
        "l4" => any(&L4, Any::Gpu(L4.mapper)),
        "max78000" => any(&MAX78000, Any::Npu(MAX78000.mapper)),
        "neupro-m-npm11" => any(&NEUPRO_M_NPM11, Any::Npu(NEUPRO_M_NPM11.mapper)),
        "nrf52840" => any(&NRF52840, Any::Mcu(NRF52840.mapper)),
        "nrf5340" => any(&NRF5340, Any::Mcu(NRF5340.mapper)),
        "numicro-m467" => any(&NUMICRO_M467, Any::Mcu(NUMICRO_M467.mapper)),
        "plasticine-isca17" => any(&PLASTICINE_ISCA17, Any::Cgra(PLASTICINE_ISCA17.mapper)),
        "plasticine-v2" => any(&PLASTICINE_V2, Any::Cgra(PLASTICINE_V2.mapper)),
        "qrb5165" => any(&QRB5165, Any::Npu(QRB5165.mapper)),
        "ra6m4" => any(&RA6M4, Any::Mcu(RA6M4.mapper)),
        "ra8d1" => any(&RA8D1, Any::Mcu(RA8D1.mapper)),
        "rp2040" => any(&RP2040, Any::Mcu(RP2040.mapper)),
        "ryzen-9-8945hs" => any(&RYZEN_9_8945HS, Any::Cpu(RYZEN_9_8945HS.mapper)),
        "stm32f746" => any(&STM32F746, Any::Mcu(STM32F746.mapper)),
        "stm32h743" => any(&STM32H743, Any::Mcu(STM32H743.mapper)),
        "stm32h7a3" => any(&STM32H7A3, Any::Mcu(STM32H7A3.mapper)),
        "stm32l4r5" => any(&STM32L4R5, Any::Mcu(STM32L4R5.mapper)),
        "stm32u575" => any(&STM32U575, Any::Mcu(STM32U575.mapper)),
        "t4" => any(&T4, Any::Gpu(T4.mapper)),
        "tda4al" => any(&TDA4AL, Any::Npu(TDA4AL.mapper)),
        "tda4vh" => any(&TDA4VH, Any::Npu(TDA4VH.mapper)),
        "tda4vl" => any(&TDA4VL, Any::Npu(TDA4VL.mapper)),
        "tda4vm" => any(&TDA4VM, Any::Npu(TDA4VM.mapper)),
        "tensilica-vision-q8" => any(&TENSILICA_VISION_Q8, Any::Npu(TENSILICA_VISION_Q8.mapper)),
        "tpu-v3" => any(&TPU_V3, Any::Systolic(TPU_V3.mapper)),
        "tpu-v4" => any(&TPU_V4, Any::Systolic(TPU_V4.mapper)),
        "tpu-v5p" => any(&TPU_V5P, Any::Systolic(TPU_V5P.mapper)),
        "v100-sxm2-32gb" => any(&V100_SXM2_32GB, Any::Gpu(V100_SXM2_32GB.mapper)),
        "xeon-6980p" => any(&XEON_6980P, Any::Cpu(XEON_6980P.mapper)),
        "xeon-8490h" => any(&XEON_8490H, Any::Cpu(XEON_8490H.mapper)),
        _ => return None,
    })
}
