//! How many processes a machine has room for. Knows nothing of what they do.

use crate::{LaunchError, Processes, Variables};

/// The number of processes that was asked for.
///
/// Errors: `gpu` where there is none.
pub(crate) fn count(asked: Processes, variables: &Variables) -> Result<u32, LaunchError> {
    let processors = || std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
    match asked {
        Processes::Count(count) => Ok(count),
        Processes::Cpu => Ok(processors()),
        Processes::Auto => match gpus(variables) {
            0 => Ok(processors()),
            gpus => Ok(gpus),
        },
        Processes::Gpu => match gpus(variables) {
            0 => Err(LaunchError::NoGpu { is_hidden: variables.contains("CUDA_VISIBLE_DEVICES") }),
            gpus => Ok(gpus),
        },
    }
}

/// GPUs that a process started here would see: those of `CUDA_VISIBLE_DEVICES`, else the device files `/dev/nvidia0`, ….
fn gpus(variables: &Variables) -> u32 {
    if variables.contains("CUDA_VISIBLE_DEVICES") {
        return visible(variables.get("CUDA_VISIBLE_DEVICES").unwrap_or_default());
    }
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let is_gpu = |name: &str| {
        let number = name.strip_prefix("nvidia");
        number.is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    entries.filter(|entry| entry.file_name().to_str().is_some_and(is_gpu)).count() as u32
}

/// Entries up to the first that is no device: -1 hides all that follow.
fn visible(list: &str) -> u32 {
    list.split(',').map(str::trim).take_while(|id| !id.is_empty() && !id.starts_with('-')).count()
        as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_devices_are_counted() {
        for (list, expected) in
            [("0,1,3", 3), ("", 0), ("-1", 0), ("0,-1,1", 1), ("GPU-ab,MIG-c", 2)]
        {
            let variables = Variables::from([("CUDA_VISIBLE_DEVICES", list)]);
            assert_eq!(gpus(&variables), expected, "{list}");
        }
    }

    #[test]
    fn a_gpu_that_is_not_there_is_told() {
        let hidden = Variables::from([("CUDA_VISIBLE_DEVICES", "-1")]);
        let text = count(Processes::Gpu, &hidden).unwrap_err().to_string();
        assert!(text.contains("CUDA_VISIBLE_DEVICES"), "{text}");
        assert!(count(Processes::Auto, &hidden).unwrap() >= 1);
    }
}
