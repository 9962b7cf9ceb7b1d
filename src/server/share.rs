//! The part of the processors that handshakes may use, so that a flood of them leaves some for requests.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use super::places::Seat;
use crate::config::Percent;

/// As many permits as threads may work on handshakes at the same time.
#[derive(Clone)]
pub(super) struct Share(Arc<Semaphore>);

impl Share {
    /// Of the runtime that this is called in.
    pub(super) fn of_workers(share: Percent) -> Self {
        Self::of(Handle::current().metrics().num_workers(), share)
    }

    fn of(workers: usize, share: Percent) -> Self {
        Self(Arc::new(Semaphore::new(share.of_count(workers).max(1))))
    }

    /// `work`, which takes a permit whenever it runs and none while it waits for its client.
    pub(super) fn limit<'a, F: Future + Unpin>(&self, work: F, seat: Option<&'a Seat>) -> Limited<'a, F> {
        Limited { work, permits: Arc::clone(&self.0), queued: None, seat }
    }
}

type Queued = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// A future that runs only with a permit.
pub(super) struct Limited<'a, F> {
    work: F,
    permits: Arc<Semaphore>,
    /// Waits for a permit.
    queued: Option<Queued>,
    seat: Option<&'a Seat>,
}

impl<F: Future + Unpin> Future for Limited<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // It has heard from its client, or has just begun: whoever waits now is we.
        if let Some(seat) = self.seat {
            seat.busy();
        }
        let permit = match &mut self.queued {
            Some(queued) => ready!(queued.as_mut().poll(context)).ok(),
            None => match Arc::clone(&self.permits).try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => {
                    let mut queued: Queued = Box::pin(Arc::clone(&self.permits).acquire_owned());
                    let now = queued.as_mut().poll(context);
                    self.queued = Some(queued);
                    // The semaphore is never closed.
                    ready!(now).ok()
                }
            },
        };
        self.queued = None;
        let done = Pin::new(&mut self.work).poll(context);
        drop(permit);
        if let (Poll::Pending, Some(seat)) = (&done, self.seat) {
            seat.waits(false, Instant::now());
        }
        done
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Barrier;

    use super::*;

    fn permits(workers: usize, share: &str) -> usize {
        Share::of(workers, share.parse().unwrap()).0.available_permits()
    }

    #[test]
    fn some_processors_are_left_for_others_where_there_are_some() {
        assert_eq!([1, 2, 3, 4, 8, 64].map(|workers| permits(workers, "75%")), [1, 1, 2, 3, 6, 48]);
        assert_eq!(permits(4, "1%"), 1);
    }

    /// Many at once, on more threads than may work: never more than allowed, and all come to their end.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_more_work_than_allowed() {
        static WORKING: AtomicUsize = AtomicUsize::new(0);
        let share = Share::of(4, "50%".parse().unwrap());
        let most = Arc::new(AtomicUsize::new(0));
        let begin = Arc::new(Barrier::new(64));
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let (share, most, begin) = (share.clone(), Arc::clone(&most), Arc::clone(&begin));
                tokio::spawn(async move {
                    begin.wait().await;
                    let mut rounds = 0;
                    let work = std::future::poll_fn(move |context| {
                        let working = WORKING.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(working, Ordering::SeqCst);
                        std::thread::sleep(std::time::Duration::from_micros(200));
                        WORKING.fetch_sub(1, Ordering::SeqCst);
                        rounds += 1;
                        context.waker().wake_by_ref();
                        if rounds == 5 { Poll::Ready(()) } else { Poll::Pending }
                    });
                    share.limit(work, None).await;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let most = Arc::clone(&most).load(Ordering::SeqCst);
        assert!((1..=2).contains(&most), "{most}");
    }
}
