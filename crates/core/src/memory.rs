//! How much memory there is.

/// Bytes that can be used without swapping, as Linux estimates them (`MemAvailable`); `None` on other systems. The
/// smaller limit of a container or of `ulimit` is not seen here.
#[must_use]
pub fn available_memory() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_available_memory_is_read() {
        let meminfo = "MemTotal:       24689764 kB\nMemFree:        21390480 kB\nMemAvailable:   23541096 kB\n";
        assert_eq!(parse(meminfo), Some(23_541_096 * 1024));
        assert_eq!(parse("MemTotal: 5 kB\n"), None, "Linux before 3.14");
        assert_eq!(parse("MemAvailable: many kB\n"), None);
        assert_eq!(parse("MemAvailable: 18446744073709551615 kB\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_says_it() {
        let available = available_memory();
        assert!(
            available.is_some_and(|bytes| bytes > 1 << 20),
            "{available:?}"
        );
    }
}
