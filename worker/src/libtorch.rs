//! The libtorch under this process: where it is, which version, and its CUDA half, which is loaded at
//! run time and only when a GPU is asked for, so that one build serves machines with and without.

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LAZY};
use std::fs;
use std::path::{Path, PathBuf};
use tch::Device;
use thiserror::Error;

/// The version that the program is built against.
pub const VERSION: &str = "2.11.0";

/// Why a device cannot be used.
#[derive(Debug, Error)]
pub enum DeviceError {
    #[error(
        "the CUDA half of libtorch does not load: {0}; on a machine with an NVIDIA driver, \
             `make setup` installs what it needs"
    )]
    CudaHalf(String),
    #[error(
        "libtorch sees no GPU (CUDA_VISIBLE_DEVICES={visible:?}); check `nvidia-smi`, or use --device cpu"
    )]
    NoGpu { visible: String },
}

/// The folder that libtorch was loaded from.
pub fn folder() -> Option<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("/libtorch_cpu.so"))?;
    let path = &line[line.find('/')?..];
    Path::new(path).parent().map(Path::to_owned)
}

/// The version beside the loaded libtorch, without its build suffix: from the Python package's
/// `version.py`, or from the C++ distribution's `build-version`.
pub fn version() -> Option<String> {
    let root = folder()?.parent()?.to_owned();
    let text = said_by_python("__version__");
    let text = text.or_else(|| fs::read_to_string(root.join("build-version")).ok())?;
    text.trim().split('+').next().map(str::to_owned)
}

/// The version of CUDA that the loaded libtorch was built with; `None` where its folder does not say.
pub fn cuda_version() -> Option<String> {
    said_by_python("cuda")
}

/// A text that the Python package's `version.py` gives a name: `cuda: Optional[str] = '13.0'`.
fn said_by_python(name: &str) -> Option<String> {
    let text = fs::read_to_string(folder()?.parent()?.join("version.py")).ok()?;
    let is_of = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with([':', '=']))
    };
    text.lines().find(is_of)?.split('\'').nth(1).map(str::to_owned)
}

/// Loads the CUDA half, which registers itself with libtorch. Must come before the first tensor.
///
/// # Errors
/// What the loader says, if it or a library that it needs cannot be loaded.
pub fn load_cuda() -> Result<(), String> {
    let name = "libtorch_cuda.so";
    let path = folder().map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
    // SAFETY: the library's initialisers are libtorch's own and made to run in any process that has
    // libtorch_cpu loaded, as this one has.
    let library = unsafe { Library::open(Some(&path), RTLD_LAZY | RTLD_GLOBAL) };
    // It stays loaded to the end of the process.
    std::mem::forget(library.map_err(|e| e.to_string())?);
    Ok(())
}

/// The device to compute on: the first visible GPU where the orchestrator made one visible,
/// otherwise the CPU.
///
/// # Errors
/// If a GPU was made visible and cannot be used.
pub fn device() -> Result<Device, DeviceError> {
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
    if visible.is_empty() {
        return Ok(Device::Cpu);
    }
    load_cuda().map_err(DeviceError::CudaHalf)?;
    if tch::Cuda::is_available() && tch::Cuda::device_count() > 0 {
        Ok(Device::Cuda(0))
    } else {
        Err(DeviceError::NoGpu { visible })
    }
}

/// What `advrec doctor` asks the worker: facts about libtorch as JSON.
pub fn probe() -> serde_json::Value {
    let loaded = load_cuda();
    serde_json::json!({
        "version": version(),
        "expected": VERSION,
        "path": folder(),
        "cuda_half_loads": loaded.is_ok(),
        "cuda_half_error": loaded.err(),
        "has_cudart": tch::utils::has_cudart(),
        "gpus": tch::Cuda::device_count(),
        "threads": tch::get_num_threads(),
    })
}
