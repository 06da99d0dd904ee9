//! Whether the system has killed processes for want of memory.

use std::fs;

/// How many processes the system has killed for want of memory so far: on this machine, and in this
/// process's control group, which may be all that its memory limit counts.
pub fn kills() -> u64 {
    let machine = fs::read_to_string("/proc/vmstat").map_or(0, |text| count(&text, "oom_kill"));
    machine + group().unwrap_or(0)
}

fn group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    // Of the second version there is one line: 0::/path.
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let events = fs::read_to_string(format!("/sys/fs/cgroup{path}/memory.events")).ok()?;
    Some(count(&events, "oom_kill"))
}

fn count(text: &str, name: &str) -> u64 {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_found_by_its_whole_name() {
        let text = "oom 7\noom_kill_group 9\noom_kill 3\n";
        assert_eq!(count(text, "oom_kill"), 3);
        assert_eq!(count(text, "none"), 0);
    }
}
