//! The commands of operators that write or check entries of the file of users.

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use factum::Timestamp;

use super::{password, users_file};

/// A command that does not start the server.
#[derive(Debug, Subcommand)]
pub enum AccessCommand {
    /// Prints the hash of the password on the first line of standard input, for `password` of a user
    HashPassword,
    /// Prints a new token once, and its entry for the file of users
    CreateToken(NewToken),
    /// Checks a file of users, and prints the number of its users and tokens
    CheckUsers {
        /// File of users.
        file: PathBuf,
    },
}

/// The token to create.
#[derive(Debug, Args)]
pub struct NewToken {
    /// Name of the token in the file of users.
    #[arg(long)]
    name: String,

    /// Time in days until the token expires; without it, the token does not expire.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    expires_in: Option<u32>,
}

impl AccessCommand {
    /// Executes the command.
    ///
    /// # Errors
    /// Returns an error if the input is not valid.
    pub fn run(self) -> Result<()> {
        let mut output = std::io::stdout();
        match self {
            Self::HashPassword => {
                let mut line = String::new();
                std::io::stdin().lock().read_line(&mut line)?;
                let password = line.trim_end_matches(['\n', '\r']);
                if password.is_empty() {
                    bail!("no password on standard input; write it on the first line");
                }
                writeln!(output, "{}", password::hash(password)?)?;
            }
            Self::CreateToken(new) => {
                let (token, hash) = password::create_token()?;
                let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                let name = toml::Value::from(new.name);
                let expires = new.expires_in.map_or_else(String::new, |days| {
                    let rest = Duration::from_secs(u64::from(days) * 86_400);
                    format!(", expires = {}", Timestamp::now() + rest)
                });
                writeln!(output, "# The token is shown once. Give it to its user:")?;
                writeln!(output, "# {token}")?;
                writeln!(output, "# Add this entry to `tokens` of the user:")?;
                writeln!(output, "{{ name = {name}, sha256 = \"{hash}\"{expires} }}")?;
            }
            Self::CheckUsers { file } => {
                let policy = users_file::read(&file)
                    .with_context(|| format!("cannot use {}", file.display()))?;
                let (users, tokens) = (policy.users.len(), policy.tokens.len());
                writeln!(output, "{users} users and {tokens} tokens")?;
            }
        }
        Ok(())
    }
}
