//! What the folder for the logs of a launch is called where nobody said it. Knows nothing of what is in it.

/// `launch_TIME_HOST_PROCESS`, as no other launch is called: jobs may begin in the same second, in a folder that machines
/// share, and in a container each is process 1.
///
/// ```
/// let name = snaphook_launch::log_folder_name();
/// assert!(name.starts_with("launch_20") && !name.contains('/'));
/// assert!(name.ends_with(&format!("_{}", std::process::id())));
/// ```
pub fn log_folder_name() -> String {
    let time = chrono::Local::now().format("%Y%m%d_%H%M%S");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || "-.".contains(*letter);
    let host: String = host.chars().filter(is_plain).collect();
    format!("launch_{time}_{host}_{}", std::process::id())
}
