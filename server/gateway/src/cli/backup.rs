//! What `lattice backup` and `lattice restore` are told.

use super::ServeArgs;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Options of `lattice backup`.
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// What to do. Default: make a backup.
    #[arg(value_enum, value_name = "now|init|drill|list")]
    pub step: Option<BackupStep>,
    /// The configuration, and where things are.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// What `lattice backup` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackupStep {
    /// Make a backup.
    Now,
    /// Make the repository, once, in an empty directory.
    Init,
    /// Restore the newest into a scratch place, compare every file, and read the whole repository.
    Drill,
    /// Print which backups there are.
    List,
}

/// Options of `lattice restore`.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// An empty directory, or one that is not there yet.
    #[arg(long, value_name = "DIRECTORY")]
    pub into: PathBuf,
    /// Which backup, by the first letters that lattice backup list prints. Default: the newest.
    #[arg(long, value_name = "ID")]
    pub snapshot: Option<String>,
    /// Where it is, instead of what the configuration says: a directory, sftp://user@host/path or
    /// s3://bucket/prefix. What else those need is in the configuration.
    #[arg(long, value_name = "PLACE")]
    pub repository: Option<String>,
    /// The file with its password, instead of what the configuration says.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// The configuration.
    #[command(flatten)]
    pub serve: ServeArgs,
}
