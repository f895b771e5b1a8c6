//! One thing under way at a time.

use std::fmt;
use std::pin::Pin;

/// Holds a future while it is under way. Beginning another drops the one before.
pub struct Lane<T>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T> Lane<T> {
    /// Puts a future under way. It makes progress only while [`outcome`](Self::outcome) is awaited.
    pub fn begin(&mut self, future: impl Future<Output = T> + Send + 'static) {
        self.0 = Some(Box::pin(future));
    }

    /// Drops what is under way.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// What comes of it; never, where nothing is under way. Dropping this future loses nothing.
    pub async fn outcome(&mut self) -> T {
        let Some(future) = &mut self.0 else {
            return std::future::pending().await;
        };
        let outcome = future.await;
        self.0 = None;
        outcome
    }
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Lane(None)
    }
}

impl<T> fmt::Debug for Lane<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lane").field(&self.0.is_some()).finish()
    }
}
