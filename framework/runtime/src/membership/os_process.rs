//! [`OsProcess`]: proves that a process on the same machine has ended.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// Identifies a process among all processes of one boot of one machine.
///
/// It is empty on systems without `/proc`. A dead node is then recognized only by its expired lease.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OsProcess {
    /// The boot id of the machine, and the namespace of process ids.
    #[serde(skip_serializing_if = "String::is_empty")]
    machine: String,
    /// The process id.
    pid: u32,
    /// The start time of the process in clock ticks since boot, since process ids are reused.
    started: u64,
}

impl OsProcess {
    /// Returns the identity of this process.
    pub fn current() -> Self {
        static CURRENT: OnceLock<OsProcess> = OnceLock::new();
        CURRENT.get_or_init(Self::read).clone()
    }

    fn read() -> Self {
        let pid = std::process::id();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let namespace = std::fs::read_link("/proc/self/ns/pid");
        match (boot, namespace, start_time(pid)) {
            (Ok(boot), Ok(namespace), Some(started)) => Self {
                machine: format!("{} {}", boot.trim(), namespace.display()),
                pid,
                started,
            },
            _ => Self::default(),
        }
    }

    /// Returns whether the process of `other` ran on the machine of this one and has ended.
    pub fn proves_end_of(&self, other: &Self) -> bool {
        !self.machine.is_empty()
            && self.machine == other.machine
            && start_time(other.pid) != Some(other.started)
    }
}

/// Returns the start time of a process, field 22 of `/proc/PID/stat`; `None` if it does not exist.
///
/// <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>
fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command in parentheses may contain spaces.
    let rest = &stat[stat.rfind(')')? + 2..];
    rest.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_identity_detects_ended_process() {
        let current = OsProcess::current();
        assert!(!current.proves_end_of(&current));
        let restarted = OsProcess {
            started: current.started + 1,
            ..current.clone()
        };
        let elsewhere = OsProcess {
            machine: "another".to_owned(),
            ..restarted.clone()
        };
        // Without `/proc` nothing is proved.
        assert_eq!(
            current.proves_end_of(&restarted),
            !current.machine.is_empty()
        );
        assert!(!current.proves_end_of(&elsewhere));
        assert!(!OsProcess::default().proves_end_of(&OsProcess::default()));
    }
}
