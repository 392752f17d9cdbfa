//! The description of the machine and the software versions.

use std::process::Command;

pub fn describe(postgres: Option<&str>) -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |model| {
        model.trim_start_matches([' ', '\t', ':'])
    });
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let postgres = postgres.map_or_else(String::new, |version| {
        format!("- PostgreSQL {version}, fsync=on, default settings, over a Unix socket\n")
    });
    format!(
        "- {}\n- {model}, {cores} cores, {}\n- {}\n- SQLite: WAL, synchronous=FULL on every side\n{postgres}",
        output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        output("uname", &["-sr"]),
        output("rustc", &["--version"]),
    )
}

/// Returns the output of a program, or its name if it fails to start.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| program.to_owned())
}
