//! A file system of a limited size, for tests.

#![allow(dead_code, reason = "no test uses all items")]

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A mounted `tmpfs`, which is unmounted when this is dropped.
pub struct Mount(TempDir);

impl Mount {
    /// Mounts a file system of `size`; returns `None` where the tests may not mount one.
    pub fn new(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(dir.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(dir));
        }
        eprintln!("skipped: mounting a file system needs the rights of root");
        None
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Mounts it again with other options.
    pub fn remount(&self, options: &str) {
        let mut command = Command::new("mount");
        command.args(["-o", &format!("remount,{options}")]);
        let status = command.arg(self.path()).status();
        assert!(status.unwrap().success(), "{command:?}");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A lazy unmount succeeds although files are open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
