//! The one thread that writes: it takes every commit that waits, makes them durable together, then answers each.

use std::cell::{Ref, RefCell, RefMut};
use std::collections::BTreeMap;
use std::future;
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};

use ::redb::{Database, WriteTransaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot, watch};

use super::fold::{Outcomes, caught, fold_group};
use super::redb::{definition, failed, get_from, scan_from};
use super::{
    Commit, CommitError, Committed, Each, Pending, Projection, Range, Rows, StoreError, Table, View,
};
use crate::ids::EventNumber;

/// How many commits share one transaction. Measured: more makes everybody wait longer and gains little.
const GROUP: usize = 256;

/// How many commits may wait beside the group being written; whoever comes then waits for room.
const ROOM: usize = 2 * GROUP;

type Answer = oneshot::Sender<Result<Committed, CommitError>>;

enum Message<E> {
    Commit { commit: Commit<E>, answer: Answer, room: OwnedSemaphorePermit },
    Stop,
}

/// The way to the writer.
pub(super) struct Queue<E> {
    // Unbounded by itself: the bound is `room`, for which a task can wait without holding its thread.
    messages: Sender<Message<E>>,
    room: Arc<Semaphore>,
    dead: Arc<OnceLock<StoreError>>,
    head: watch::Receiver<EventNumber>,
}

/// The writer's end of the queue.
pub(super) struct Work<E> {
    messages: Receiver<Message<E>>,
    dead: Arc<OnceLock<StoreError>>,
    head: watch::Sender<EventNumber>,
}

/// `next` is the number that the next event will have.
pub(super) fn queue<E>(next: EventNumber) -> (Queue<E>, Work<E>) {
    let (sender, receiver) = mpsc::channel();
    let (tell, head) = watch::channel(next);
    let dead = Arc::new(OnceLock::new());
    let room = Arc::new(Semaphore::new(ROOM));
    let queue = Queue { messages: sender, room, dead: Arc::clone(&dead), head };
    (queue, Work { messages: receiver, dead, head: tell })
}

impl<E: Send + 'static> Queue<E> {
    pub(super) fn submit(&self, commit: Commit<E>) -> Pending {
        if let Some(dead) = self.dead.get() {
            return Box::pin(future::ready(Err(dead.clone().into())));
        }
        let messages = self.messages.clone();
        match Arc::clone(&self.room).try_acquire_owned() {
            // The usual case: the commit is in the queue before the future is first polled.
            Ok(room) => Box::pin(answer_to(send(&messages, commit, room))),
            Err(TryAcquireError::NoPermits) => {
                let waiting = Arc::clone(&self.room);
                Box::pin(async move {
                    let room = waiting.acquire_owned().await.map_err(|_| stopped())?;
                    answer_to(send(&messages, commit, room)).await
                })
            }
            Err(TryAcquireError::Closed) => Box::pin(future::ready(Err(stopped()))),
        }
    }

    pub(super) fn head(&self) -> watch::Receiver<EventNumber> {
        self.head.clone()
    }

    /// Lets nobody in any more. What is in the queue is still written.
    pub(super) fn stop(&self) {
        self.room.close();
        // Nobody listens only when the writer has ended already.
        let _ = self.messages.send(Message::Stop);
    }
}

fn send<E>(
    messages: &Sender<Message<E>>,
    commit: Commit<E>,
    room: OwnedSemaphorePermit,
) -> oneshot::Receiver<Result<Committed, CommitError>> {
    let (answer, outcome) = oneshot::channel();
    // When the writer has ended, the message is dropped and `answer` with it: `outcome` tells.
    let _ = messages.send(Message::Commit { commit, answer, room });
    outcome
}

async fn answer_to(
    outcome: oneshot::Receiver<Result<Committed, CommitError>>,
) -> Result<Committed, CommitError> {
    outcome.await.unwrap_or_else(|_| Err(stopped()))
}

fn stopped() -> CommitError {
    StoreError::Failed("it has been stopped and takes no more commits".to_owned()).into()
}

impl<E: Send + 'static> Work<E> {
    /// Writes until told to stop.
    pub(super) fn run<P: Projection<Event = E>>(self, database: &Database, projection: &P) {
        loop {
            let (commits, answers, stop) = self.next_group();
            if !commits.is_empty() {
                self.answer(answers, self.write(database, projection, commits));
            }
            if stop {
                return;
            }
        }
    }

    /// Waits for a commit, then takes those that wait behind it. The last part is true when there will be no more.
    fn next_group(&self) -> (Vec<Commit<E>>, Vec<Answer>, bool) {
        let (mut commits, mut answers) = (Vec::new(), Vec::new());
        let mut next = self.messages.recv().ok();
        loop {
            match next {
                Some(Message::Commit { commit, answer, room }) => {
                    commits.push(commit);
                    answers.push(answer);
                    drop(room);
                }
                Some(Message::Stop) => return (commits, answers, true),
                // The queue is empty; when it is also gone, the next call finds no commit and stops.
                None => {
                    let gone = commits.is_empty();
                    return (commits, answers, gone);
                }
            }
            if commits.len() == GROUP {
                return (commits, answers, false);
            }
            next = self.messages.try_recv().ok();
        }
    }

    fn write<P: Projection<Event = E>>(
        &self,
        database: &Database,
        projection: &P,
        commits: Vec<Commit<E>>,
    ) -> Result<Outcomes, StoreError> {
        if let Some(dead) = self.dead.get() {
            return Err(dead.clone());
        }
        caught(|| write_group(database, projection, commits)).map_err(|error| {
            let error = error.latched();
            tracing::error!(%error, "the store stops writing until it is opened again");
            self.dead.get_or_init(|| error).clone()
        })
    }

    fn answer(&self, answers: Vec<Answer>, outcomes: Result<Outcomes, StoreError>) {
        // A caller that has gone away wants no answer, so none is missed.
        match outcomes {
            Ok(outcomes) => {
                if outcomes.wrote {
                    self.head.send_replace(outcomes.next);
                }
                for (answer, outcome) in answers.into_iter().zip(outcomes.each) {
                    let _ = answer.send(outcome);
                }
            }
            Err(error) => {
                for answer in answers {
                    let _ = answer.send(Err(error.clone().into()));
                }
            }
        }
    }
}

/// One transaction: returns once it is durable, or has left no trace that anybody was told of.
fn write_group<P: Projection>(
    database: &Database,
    projection: &P,
    commits: Vec<Commit<P::Event>>,
) -> Result<Outcomes, StoreError> {
    let mut transaction = database.begin_write().map_err(failed)?;
    // After a crash the file opens in milliseconds, whatever its size. It also makes each commit two-phase:
    // devices choose some of the bytes stored here, and one-phase commits trust checksums to tell torn pages.
    transaction.set_quick_repair(true);
    // The rows must be gone before the transaction can end.
    let folded = fold_group(&mut TransactionRows::new(&transaction), projection, commits);
    match folded {
        Ok(outcomes) if outcomes.wrote => {
            transaction.commit().map_err(failed)?;
            Ok(outcomes)
        }
        // Checks alone, or a failure: nothing is to be kept.
        other => {
            let aborted = transaction.abort().map_err(failed);
            other.and_then(|outcomes| aborted.map(|()| outcomes))
        }
    }
}

type WriteTable<'t> = ::redb::Table<'t, &'static [u8], &'static [u8]>;

/// The rows of a write transaction. A table is opened when it is first asked for, and made if it is not there.
pub(super) struct TransactionRows<'t> {
    transaction: &'t WriteTransaction,
    // Shared, so that a scan may look into other tables on its way.
    tables: RefCell<BTreeMap<Table, Rc<RefCell<WriteTable<'t>>>>>,
}

impl<'t> TransactionRows<'t> {
    pub(super) fn new(transaction: &'t WriteTransaction) -> Self {
        Self { transaction, tables: RefCell::default() }
    }

    fn table(&self, table: Table) -> Result<Rc<RefCell<WriteTable<'t>>>, StoreError> {
        if let Some(known) = self.tables.borrow().get(&table) {
            return Ok(Rc::clone(known));
        }
        let opened = self.transaction.open_table(definition(table)).map_err(failed)?;
        let opened = Rc::new(RefCell::new(opened));
        self.tables.borrow_mut().insert(table, Rc::clone(&opened));
        Ok(opened)
    }
}

impl View for TransactionRows<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let table = self.table(table)?;
        let table: Ref<'_, WriteTable<'_>> = table.borrow();
        get_from(&*table, key)
    }

    fn scan(&self, table: Table, range: Range<'_>, each: Each<'_>) -> Result<(), StoreError> {
        let table = self.table(table)?;
        let table: Ref<'_, WriteTable<'_>> = table.borrow();
        scan_from(&*table, range, each)
    }
}

// Borrowing to write cannot meet a scan: `&mut self` says that none is under way.
impl Rows for TransactionRows<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let table = self.table(table)?;
        let mut table: RefMut<'_, WriteTable<'_>> = table.borrow_mut();
        table.insert(key, value).map_err(failed)?;
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        let table = self.table(table)?;
        let mut table: RefMut<'_, WriteTable<'_>> = table.borrow_mut();
        table.remove(key).map_err(failed)?;
        Ok(())
    }
}
