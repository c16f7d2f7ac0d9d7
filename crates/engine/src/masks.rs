//! Masks that are computed while the model computes, on two threads. It must not know models, or what is done with a mask.
//!
//! Whose last mask took long is served by one thread, whose did not by the other, so that a hostile constraint never holds up those
//! whose masks are quick. Of whom nothing is known yet goes to the slow thread if nobody is there: a first mask is often the longest.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use crate::constrained::{Loan, Return};
use crate::constraint::ConstraintError;

/// Whose masks take longer is served by the slow thread.
const SLOW: Duration = Duration::from_millis(3);

const FAST_LANE: usize = 0;
const SLOW_LANE: usize = 1;

/// The threads, and what comes back from them. Dropping it lets each end after the mask that it is at, without waiting for that.
pub(crate) struct Masks {
    vocabulary_size: usize,
    /// None before the first loan.
    lanes: Option<[Lane; 2]>,
    answers: Receiver<Answer>,
    /// The threads have copies of it.
    way_back: Sender<Answer>,
}

struct Lane {
    loans: Sender<(u64, Loan)>,
    /// Loans that are not answered.
    open: usize,
}

struct Answer {
    lane: usize,
    number: u64,
    /// Nothing where nobody wanted it any more.
    returned: Option<Return>,
}

impl Masks {
    /// For a vocabulary of so many tokens; starts nothing yet.
    pub(crate) fn new(vocabulary_size: usize) -> Self {
        let (way_back, answers) = channel();
        Self { vocabulary_size, lanes: None, answers, way_back }
    }

    /// Has the mask of sequence `number` computed. Where there can be no threads, that is what comes back.
    pub(crate) fn lend(&mut self, number: u64, loan: Loan) {
        let lanes = match self.lanes.take().map_or_else(|| self.start(), Ok) {
            Ok(lanes) => self.lanes.insert(lanes),
            Err(source) => {
                let reason = format!("no thread can start to compute masks: {source}; end other programs");
                let (mask, took) = (Err(ConstraintError { reason }), Duration::ZERO);
                let returned = Some(Return { held: loan.held, mask, took });
                let _ = self.way_back.send(Answer { lane: FAST_LANE, number, returned });
                return;
            }
        };
        let is_slow = loan.took.map_or(lanes[SLOW_LANE].open == 0, |took| took > SLOW);
        let lane = &mut lanes[if is_slow { SLOW_LANE } else { FAST_LANE }];
        lane.open += 1;
        lane.loans.send((number, loan)).expect("panics are caught, so the thread lives");
    }

    /// What has come back, or the first that does until then.
    pub(crate) fn next(&mut self, until: Option<Instant>) -> Option<(u64, Return)> {
        loop {
            let now = Instant::now();
            let answer = match until.filter(|&until| until > now) {
                Some(until) => self.answers.recv_timeout(until - now).ok()?,
                None => self.answers.try_recv().ok()?,
            };
            if let Some(lanes) = &mut self.lanes {
                lanes[answer.lane].open = lanes[answer.lane].open.saturating_sub(1);
            }
            if let Some(returned) = answer.returned {
                return Some((answer.number, returned));
            }
        }
    }

    fn start(&self) -> Result<[Lane; 2], std::io::Error> {
        let lane = |lane: usize, name: &str| -> Result<Lane, std::io::Error> {
            let (loans, lent) = channel();
            let (way_back, vocabulary_size) = (self.way_back.clone(), self.vocabulary_size);
            Builder::new().name(name.into()).spawn(move || serve(lane, &lent, &way_back, vocabulary_size))?;
            Ok(Lane { loans, open: 0 })
        };
        Ok([lane(FAST_LANE, "masks")?, lane(SLOW_LANE, "slow masks")?])
    }
}

/// A thread: one loan after another.
fn serve(lane: usize, lent: &Receiver<(u64, Loan)>, way_back: &Sender<Answer>, vocabulary_size: usize) {
    while let Ok((number, loan)) = lent.recv() {
        let Loan { mut held, took: _, wanted } = loan;
        let returned = (wanted.strong_count() > 0).then(|| {
            let (mask, took) = held.mask(vocabulary_size);
            Return { held, mask, took }
        });
        if way_back.send(Answer { lane, number, returned }).is_err() {
            break;
        }
    }
}
