//! Which devices a sweep uses, and how many workers share them.

use std::fs;
use std::str::FromStr;
use thiserror::Error;

/// Where Linux lists the GPUs that NVIDIA's driver serves.
const NVIDIA_GPUS: &str = "/proc/driver/nvidia/gpus";

/// Why devices cannot be had.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    #[error("unknown device {0:?}; use cpu, cuda, or cuda with a list such as cuda:0,1")]
    Unknown(String),
    #[error(
        "no CUDA device: the NVIDIA driver lists none on this machine; use --device cpu, or see \
         `advrec doctor`"
    )]
    NoDriver,
    #[error("no CUDA device: CUDA_VISIBLE_DEVICES hides them all; unset it or use --device cpu")]
    Hidden,
    #[error("no CUDA device {wanted}; there are {count}, numbered from 0")]
    Missing { wanted: usize, count: usize },
}

/// What `--device` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Devices {
    #[default]
    Cpu,
    /// The GPUs with these numbers; all, when empty.
    Cuda(Vec<usize>),
}

impl FromStr for Devices {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown(text.to_owned());
        match text {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(Vec::new())),
            _ => {
                let list = text.strip_prefix("cuda:").ok_or_else(unknown)?;
                let mut numbers = Vec::new();
                for number in list.split(',') {
                    let number = number.trim().parse().map_err(|_| unknown())?;
                    if !numbers.contains(&number) {
                        numbers.push(number);
                    }
                }
                Ok(Self::Cuda(numbers))
            }
        }
    }
}

/// Room for one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub index: usize,
    /// Value of the worker's CUDA_VISIBLE_DEVICES; empty on the CPU.
    pub visible: String,
    /// Cores that the worker may keep busy.
    pub threads: usize,
}

impl Devices {
    /// The slots for `jobs` workers: by default as many as cores on the CPU, `per_gpu` a device on GPUs.
    /// The cores are divided among them.
    ///
    /// # Errors
    /// If a device is not there.
    pub fn slots(
        &self,
        jobs: Option<usize>,
        per_gpu: usize,
        cores: usize,
    ) -> Result<Vec<Slot>, DeviceError> {
        let visible = match self {
            Self::Cpu => vec![String::new(); jobs.unwrap_or(cores).max(1)],
            Self::Cuda(wanted) => {
                let hidden = std::env::var("CUDA_VISIBLE_DEVICES").ok();
                let present = present(hidden.as_deref(), count_gpus())?;
                let chosen = choose(wanted, &present)?;
                let jobs = jobs.unwrap_or(chosen.len() * per_gpu).max(1);
                chosen.iter().cycle().take(jobs).cloned().collect()
            }
        };
        let threads = (cores / visible.len()).max(1);
        let slot = |(index, visible)| Slot { index, visible, threads };
        Ok(visible.into_iter().enumerate().map(slot).collect())
    }
}

fn count_gpus() -> usize {
    fs::read_dir(NVIDIA_GPUS).map_or(0, |entries| entries.flatten().count())
}

/// The model of what a worker computes on, whose CUDA_VISIBLE_DEVICES is `visible`: of its first GPU, or
/// of the processor. `None` where the system does not say.
pub fn model(visible: &str) -> Option<String> {
    let Some(gpu) = visible.split(',').next().filter(|gpu| !gpu.is_empty()) else {
        return entry(&fs::read_to_string("/proc/cpuinfo").ok()?, "model name");
    };
    let folders = fs::read_dir(NVIDIA_GPUS).ok()?.flatten();
    let mut folders: Vec<_> = folders.map(|folder| folder.path()).collect();
    // By their place on the bus, in which the workers' CUDA numbers them.
    folders.sort();
    let texts = folders.iter().map(|f| fs::read_to_string(f.join("information")));
    let texts: Vec<String> = texts.map(Result::unwrap_or_default).collect();
    let text = match gpu.parse::<usize>() {
        Ok(number) => texts.get(number)?,
        Err(_) => texts.iter().find(|t| entry(t, "GPU UUID").is_some_and(|u| u == gpu))?,
    };
    entry(text, "Model")
}

/// The value in the first line `name : value`.
fn entry(text: &str, name: &str) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    let value = pairs.find(|(key, _)| key.trim() == name)?.1.trim();
    Some(value.to_owned())
}

/// What CUDA_VISIBLE_DEVICES may hold for each device that this process may use.
fn present(visible: Option<&str>, gpus: usize) -> Result<Vec<String>, DeviceError> {
    let Some(list) = visible else {
        return match gpus {
            0 => Err(DeviceError::NoDriver),
            _ => Ok((0..gpus).map(|i| i.to_string()).collect()),
        };
    };
    // CUDA stops at the first name that it does not know, and -1 is how people write "none".
    let names = list.split(',').map(str::trim).take_while(|n| !n.is_empty() && !n.starts_with('-'));
    let names: Vec<String> = names.map(str::to_owned).collect();
    if names.is_empty() { Err(DeviceError::Hidden) } else { Ok(names) }
}

fn choose(wanted: &[usize], present: &[String]) -> Result<Vec<String>, DeviceError> {
    if wanted.is_empty() {
        return Ok(present.to_vec());
    }
    let one = |&wanted: &usize| {
        let missing = DeviceError::Missing { wanted, count: present.len() };
        present.get(wanted).cloned().ok_or(missing)
    };
    wanted.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_and_divided() {
        assert_eq!("cuda:1,0,1".parse(), Ok(Devices::Cuda(vec![1, 0])));
        insta::assert_snapshot!("gpu".parse::<Devices>().unwrap_err(),
            @r#"unknown device "gpu"; use cpu, cuda, or cuda with a list such as cuda:0,1"#);
        assert!("cuda:x".parse::<Devices>().is_err());
        let slots = Devices::Cpu.slots(Some(3), 1, 8).unwrap();
        assert_eq!(slots.iter().map(|s| s.threads).collect::<Vec<_>>(), [2, 2, 2]);
        assert_eq!(Devices::Cpu.slots(None, 1, 4).unwrap().len(), 4);
        assert_eq!(Devices::Cpu.slots(Some(4), 1, 2).unwrap()[0].threads, 1);
    }

    #[test]
    fn only_devices_that_are_there_are_used() {
        assert_eq!(present(None, 2), Ok(vec!["0".to_owned(), "1".to_owned()]));
        let named = present(Some("3, GPU-5,-1,2"), 0).unwrap();
        assert_eq!(named, ["3", "GPU-5"]);
        assert_eq!(choose(&[1], &named), Ok(vec!["GPU-5".to_owned()]));
        insta::assert_snapshot!(choose(&[2], &named).unwrap_err(),
            @"no CUDA device 2; there are 2, numbered from 0");
        insta::assert_snapshot!(present(None, 0).unwrap_err(),
            @"no CUDA device: the NVIDIA driver lists none on this machine; use --device cpu, or see `advrec doctor`");
        insta::assert_snapshot!(present(Some(""), 8).unwrap_err(),
            @"no CUDA device: CUDA_VISIBLE_DEVICES hides them all; unset it or use --device cpu");
    }

    #[test]
    fn models_are_read_from_what_the_system_says() {
        let text = "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 0\nGPU UUID: \t GPU-1a:b\n";
        assert_eq!(entry(text, "Model").as_deref(), Some("NVIDIA H100 80GB HBM3"));
        assert_eq!(entry(text, "GPU UUID").as_deref(), Some("GPU-1a:b"));
        assert_eq!(entry(text, "Speed"), None);
        assert_eq!(model("GPU-nobody-has-this"), None);
    }
}
