//! One persistent pool of threads that spin briefly and then sleep. It must not know what the tasks compute.
//!
//! A token needs some two hundred fork-joins, so handing work over must cost about a microsecond: workers watch a counter for
//! a short while before they go to sleep. Each thread has a run of tasks that follow each other, so that it reads on where it
//! stopped, and claims them one by one; who is done helps the others, so uneven tasks balance out.
//! Every task's arithmetic is its own, whoever runs it: results don't depend on the number of threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::error::Error;

/// How often a waiting thread looks before it sleeps (workers) or yields (the caller); some 50 µs.
const SPINS_MAX: u32 = 2_000;

/// A pool of `threads` threads, the caller's included.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// One fork-join at a time; callers from several threads queue here.
    turn: Mutex<()>,
}

/// A task body with its lifetime erased; valid while `Pool::run` has not returned.
type Body = *const (dyn Fn(usize) + Sync);

struct Shared {
    job: Mutex<Option<Job>>,
    /// Counts published jobs; a worker that sees a new value takes part in it.
    generation: AtomicU64,
    /// By thread, the next task of its run; the caller's is the first.
    next_tasks: Box<[NextTask]>,
    busy_workers: AtomicUsize,
    sleepers: AtomicUsize,
    wake: Condvar,
    stop: AtomicBool,
    panicked: AtomicBool,
}

/// Alone on its cache lines.
#[derive(Default)]
#[repr(align(128))]
struct NextTask(AtomicUsize);

#[derive(Clone, Copy)]
struct Job {
    body: Body,
    tasks: usize,
}

// SAFETY: the pointee is `Sync`, and `Pool::run` keeps it alive until every worker has left the job.
unsafe impl Send for Job {}

impl Pool {
    /// Starts `threads - 1` workers; zero counts as one.
    ///
    /// # Errors
    /// When the system cannot start a thread; those already started are ended.
    pub fn new(threads: usize) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            job: Mutex::new(None),
            generation: AtomicU64::new(0),
            next_tasks: (0..threads.max(1)).map(|_| NextTask::default()).collect(),
            busy_workers: AtomicUsize::new(0),
            sleepers: AtomicUsize::new(0),
            wake: Condvar::new(),
            stop: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
        });
        // The pool exists before its workers, so that dropping it ends those that run when another cannot be started.
        let mut pool = Self { shared, workers: Vec::new(), turn: Mutex::new(()) };
        for index in 1..threads {
            let shared = Arc::clone(&pool.shared);
            let worker = std::thread::Builder::new().name(format!("kernel-{index}")).spawn(move || shared.work(index));
            pool.workers.push(worker.map_err(|source| Error::Threads { threads, started: index, source })?);
        }
        Ok(pool)
    }

    /// Number of threads that take part, the caller's included.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `body(0) … body(tasks - 1)`, each once, on all threads; returns when all are done.
    ///
    /// # Panics
    /// When a task panicked.
    pub fn run(&self, tasks: usize, body: &(dyn Fn(usize) + Sync)) {
        if self.workers.is_empty() || tasks <= 1 {
            (0..tasks).for_each(body);
            return;
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: only the lifetime changes. The pointer is used by workers between the publication below and the moment
        // `busy_workers` falls to zero, for which this function waits, also when its own share panics.
        let body_pointer = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), Body>(body) };
        let shared = &*self.shared;
        shared.busy_workers.store(self.workers.len(), Ordering::Relaxed);
        for (thread, next) in shared.next_tasks.iter().enumerate() {
            next.0.store(shared.first_task(thread, tasks), Ordering::Relaxed);
        }
        *shared.job.lock().unwrap_or_else(PoisonError::into_inner) = Some(Job { body: body_pointer, tasks });
        shared.generation.fetch_add(1, Ordering::SeqCst);
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            // Taking the lock makes sure that a worker which has just decided to sleep is really waiting by now.
            drop(shared.job.lock().unwrap_or_else(PoisonError::into_inner));
            shared.wake.notify_all();
        }
        let own = catch_unwind(AssertUnwindSafe(|| shared.claim(0, tasks, body)));
        let mut spins = 0;
        while shared.busy_workers.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < SPINS_MAX {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        let worker_panicked = shared.panicked.swap(false, Ordering::Relaxed);
        if let Err(panic) = own {
            std::panic::resume_unwind(panic);
        }
        assert!(!worker_panicked, "a task of the kernel pool panicked");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.generation.fetch_add(1, Ordering::SeqCst);
        drop(self.shared.job.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches its tasks' panics, so joining cannot fail; if it did, there is nothing left to save.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// The first task of a thread's run.
    fn first_task(&self, thread: usize, tasks: usize) -> usize {
        thread * tasks / self.next_tasks.len()
    }

    /// Does the thread's own tasks, then what is left of the others'.
    fn claim(&self, thread: usize, tasks: usize, body: &(dyn Fn(usize) + Sync)) {
        let threads = self.next_tasks.len();
        for owner in (thread..threads).chain(0..thread) {
            let end = self.first_task(owner + 1, tasks);
            loop {
                let task = self.next_tasks[owner].0.fetch_add(1, Ordering::Relaxed);
                if task >= end {
                    break;
                }
                body(task);
            }
        }
    }

    fn work(&self, thread: usize) {
        let mut seen = 0;
        loop {
            seen = self.wait_after(seen);
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let job = *self.job.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(job) = job {
                // SAFETY: `run` waits until this worker has decremented `busy_workers`, so the body is still alive.
                let body = unsafe { &*job.body };
                if catch_unwind(AssertUnwindSafe(|| self.claim(thread, job.tasks, body))).is_err() {
                    self.panicked.store(true, Ordering::Relaxed);
                }
            }
            self.busy_workers.fetch_sub(1, Ordering::Release);
        }
    }

    /// Waits until a job newer than `seen` is published and returns its number.
    fn wait_after(&self, seen: u64) -> u64 {
        for _ in 0..SPINS_MAX {
            let now = self.generation.load(Ordering::SeqCst);
            if now != seen {
                return now;
            }
            std::hint::spin_loop();
        }
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = self.generation.load(Ordering::SeqCst);
        while now == seen {
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
            now = self.generation.load(Ordering::SeqCst);
        }
        drop(guard);
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_whatever_the_threads() {
        for threads in [0, 1, 2, 5] {
            let pool = Pool::new(threads).unwrap();
            for tasks in [0, 1, 2, 7, 1000] {
                let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                pool.run(tasks, &|task| {
                    counts[task].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn who_is_done_helps_the_others() {
        let (pool, done) = (Pool::new(2).unwrap(), AtomicUsize::new(0));
        // The first task ends when all others have: those behind it in its thread's run must have gone to the other thread.
        pool.run(8, &|task| {
            if task == 0 {
                while done.load(Ordering::Acquire) < 7 {
                    std::thread::yield_now();
                }
            }
            done.fetch_add(1, Ordering::Release);
        });
        assert_eq!(done.load(Ordering::Relaxed), 8);
    }

    #[test]
    fn sleeping_workers_wake_and_callers_queue() {
        let pool = Pool::new(3).unwrap();
        let total = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        pool.run(10, &|_| {
                            total.fetch_add(1, Ordering::Relaxed);
                        });
                        std::thread::sleep(std::time::Duration::from_micros(300));
                    }
                });
            }
        });
        assert_eq!(total.load(Ordering::Relaxed), 4 * 50 * 10);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(2).unwrap();
        let run = || pool.run(100, &|task| assert!(task != 50, "planted"));
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
        let total = AtomicUsize::new(0);
        pool.run(8, &|task| {
            total.fetch_add(task, Ordering::Relaxed);
        });
        assert_eq!(total.load(Ordering::Relaxed), 28);
    }
}
