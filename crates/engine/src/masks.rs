//! Masks that are computed while the model computes, on two threads. It must not know models, or what is done with a mask.
//!
//! Whose last mask took long is served by one thread at a time only, and after all others, so that a hostile constraint does not hold
//! up those whose masks are quick.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use crate::constrained::{Loan, Return};
use crate::constraint::ConstraintError;

/// Whose last mask took longer is slow.
const SLOW: Duration = Duration::from_millis(3);

/// The threads, and what comes back from them. Dropping it lets each end after the mask that it is at, without waiting for that.
pub(crate) struct Masks {
    vocabulary_size: usize,
    /// Nothing before the first loan.
    queue: Option<Arc<Queue>>,
    returns: Receiver<(u64, Return)>,
    /// The threads have copies of it.
    way_back: Sender<(u64, Return)>,
}

/// What both threads take from.
#[derive(Default)]
struct Queue {
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Default)]
struct Inside {
    loans: VecDeque<(u64, Loan)>,
    /// A thread is at a slow one.
    serves_slow: bool,
    closed: bool,
}

/// Who is served first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Quick,
    /// Its first mask.
    Unknown,
    Slow,
}

impl Masks {
    /// For a vocabulary of so many tokens; starts nothing yet.
    pub(crate) fn new(vocabulary_size: usize) -> Self {
        let (way_back, returns) = channel();
        Self { vocabulary_size, queue: None, returns, way_back }
    }

    /// Has the mask of sequence `number` computed. Where there can be no threads, that is what comes back.
    pub(crate) fn lend(&mut self, number: u64, loan: Loan) {
        let queue = match self.queue.take().map_or_else(|| self.start(), Ok) {
            Ok(queue) => self.queue.insert(queue),
            Err(source) => {
                let reason = format!("no thread can start to compute masks: {source}; end other programs");
                let (mask, took) = (Err(ConstraintError { reason }), Duration::ZERO);
                self.way_back.send((number, Return { held: loan.held, mask, took })).expect("the other end is here");
                return;
            }
        };
        queue.lock().loans.push_back((number, loan));
        // Both: one of them may not be free for a slow one.
        queue.changed.notify_all();
    }

    /// What has come back; else the first that does until then.
    pub(crate) fn next(&mut self, until: Option<Instant>) -> Option<(u64, Return)> {
        match until.map(|until| until.saturating_duration_since(Instant::now())) {
            Some(left) => self.returns.recv_timeout(left).ok(),
            None => self.returns.try_recv().ok(),
        }
    }

    fn start(&self) -> Result<Arc<Queue>, io::Error> {
        let queue = Arc::<Queue>::default();
        for name in ["masks 1", "masks 2"] {
            let (own, way_back, vocabulary_size) = (Arc::clone(&queue), self.way_back.clone(), self.vocabulary_size);
            let thread = Builder::new().name(name.into()).spawn(move || own.serve(&way_back, vocabulary_size));
            if let Err(source) = thread {
                queue.close();
                return Err(source);
            }
        }
        Ok(queue)
    }
}

impl Drop for Masks {
    fn drop(&mut self) {
        self.queue.iter().for_each(|queue| queue.close());
    }
}

impl Queue {
    /// A thread: one loan after another.
    fn serve(&self, way_back: &Sender<(u64, Return)>, vocabulary_size: usize) {
        while let Some((number, loan)) = self.take() {
            let class = loan.class();
            let Loan { mut held, took: _, wanted } = loan;
            if wanted.strong_count() > 0 {
                let (mask, took) = held.mask(vocabulary_size);
                // Once nobody listens, the queue is closed too.
                let _ = way_back.send((number, Return { held, mask, took }));
            }
            if class == Class::Slow {
                self.lock().serves_slow = false;
                self.changed.notify_all();
            }
        }
    }

    /// The next loan, waited for; nothing once the queue is closed.
    fn take(&self) -> Option<(u64, Loan)> {
        let mut inside = self.lock();
        loop {
            if inside.closed {
                return None;
            }
            if let Some((number, loan)) = inside.take() {
                return Some((number, loan));
            }
            inside = self.changed.wait(inside).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// The first of the class that goes first, if one may go.
    fn take(&mut self) -> Option<(u64, Loan)> {
        let classes = self.loans.iter().map(|(_, loan)| loan.class()).enumerate();
        let (index, class) = classes.min_by_key(|&(_, class)| class)?;
        if class == Class::Slow && self.serves_slow {
            return None;
        }
        self.serves_slow |= class == Class::Slow;
        self.loans.remove(index)
    }
}

impl Loan {
    fn class(&self) -> Class {
        match self.took {
            None => Class::Unknown,
            Some(took) if took > SLOW => Class::Slow,
            Some(_) => Class::Quick,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::constrained::Held;
    use crate::constraint::{Constraint, Mask};

    /// Says that it is asked, and waits for a word.
    #[derive(Clone, Debug)]
    struct Waiting(Arc<Mutex<(Sender<()>, Receiver<()>)>>);

    impl Constraint for Waiting {
        fn mask(&mut self) -> Result<Arc<Mask>, ConstraintError> {
            let own = self.0.lock().unwrap();
            own.0.send(()).unwrap();
            // It fails when the test has gone.
            let _ = own.1.recv();
            Ok(Arc::new(Mask::from_words(8, &[1])))
        }

        fn push(&mut self, _: u32) -> Result<(), ConstraintError> {
            Ok(())
        }

        fn forced(&mut self) -> Vec<u32> {
            Vec::new()
        }

        fn boxed_clone(&self) -> Box<dyn Constraint> {
            Box::new(self.clone())
        }
    }

    /// A loan, whether it is being served, and what lets it go on.
    fn loan(took_ms: Option<u64>, wanted: &Arc<()>) -> (Loan, Receiver<()>, Sender<()>) {
        let ((say, asked), (word, wait)) = (channel(), channel());
        let held = Held::new(Box::new(Waiting(Arc::new(Mutex::new((say, wait))))));
        let took = took_ms.map(Duration::from_millis);
        (Loan { held, took, wanted: Arc::downgrade(wanted) }, asked, word)
    }

    /// Whether something is being served, waited for.
    fn is_asked(asked: &Receiver<()>) -> bool {
        asked.recv_timeout(Duration::from_secs(60)).is_ok()
    }

    fn wait(masks: &mut Masks) -> u64 {
        masks.next(Some(Instant::now() + Duration::from_secs(60))).unwrap().0
    }

    #[test]
    fn slow_ones_never_take_both_threads() {
        let (mut masks, wanted) = (Masks::new(8), Arc::new(()));
        let [first, second] = [loan(Some(50), &wanted), loan(Some(50), &wanted)];
        masks.lend(1, first.0);
        assert!(is_asked(&first.1));
        masks.lend(2, second.0);
        // One of whom nothing is known, and many quick ones, pass.
        for number in 3..20 {
            let (other, asked, word) = loan((number > 3).then_some(1), &wanted);
            masks.lend(number, other);
            assert!(is_asked(&asked));
            word.send(()).unwrap();
            assert_eq!(wait(&mut masks), number);
        }
        assert!(second.1.try_recv().is_err());
        first.2.send(()).unwrap();
        assert_eq!(wait(&mut masks), 1);
        assert!(is_asked(&second.1));
        second.2.send(()).unwrap();
        assert_eq!(wait(&mut masks), 2);
    }

    #[test]
    fn what_nobody_wants_any_more_is_not_computed() {
        let (mut masks, wanted, gone) = (Masks::new(8), Arc::new(()), Arc::new(()));
        let busy = [loan(None, &wanted), loan(None, &wanted)];
        let words = busy.map(|(own, asked, word)| {
            masks.lend(1, own);
            assert!(is_asked(&asked));
            word
        });
        let (unwanted, asked, _word) = loan(Some(1), &gone);
        masks.lend(2, unwanted);
        drop(gone);
        drop(words);
        assert_eq!((wait(&mut masks), wait(&mut masks)), (1, 1));
        // Its end of the channel is dropped with it.
        assert!(!is_asked(&asked));
    }
}
