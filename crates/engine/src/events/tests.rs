//! Every way to wait for a queue, with wakers that count.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::task::Wake;

use super::*;

/// Counts its calls.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Calls {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll<T>(outlet: &mut Outlet<T>, calls: &Arc<Calls>) -> Poll<Option<T>> {
    outlet.poll(&mut Context::from_waker(&Arc::clone(calls).into()))
}

#[test]
fn a_waker_is_called_once_for_each_time_that_it_was_left() {
    let calls = Arc::<Calls>::default();
    let (inlet, mut outlet) = queue();
    inlet.send(1);
    assert_eq!((poll(&mut outlet, &calls), calls.count()), (Poll::Ready(Some(1)), 0));
    assert_eq!((poll(&mut outlet, &calls), poll(&mut outlet, &calls)), (Poll::Pending, Poll::Pending));
    (2..5).for_each(|item| inlet.send(item));
    assert_eq!(calls.count(), 1);
    for item in 2..5 {
        assert_eq!(poll(&mut outlet, &calls), Poll::Ready(Some(item)));
    }
    assert_eq!((poll(&mut outlet, &calls), calls.count()), (Poll::Pending, 1));
    drop(inlet);
    assert_eq!((calls.count(), poll(&mut outlet, &calls)), (2, Poll::Ready(None)));
    assert_eq!((outlet.try_next(), outlet.wait()), (Poll::Ready(None), None));
}

#[test]
fn only_the_waker_left_last_is_called() {
    let [first, second] = [(); 2].map(|()| Arc::<Calls>::default());
    let (inlet, mut outlet) = queue();
    assert!(poll(&mut outlet, &first).is_pending() && poll(&mut outlet, &second).is_pending());
    inlet.send(1);
    assert_eq!((first.count(), second.count()), (0, 1));
    assert_eq!(Arc::strong_count(&first), 1, "the other is not held any more");
}

#[test]
fn nothing_is_kept_for_a_reader_that_has_gone() {
    let (item, calls) = (Arc::new(()), Arc::<Calls>::default());
    let (inlet, mut outlet) = queue();
    assert!(poll(&mut outlet, &calls).is_pending());
    inlet.send(Arc::clone(&item));
    inlet.send(Arc::clone(&item));
    drop(outlet);
    assert_eq!((Arc::strong_count(&item), Arc::strong_count(&calls)), (1, 1));
    inlet.send(Arc::clone(&item));
    assert_eq!(Arc::strong_count(&item), 1);
    assert_eq!(calls.count(), 1);
}

/// A waker that owns the reader's end, as a task of an executor does.
struct Task(Mutex<Option<Outlet<u32>>>);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().unwrap().take());
    }
}

#[test]
fn a_waker_may_drop_the_reader() {
    // By being called, by being replaced, and by being dropped with the sender's end.
    for how in 0..3 {
        let (inlet, mut outlet) = queue();
        let task = Arc::new(Task(Mutex::new(None)));
        assert!(outlet.poll(&mut Context::from_waker(&Arc::clone(&task).into())).is_pending());
        match how {
            0 => {
                *task.0.lock().unwrap() = Some(outlet);
                inlet.send(1);
                assert!(task.0.lock().unwrap().is_none());
            }
            1 => {
                // The task of another queue's reader is replaced; it holds the last of that reader.
                let (other, other_outlet) = queue();
                *task.0.lock().unwrap() = Some(other_outlet);
                drop(task);
                assert!(poll(&mut outlet, &Arc::default()).is_pending());
                assert!(other.0.lock().reader_gone);
            }
            _ => {
                *task.0.lock().unwrap() = Some(outlet);
                drop(inlet);
                assert!(task.0.lock().unwrap().is_none());
            }
        }
    }
}

#[test]
fn who_waits_hears_of_all_that_comes() {
    let (inlet, mut outlet) = queue();
    let (ready, is_ready) = channel();
    let reader = std::thread::spawn(move || {
        ready.send(()).unwrap();
        std::iter::from_fn(|| outlet.wait()).collect::<Vec<u32>>()
    });
    is_ready.recv().unwrap();
    (0..1000).for_each(|item| inlet.send(item));
    drop(inlet);
    assert_eq!(reader.join().unwrap(), (0..1000).collect::<Vec<_>>());
}
