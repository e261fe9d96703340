//! Runs something that may panic, and says what the panic said.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// On a guarded thread, what the last panic said.
    static GUARDED: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs `work`; a panic in it becomes its message, with the place in the program, and nothing is printed. What `work`
/// has changed must not be used after a panic.
///
/// # Errors
/// What the panic said.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let caught = GUARDED.with_borrow_mut(|guarded| match guarded {
                Some(message) => {
                    *message = panic.to_string();
                    true
                }
                None => false,
            });
            if !caught {
                usual(panic);
            }
        }));
    });
    // Guards may lie within each other: the outer one goes on afterwards.
    let outer = GUARDED.replace(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(work));
    let message = GUARDED.replace(outer).unwrap_or_default();
    result.map_err(|_| message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message_and_the_next_run_is_guarded_too() {
        for number in 0..2 {
            let result: Result<u32, String> = guarded(|| panic!("counters {number} differ"));
            let message = result.unwrap_err();
            assert!(
                message.contains("guard.rs") && message.ends_with(&format!("counters {number} differ")),
                "{message}"
            );
        }
        assert_eq!(guarded(|| 7), Ok(7));
    }
}
