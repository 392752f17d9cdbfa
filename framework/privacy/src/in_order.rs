//! [`InOrder`]: appends go on to the store inside in the order in which they came, however long each is sealed.

use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot::{self, Receiver, Sender};

/// The engine lets commands go ahead of an answer and relies on that order: out of it they would conflict.
#[derive(Debug, Default)]
pub struct InOrder(Mutex<Option<Receiver<()>>>);

/// Lets the next one go when dropped.
pub struct Turn {
    before: Option<Receiver<()>>,
    _behind: Sender<()>,
}

impl InOrder {
    pub fn enter(&self) -> Turn {
        let (behind, next) = oneshot::channel();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Turn {
            before: last.replace(next),
            _behind: behind,
        }
    }
}

impl Turn {
    pub async fn comes(&mut self) {
        if let Some(before) = self.before.take() {
            // Nothing is ever sent: the end is the sign.
            let _ = before.await;
        }
    }
}
