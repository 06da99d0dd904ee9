//! Ctrl-C, and the SIGTERM of schedulers and service managers, as events.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// Counts interrupts as long as it lives.
pub struct Interrupts {
    count: Arc<AtomicUsize>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Interrupts {
    /// From now on interrupts do not end the process; `notify` is called for each.
    ///
    /// # Errors
    /// If the system does not let us.
    pub fn listen(mut notify: impl FnMut() + Send + 'static) -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let handle = signals.handle();
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for _ in signals.forever() {
                counter.fetch_add(1, Ordering::Relaxed);
                notify();
            }
        })?;
        Ok(Self { count, handle, thread: Some(thread) })
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // It only counts; a panic in it has been printed.
            let _ = thread.join();
        }
    }
}
