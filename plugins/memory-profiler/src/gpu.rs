//! The memory of an NVIDIA GPU, as `nvidia-smi` tells it. Knows nothing of the host's allocator.

use crate::memory::percent;
use serde_json::{Map, Value as Json, json};
use std::path::Path;
use std::process::Command;

/// Units: MB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GpuMemory {
    total: u64,
    used: u64,
    /// Of this process; `None` where the driver does not say, as in containers with process numbers of their own.
    process: Option<u64>,
}

impl GpuMemory {
    /// The memory of `device`, such as `cuda:0`.
    ///
    /// Errors: another kind of device; `nvidia-smi` is missing, fails, or says something else.
    pub(crate) fn of(device: &str, program: &Path) -> Result<GpuMemory, String> {
        let Some(index) =
            device.strip_prefix("cuda:").and_then(|index| index.parse::<usize>().ok())
        else {
            return Err(format!("the model is on {device}"));
        };
        let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
        let physical = physical(index, visible.as_deref());
        let of_gpu = ask(program, &physical, "--query-gpu=memory.total,memory.used")?;
        let processes = ask(program, &physical, "--query-compute-apps=pid,used_gpu_memory")?;
        GpuMemory::read(&of_gpu, &processes, std::process::id())
    }

    fn read(of_gpu: &str, processes: &str, process: u32) -> Result<GpuMemory, String> {
        let pair = |line: &str| -> Option<(u64, u64)> {
            let (first, second) = line.split_once(',')?;
            Some((first.trim().parse().ok()?, second.trim().parse().ok()?))
        };
        let (total, used) = of_gpu.lines().find_map(pair).ok_or_else(|| {
            format!("nvidia-smi: expected total and used memory, found {:?}", of_gpu.trim())
        })?;
        let own = processes.lines().filter_map(pair).find(|(id, _)| *id == u64::from(process));
        Ok(GpuMemory { total, used, process: own.map(|(_, megabytes)| megabytes) })
    }

    /// Takes the bytes that the allocator holds for what the process uses, where the driver does not say.
    pub(crate) fn complete(&mut self, reserved: u64) {
        self.process.get_or_insert(reserved >> 20);
    }

    /// In the manner of MMDetection's line.
    pub(crate) fn line(&self) -> String {
        let process = self.process.map_or("unknown".to_owned(), |process| format!("{process} MB"));
        format!(
            "GPU memory information available_gpu_memory: {} MB, used_gpu_memory: {} MB, gpu_memory_utilization: {:.1} %, \
             current_process_gpu_memory: {process}",
            self.total.saturating_sub(self.used),
            self.used,
            percent(self.used, self.total),
        )
    }

    pub(crate) fn add_to(&self, values: &mut Map<String, Json>) {
        let free = self.total.saturating_sub(self.used);
        values.insert("memory/available_gpu_memory".into(), json!(free));
        values.insert("memory/used_gpu_memory".into(), json!(self.used));
        values
            .insert("memory/gpu_memory_utilization".into(), json!(percent(self.used, self.total)));
        if let Some(process) = self.process {
            values.insert("memory/current_process_gpu_memory".into(), json!(process));
        }
    }
}

/// What `nvidia-smi` calls the GPU that the process calls number `index`.
fn physical(index: usize, visible: Option<&str>) -> String {
    let named = visible.and_then(|names| names.split(',').nth(index)).map(str::trim);
    named.filter(|name| !name.is_empty()).map_or_else(|| index.to_string(), str::to_owned)
}

fn ask(program: &Path, gpu: &str, query: &str) -> Result<String, String> {
    let asked = Command::new(program)
        .args([query, "--format=csv,noheader,nounits", "-i", gpu])
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if asked.status.success() {
        return Ok(text(&asked.stdout));
    }
    Err(format!("{}: {}", program.display(), text(&asked.stdout)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_nvidia_smi_says_is_read_and_worded() {
        let memory = GpuMemory::read("81559, 1234\n", "17, 20\n4711, 1000\n", 4711).unwrap();
        assert_eq!(
            memory.line(),
            "GPU memory information available_gpu_memory: 80325 MB, used_gpu_memory: 1234 MB, \
             gpu_memory_utilization: 1.5 %, current_process_gpu_memory: 1000 MB"
        );
        let mut alone = GpuMemory::read("81559, 1234", "", 4711).unwrap();
        assert!(alone.line().ends_with("current_process_gpu_memory: unknown"));
        alone.complete(3 << 20);
        assert!(alone.line().ends_with("current_process_gpu_memory: 3 MB"));
        assert!(GpuMemory::read("[N/A], [N/A]", "", 1).unwrap_err().contains("[N/A]"));
    }

    #[test]
    fn the_gpu_is_asked_by_the_name_that_the_driver_knows() {
        assert_eq!(physical(1, None), "1");
        assert_eq!(physical(1, Some("3, GPU-5a")), "GPU-5a");
        let folder = tempfile::tempdir().unwrap();
        let [draft, program] = ["draft", "smi"].map(|name| folder.path().join(name));
        let script = "#!/bin/sh\ncase $1 in *pid*) echo \"$PPID, 5\";; *) echo '100, 40';; esac\n";
        std::fs::write(&draft, script).unwrap();
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755)).unwrap();
        // By another process: a child that another test forks just then holds open what this one writes, and such a file
        // cannot be executed.
        assert!(Command::new("cp").args([&draft, &program]).status().unwrap().success());
        let memory = GpuMemory::of("cuda:0", &program).unwrap();
        assert_eq!(memory, GpuMemory { total: 100, used: 40, process: Some(5) });
        assert!(GpuMemory::of("cpu", &program).unwrap_err().contains("on cpu"));
        assert!(GpuMemory::of("cuda:0", Path::new("/nowhere/smi")).is_err());
    }
}
