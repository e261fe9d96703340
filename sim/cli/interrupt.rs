//! The first SIGINT or SIGTERM asks for a clean end, the second ends the program at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::Exit;

/// Knows whether the user wants an end.
#[derive(Clone, Debug)]
pub struct Interrupt {
    /// The last signal; 0 before the first.
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Takes over both signals for the rest of the program.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn install() -> io::Result<Interrupt> {
        let signal = Arc::new(AtomicUsize::new(0));
        let armed = Arc::new(AtomicBool::new(false));
        for (number, exit) in [(SIGINT, Exit::Interrupted), (SIGTERM, Exit::Terminated)] {
            // Actions of a signal run in the order of their registration: the first signal finds `armed` unset.
            flag::register_conditional_shutdown(number, i32::from(exit as u8), Arc::clone(&armed))?;
            flag::register(number, Arc::clone(&armed))?;
            flag::register_usize(number, Arc::clone(&signal), exit as usize)?;
        }
        Ok(Interrupt { signal })
    }

    /// The exit code of an interrupted program, once it is to end.
    pub fn requested(&self) -> Option<Exit> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            code if code == Exit::Terminated as usize => Some(Exit::Terminated),
            _ => Some(Exit::Interrupted),
        }
    }
}
