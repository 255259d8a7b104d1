//! Where commands write: results to standard output, everything else to standard error. A reader that went away
//! (`| head`) is no failure of the command.

use std::io::{IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

type Sink = Arc<Mutex<dyn Write + Send>>;

/// The two streams of a command.
#[derive(Clone)]
pub struct Streams {
    out: Sink,
    err: Sink,
    terminal: bool,
    /// Columns of standard output, where that is a terminal.
    width: Option<usize>,
}

impl Streams {
    /// Those of the process.
    pub fn of_process() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let size = std::io::stdout().is_terminal().then(|| rustix::termios::tcgetwinsize(std::io::stdout()).ok());
        let width = size.flatten().map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
        Self { terminal, width, ..Self::to(std::io::stdout(), std::io::stderr()) }
    }

    /// Two writers, neither of them a terminal.
    pub fn to(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        Self { out: Arc::new(Mutex::new(out)), err: Arc::new(Mutex::new(err)), terminal: false, width: None }
    }

    /// Whether a person looks at standard error.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Columns of the terminal that shows the results, if one does.
    pub(super) fn width(&self) -> Option<usize> {
        self.width
    }

    /// One line of result.
    pub(super) fn say(&self, line: &str) {
        put(&self.out, line);
    }

    /// One line for people.
    pub(super) fn note(&self, line: &str) {
        put(&self.err, line);
    }
}

fn put(sink: &Sink, line: &str) {
    // A panic while a line was written leaves nothing that a further line could break.
    let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = writeln!(sink, "{line}").and_then(|()| sink.flush());
}
