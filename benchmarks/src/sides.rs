//! The programs that measure: built here, each run as a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::plan::Table;

/// A program, and what it can measure.
pub struct Side {
    pub program: PathBuf,
    pub databases: &'static [&'static str],
    /// Measures the driver, and nothing else.
    pub raw: bool,
    /// Ours: only we are measured with a store that grows.
    pub ours: bool,
}

impl Side {
    pub fn measures(&self, table: &Table) -> bool {
        let cold = self.program.ends_with("factum-cold");
        let rusqlite = self.program.ends_with("raw-rusqlite");
        let reads = ["distinct", "hot", "load", "load_snapshot"];
        self.raw == table.scenario.starts_with("raw")
            && self.databases.contains(&table.database)
            && (self.ours || !["growth", "catch_up_table"].contains(&table.scenario))
            // What a read model is written through.
            && (!rusqlite || table.scenario != "raw_upsert")
            // Warm or not is the same where nothing is read first.
            && (!cold || reads.contains(&table.scenario))
    }
}

const PEERS: [(&str, &[&str]); 6] = [
    ("cqrs-es", &["memory", "postgres"]),
    ("eventcore", &["memory", "postgres"]),
    ("eventcore-sqlite", &["sqlite"]),
    ("evento", &["sqlite", "postgres"]),
    ("disintegrate", &["postgres"]),
    ("esrs", &["postgres"]),
];

pub fn build(alone: bool) -> Result<Vec<Side>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| here.join("target"), PathBuf::from);
    let compile = |package: &Path| {
        eprintln!("building {}", package.display());
        let built = Command::new("cargo")
            .args(["build", "--release", "--quiet", "--manifest-path"])
            .arg(package.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .status()
            .context("cargo")?;
        ensure!(built.success(), "{} does not build", package.display());
        anyhow::Ok(())
    };
    let program = |name: &str| target.join("release").join(name);
    compile(here)?;
    let everywhere = &["memory", "sqlite", "postgres"];
    let side = |name: &str, databases, (raw, ours)| Side {
        program: program(name),
        databases,
        raw,
        ours,
    };
    let mut sides = vec![
        side("raw", everywhere, (true, false)),
        side("factum", everywhere, (false, true)),
        side("factum-cold", everywhere, (false, true)),
    ];
    compile(&here.join("peers/rusqlite"))?;
    sides.push(side("raw-rusqlite", &["sqlite"], (true, false)));
    if !alone {
        for (peer, databases) in PEERS {
            compile(&here.join("peers").join(peer))?;
            sides.push(side(&format!("peer-{peer}"), databases, (false, false)));
        }
    }
    Ok(sides)
}
