//! The words of `lattice catalogue`.

use super::ServeArgs;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The commands of `lattice catalogue`.
#[derive(Debug, Subcommand)]
pub enum CatalogueCommand {
    /// Make a key that signs catalogues, and print what servers need to trust it.
    Keygen {
        /// Where the secret key goes; there must be no such file yet.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Sign a catalogue: NAME.sig is written beside NAME.yaml.
    Sign {
        /// The secret key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The catalogue.
        #[arg(value_name = "NAME.yaml")]
        file: PathBuf,
    },
    /// Say whether catalogues are good, with the line of all that is wrong, and who signed them. Exits
    /// with 0 when all are good.
    Check {
        /// The catalogues.
        #[arg(required = true, value_name = "NAME.yaml")]
        files: Vec<PathBuf>,
        /// The configuration, for the keys that are trusted.
        #[command(flatten)]
        serve: ServeArgs,
    },
    /// Have this server offer the apps of a catalogue that is signed, or of its newer edition.
    Add(CatalogueAdd),
    /// Say which catalogues this server has, and which it refuses.
    List {
        /// The configuration, and where things are.
        #[command(flatten)]
        serve: ServeArgs,
    },
    /// Have this server offer the apps of a catalogue no longer. What was installed stays.
    Remove {
        /// Which.
        #[arg(value_name = "NAME")]
        name: String,
        /// The configuration, and where things are.
        #[command(flatten)]
        serve: ServeArgs,
    },
}

/// Options of `lattice catalogue add`.
#[derive(Debug, Clone, Args)]
pub struct CatalogueAdd {
    /// The catalogue; NAME.sig is beside it.
    #[arg(value_name = "NAME.yaml")]
    pub file: PathBuf,
    /// The configuration, and where things are.
    #[command(flatten)]
    pub serve: ServeArgs,
}
