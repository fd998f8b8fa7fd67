//! What a figure depends on beside the program: processor, threads, date.

use std::time::{SystemTime, UNIX_EPOCH};

use ebm_engine_cpu::Instructions;
use serde::Serialize;

/// The facts of this machine.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Logical processors of the machine that this process may use.
    pub cores: usize,
    /// Worker threads of the program.
    pub threads: usize,
    /// Vector instructions that the fused engine has found.
    pub vector_extensions: Vec<String>,
    /// NVIDIA GPUs with their drivers, where the driver's own program tells.
    pub gpus: Vec<String>,
    /// Processor architecture and system.
    pub platform: String,
}

impl Machine {
    /// Looks around. What a machine does not tell is left out.
    #[must_use]
    pub fn this() -> Self {
        Self {
            cpu: processor().unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            threads: rayon::current_num_threads(),
            vector_extensions: Instructions::available()
                .into_iter()
                .filter(|&instructions| instructions != Instructions::Scalar)
                .map(|instructions| format!("{instructions:?}").to_lowercase())
                .collect(),
            gpus: gpus().unwrap_or_default(),
            platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        }
    }
}

fn processor() -> Option<String> {
    if let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        return Some(line.split_once(':')?.1.trim().to_owned());
    }
    // macOS.
    let output = std::process::Command::new("sysctl")
        .args(["-n", "machdep.cpu.brand_string"])
        .output()
        .ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!name.is_empty()).then_some(name)
}

fn gpus() -> Option<Vec<String>> {
    let output = std::process::Command::new("nvidia-smi")
        .args([
            "--query-gpu=name,compute_cap,memory.total,driver_version",
            "--format=csv,noheader",
        ])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let of_line = |line: &str| {
        let [name, capability, memory, driver] =
            line.split(", ").collect::<Vec<_>>().try_into().ok()?;
        Some(format!(
            "{name}, {memory}, compute capability {capability}, driver {driver}"
        ))
    };
    Some(text.lines().filter_map(of_line).collect())
}

/// The date and time in UTC, as ISO 8601 has it.
pub(crate) fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    date(since.map_or(0, |since| since.as_secs()))
}

fn date(seconds: u64) -> String {
    let mut days = seconds / 86_400;
    let mut year = 1970;
    let is_leap =
        |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let [hour, minute, second] = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60];
    format!(
        "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z",
        days + 1
    )
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }
}
