//! The measured programs, which are built here and run as separate processes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::plan::Table;

/// A program and its capabilities.
pub struct Side {
    pub program: PathBuf,
    pub databases: &'static [&'static str],
    /// Set if the program measures the driver alone.
    pub raw: bool,
    /// Set for factum, the only side that measures growth and table projections.
    pub is_factum: bool,
}

impl Side {
    pub fn measures(&self, table: &Table) -> bool {
        let cold = self.program.ends_with("factum-cold");
        let rusqlite = self.program.ends_with("raw-rusqlite");
        let reads = ["distinct", "hot", "load", "load_snapshot"];
        self.raw == table.scenario.starts_with("raw")
            && self.databases.contains(&table.database)
            && (self.is_factum || !["growth", "catch_up_table"].contains(&table.scenario))
            // Read models are written through `sqlx`, so `rusqlite` is not measured there.
            && (!rusqlite || table.scenario != "raw_upsert")
            // The cache only matters where a command or a load reads an aggregate.
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

/// Builds all programs; without the peers if `alone` is set.
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
            .context("cannot run cargo")?;
        ensure!(built.success(), "cannot build {}", package.display());
        anyhow::Ok(())
    };
    let program = |name: &str| target.join("release").join(name);
    compile(here)?;
    let everywhere = &["memory", "sqlite", "postgres"];
    let side = |name: &str, databases, (raw, is_factum)| Side {
        program: program(name),
        databases,
        raw,
        is_factum,
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
