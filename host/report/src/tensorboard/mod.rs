//! TensorBoard's event files: written for runs, read strictly for tests. Knows nothing of runs.
//!
//! An event file is a row of records, each framed as TFRecord does it; a record is an `Event` of TensorFlow's protocol
//! buffers.
//!
//! ```
//! use snaphook_report::tensorboard::{EventWriter, Value, read_events};
//! let folder = tempfile::tempdir()?;
//! let mut writer = EventWriter::create(folder.path())?;
//! writer.scalar("loss", 0.25, 10)?;
//! writer.flush()?;
//! let events = read_events(writer.path())?;
//! assert_eq!(events[1].step, 10);
//! assert_eq!(events[1].values[0].value, Value::Scalar(0.25));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod frame;
mod message;
mod reader;
mod writer;

pub use reader::{Event, TaggedValue, Value, read_events};
pub use writer::EventWriter;
