//! Turns: long lists of one user are read one after the other, so that they never occupy more than
//! one thread of the server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::id::UserId;

/// The turn of each user who reads a long list now.
#[derive(Default)]
pub(in crate::broker) struct Turns(Mutex<HashMap<UserId, Weak<Turn<()>>>>);

impl Turns {
    /// Waits for the user's turn, which lasts until the guard is dropped.
    pub(in crate::broker) async fn take(&self, user: &UserId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let turn = turns.get(user).and_then(Weak::upgrade).unwrap_or_default();
            turns.insert(user.clone(), Arc::downgrade(&turn));
            turn
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_are_taken_one_after_the_other_for_each_user() {
        let (turns, [alice, bob]) = (Turns::default(), ["alice", "bob"].map(|user| user.parse::<UserId>().unwrap()));
        let first = turns.take(&alice).await;
        let other = turns.take(&bob).await;
        let mut second = std::pin::pin!(turns.take(&alice));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        drop(first);
        drop((second.await, other));
        let _again = turns.take(&alice).await;
        assert_eq!(turns.0.lock().unwrap().len(), 1, "users without a list are forgotten");
    }
}
