//! The twin: plain lists and loops, one call at a time.
//! It must not know of any database.

use store::{Error, Item, Job, JobState, Listed, ListedItems, Order, Record, Renewed, Replaced, Swept};

use crate::twin::{Call, LEASE, events, items, missing, names, new_job, new_record, order};

struct Kept {
    record: Record,
    items: Vec<Item>,
    events: Vec<String>,
}

struct Queued {
    number: usize,
    job: Job,
    held: bool,
    ready: i64,
}

/// What should be in the store. Times are in seconds.
pub(crate) struct Twin {
    now: i64,
    records: Vec<Kept>,
    jobs: Vec<Queued>,
    jobs_ever: usize,
    /// The number of the job and the attempt.
    leases: Vec<(usize, i64, String)>,
}

impl Kept {
    fn bytes(&self) -> usize {
        let Record { kind, owner, id, body, .. } = &self.record;
        let items: usize = self.items.iter().map(|item| item.id.len() + item.body.len()).sum();
        let events: usize = self.events.iter().map(String::len).sum();
        kind.len() + owner.len() + id.len() + body.len() + items + events
    }
}

impl Twin {
    pub(crate) fn new(now: i64) -> Self {
        Self { now, records: Vec::new(), jobs: Vec::new(), jobs_ever: 0, leases: Vec::new() }
    }

    pub(crate) fn bytes(&self) -> u64 {
        let records: usize = self.records.iter().map(Kept::bytes).sum();
        let of_job = |job: &Job| job.queue.len() + job.owner.len() + job.id.len() + job.body.len();
        (records + self.jobs.iter().map(|queued| of_job(&queued.job)).sum::<usize>()) as u64
    }

    pub(crate) fn answer(&mut self, call: &Call) -> String {
        match call.clone() {
            Call::Put { owner, id, expires_in } => {
                let (owner, id) = names(owner, id);
                format!("{:?}", self.put(new_record(&owner, &id, self.now, expires_in)))
            }
            Call::Replace { owner, id, expected } => format!("{:?}", Ok::<_, Error>(self.replace(owner, id, expected))),
            Call::Get { owner, id } => {
                let found = self.find(owner, id).map(|place| self.records[place].record.clone());
                format!("{:?}", Ok::<_, Error>(found))
            }
            Call::Delete { owner, id } => {
                let there = self.find(owner, id).is_some();
                let (owner, id) = names(owner, id);
                self.records.retain(|kept| (&kept.record.owner, &kept.record.id) != (&owner, &id));
                format!("{:?}", Ok::<_, Error>(there))
            }
            Call::List { owner, after, limit, newest_first } => {
                format!("{:?}", self.list(owner, after, limit, order(newest_first)))
            }
            Call::AppendItems { owner, id, items: list } => format!("{:?}", self.append_items(owner, id, items(&list))),
            Call::DeleteItem { owner, id, item } => {
                let place = self.find(owner, id);
                let items = place.map(|place| &mut self.records[place].items);
                let gone = items.is_some_and(|items| {
                    let before = items.len();
                    items.retain(|found| found.id != format!("item{item}"));
                    items.len() < before
                });
                format!("{:?}", Ok::<_, Error>(gone))
            }
            Call::Items { owner, id, after, limit, newest_first } => {
                format!("{:?}", self.items(owner, id, after, limit, order(newest_first)))
            }
            Call::AppendEvents { owner, id, first, events: list, fence } => {
                format!("{:?}", self.append_events(owner, id, first, &events(&list), fence))
            }
            Call::Events { owner, id, after } => format!("{:?}", self.events(owner, id, after)),
            other => self.job_answer(other),
        }
    }

    fn job_answer(&mut self, call: Call) -> String {
        match call {
            Call::Enqueue { id } => format!("{:?}", self.enqueue(id)),
            Call::Lease => format!("{:?}", self.lease()),
            Call::Renew(back) => self.with_lease(back, |twin, place| {
                let ready = twin.now + i64::try_from(LEASE.as_secs()).unwrap();
                let renewed = match place.map(|place| &mut twin.jobs[place]) {
                    None => Renewed::Lost,
                    Some(queued) => {
                        queued.ready = ready;
                        if queued.job.cancel_asked { Renewed::CancelAsked } else { Renewed::Held }
                    }
                };
                format!("{:?}", Ok::<_, Error>(renewed))
            }),
            Call::Finish(back) => self.with_lease(back, |twin, place| {
                place.map(|place| twin.jobs.remove(place));
                format!("{:?}", Ok::<_, Error>(place.is_some()))
            }),
            Call::Release(back, delay) => self.with_lease(back, |twin, place| {
                let ready = twin.now + i64::try_from(delay).unwrap();
                if let Some(place) = place {
                    twin.jobs[place].held = false;
                    twin.jobs[place].ready = ready;
                }
                format!("{:?}", Ok::<_, Error>(place.is_some()))
            }),
            Call::AskCancel { id } => {
                let state = self.job(id).map(|place| {
                    self.jobs[place].job.cancel_asked = true;
                    self.state(place)
                });
                format!("{:?}", Ok::<_, Error>(state))
            }
            Call::Job { id } => {
                let job = self.job(id).map(|place| Job { state: self.state(place), ..self.jobs[place].job.clone() });
                format!("{:?}", Ok::<_, Error>(job))
            }
            Call::Pass(seconds) => {
                self.now += i64::try_from(seconds).unwrap();
                String::new()
            }
            Call::Sweep => format!("{:?}", Ok::<_, Error>(self.sweep())),
            other => unreachable!("{other:?}"),
        }
    }

    fn expired(&self, record: &Record) -> bool {
        record.expires.is_some_and(|expires| expires <= self.now)
    }

    fn find(&self, owner: u8, id: u8) -> Option<usize> {
        let (owner, id) = names(owner, id);
        let there = |kept: &Kept| kept.record.owner == owner && kept.record.id == id && !self.expired(&kept.record);
        self.records.iter().position(there)
    }

    fn put(&mut self, record: Record) -> Result<(), Error> {
        let same = |kept: &Kept| kept.record.owner == record.owner && kept.record.id == record.id;
        if let Some(place) = self.records.iter().position(same) {
            if !self.expired(&self.records[place].record) {
                return Err(Error::Exists { what: "the record", id: record.id });
            }
            self.records.remove(place);
        }
        self.records.push(Kept { record, items: Vec::new(), events: Vec::new() });
        Ok(())
    }

    fn replace(&mut self, owner: u8, id: u8, expected: Option<i64>) -> Replaced {
        let Some(place) = self.find(owner, id) else { return Replaced::Missing };
        let record = &mut self.records[place].record;
        if expected.is_some_and(|expected| expected != record.version) {
            return Replaced::Conflict { version: record.version };
        }
        record.body = "other".into();
        record.version += 1;
        Replaced::Done { version: record.version }
    }

    fn list(&self, owner: u8, after: Option<u8>, limit: u32, order: Order) -> Result<Listed, Error> {
        let (owner, _) = names(owner, 0);
        let mut own: Vec<&Kept> = self.records.iter().filter(|kept| kept.record.owner == owner).collect();
        if order == Order::Desc {
            own.reverse();
        }
        if let Some(after) = after {
            let (_, after) = names(0, after);
            let place = own.iter().position(|kept| kept.record.id == after);
            own.drain(..=place.ok_or(Error::UnknownAfter { after })?);
        }
        own.retain(|kept| !self.expired(&kept.record));
        let has_more = own.len() > limit as usize;
        let records = own.into_iter().take(limit as usize).map(|kept| kept.record.clone()).collect();
        Ok(Listed { records, has_more })
    }

    fn append_items(&mut self, owner: u8, id: u8, items: Vec<Item>) -> Result<(), Error> {
        let exists = |item: &Item| Error::Exists { what: "the item", id: item.id.clone() };
        for (place, item) in items.iter().enumerate() {
            if items[..place].iter().any(|before| before.id == item.id) {
                return Err(exists(item));
            }
        }
        let place = self.find(owner, id).ok_or_else(|| missing(&names(owner, id).1))?;
        let there = &mut self.records[place].items;
        if let Some(item) = items.iter().find(|item| there.iter().any(|found| found.id == item.id)) {
            return Err(exists(item));
        }
        there.extend(items);
        Ok(())
    }

    fn items(&self, owner: u8, id: u8, after: Option<u8>, limit: u32, order: Order) -> Result<ListedItems, Error> {
        let place = self.find(owner, id).ok_or_else(|| missing(&names(owner, id).1))?;
        let mut items = self.records[place].items.clone();
        if order == Order::Desc {
            items.reverse();
        }
        if let Some(after) = after.map(|item| format!("item{item}")) {
            let place = items.iter().position(|item| item.id == after);
            items.drain(..=place.ok_or(Error::UnknownAfter { after })?);
        }
        let has_more = items.len() > limit as usize;
        items.truncate(limit as usize);
        Ok(ListedItems { items, has_more })
    }

    fn append_events(
        &mut self,
        owner: u8,
        id: u8,
        first: i64,
        events: &[String],
        fence: Option<usize>,
    ) -> Result<(), Error> {
        if let Some((number, attempt, id)) = fence.and_then(|back| self.leases.iter().rev().nth(back).cloned())
            && self.held(number, attempt).is_none()
        {
            return Err(Error::LeaseLost { id, attempt });
        }
        let place = self.find(owner, id).ok_or_else(|| missing(&names(owner, id).1))?;
        let there = &mut self.records[place].events;
        let next = i64::try_from(there.len()).unwrap();
        if first > next {
            return Err(Error::Gap { expected: next, found: first });
        }
        let first = usize::try_from(first).unwrap();
        for (number, event) in (first..).zip(events) {
            if there.get(number).is_some_and(|found| found != event) {
                return Err(Error::EventDiffers { number: i64::try_from(number).unwrap() });
            }
        }
        let new = (there.len() - first).min(events.len());
        there.extend_from_slice(&events[new..]);
        Ok(())
    }

    fn events(&self, owner: u8, id: u8, after: i64) -> Result<Vec<(i64, String)>, Error> {
        let place = self.find(owner, id).ok_or_else(|| missing(&names(owner, id).1))?;
        let numbered = (0..).zip(self.records[place].events.clone());
        Ok(numbered.filter(|(number, _)| *number > after).take(3).collect())
    }

    fn job(&self, id: u8) -> Option<usize> {
        let (_, id) = names(0, id);
        self.jobs.iter().position(|queued| queued.job.id == id)
    }

    fn state(&self, place: usize) -> JobState {
        let Queued { held, ready, .. } = self.jobs[place];
        if held && ready > self.now { JobState::Held } else { JobState::Waiting }
    }

    fn held(&self, number: usize, attempt: i64) -> Option<usize> {
        let same = |queued: &Queued| queued.number == number && queued.job.attempt == attempt && queued.held;
        self.jobs.iter().position(same)
    }

    fn enqueue(&mut self, id: u8) -> Result<(), Error> {
        let store::NewJob { queue, owner, id: name, body } = new_job(&names(0, id).1);
        if self.job(id).is_some() {
            return Err(Error::Exists { what: "the job", id: name });
        }
        let (state, created) = (JobState::Waiting, self.now);
        let job = Job { queue, owner, id: name, body, created, state, attempt: 0, cancel_asked: false };
        self.jobs.push(Queued { number: self.jobs_ever, job, held: false, ready: self.now });
        self.jobs_ever += 1;
        Ok(())
    }

    fn lease(&mut self) -> Option<Job> {
        let queued = self.jobs.iter_mut().find(|queued| queued.ready <= self.now)?;
        queued.held = true;
        queued.ready = self.now + i64::try_from(LEASE.as_secs()).unwrap();
        queued.job.attempt += 1;
        self.leases.push((queued.number, queued.job.attempt, queued.job.id.clone()));
        Some(Job { state: JobState::Held, ..queued.job.clone() })
    }

    fn with_lease(&mut self, back: usize, act: impl FnOnce(&mut Self, Option<usize>) -> String) -> String {
        let Some((number, attempt, _)) = self.leases.iter().rev().nth(back).cloned() else { return String::new() };
        let place = self.held(number, attempt);
        act(self, place)
    }

    fn sweep(&mut self) -> Swept {
        let before = self.bytes();
        let count = self.records.len();
        let now = self.now;
        self.records.retain(|kept| kept.record.expires.is_none_or(|expires| expires > now));
        let expired = (count - self.records.len()) as u64;
        Swept { expired, bytes: before - self.bytes(), ..Swept::default() }
    }
}
