//! `checkpoint …`. Knows nothing of files.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Format;

/// `checkpoint …`
#[derive(Clone, Debug, Subcommand)]
pub enum CheckpointCommand {
    /// Shows what a checkpoint says of itself, and its tensors: one of Snaphook's, or a .pth file, which is not run.
    Show(CheckpointShowArguments),
    /// Writes a .pth file that torch.load reads with weights_only=True, laid out as MMEngine does.
    Export(CheckpointExportArguments),
    /// Turns a .pth file of MMEngine or PyTorch into a checkpoint; nothing of the file is run.
    Import(CheckpointImportArguments),
}

/// `checkpoint show CHECKPOINT …`
#[derive(Clone, Debug, Args)]
pub struct CheckpointShowArguments {
    /// A checkpoint's folder, or a .pth file.
    pub checkpoint: PathBuf,
    /// Who reads the output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `checkpoint export CHECKPOINT --pth FILE`
#[derive(Clone, Debug, Args)]
pub struct CheckpointExportArguments {
    /// A checkpoint's folder.
    pub checkpoint: PathBuf,
    /// The file that is written.
    #[arg(long, value_name = "FILE")]
    pub pth: PathBuf,
    /// Overwrites the file.
    #[arg(long)]
    pub force: bool,
}

/// `checkpoint import FILE …`
#[derive(Clone, Debug, Args)]
pub struct CheckpointImportArguments {
    /// A .pth file.
    pub file: PathBuf,
    /// The checkpoint's folder [default: the file's name without .pth].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
