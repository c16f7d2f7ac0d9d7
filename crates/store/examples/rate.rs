//! How many records and jobs a second a store takes: `cargo run --release -p store --example rate -- ADDRESS`.
//! It must not be pointed at a store that matters: what it writes stays there.

#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use store::{NewJob, Record, Settings, Store};

const RECORDS: usize = 2_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).ok_or("give an address, such as sqlite:/tmp/rate.db")?;
    let store = Store::open(&address, Settings::default()).await?;
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    for writers in [1, 8, 64] {
        let name = format!("{run}-{writers}");
        let start = Instant::now();
        let tasks: Vec<_> = (0..writers)
            .map(|writer| tokio::spawn(put(store.clone(), format!("{name}-{writer}"), RECORDS / writers)))
            .collect();
        for task in tasks {
            task.await??;
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{writers:3} writers: {:.0} records with their job a second", RECORDS as f64 / seconds);
        let start = Instant::now();
        let workers: Vec<_> = (0..writers).map(|_| tokio::spawn(work(store.clone()))).collect();
        let mut done = 0;
        for worker in workers {
            done += worker.await??;
        }
        println!(
            "{writers:3} workers: {:.0} jobs leased and finished a second",
            done as f64 / start.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

async fn put(store: Store, name: String, records: usize) -> store::Result<()> {
    for number in 0..records {
        let id = format!("{name}-{number}");
        let body = "x".repeat(2_000);
        let job = NewJob { queue: "rate".into(), owner: "o".into(), id: id.clone(), body: String::new() };
        let record = Record { kind: "rate".into(), owner: "o".into(), id, body, created: 0, expires: None, version: 1 };
        store.put_with(record, store::Attached { job: Some(job), ..Default::default() }).await?;
    }
    Ok(())
}

async fn work(store: Store) -> store::Result<usize> {
    let mut done = 0;
    while let Some(lease) = store.lease("rate", "w", Duration::from_secs(60)).await? {
        store.finish(&lease).await?;
        done += 1;
    }
    Ok(done)
}
