//! Async fns as handlers: a little protocol whose requests are parsed, looked up with a delay, and answered.
//!
//! A connection is a color, so its requests change its session in turn and without waiting for a lock: they overlap while
//! they look things up, but never run at once. The store is a color too, and serves all connections.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use color_sched::task::{self, Runtime};
use color_sched::{Color, Config, NoSteal};
use futures::StreamExt;
use futures::channel::{mpsc, oneshot};

const STORE: Color = Color(0);
const CONNECTIONS: u64 = 20;
const REQUESTS: u64 = 50;
const LOOKUP: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(10);

type Failure = Box<dyn Error + Send + Sync>;
type Question = (String, oneshot::Sender<Option<u64>>);

#[derive(Debug, PartialEq)]
enum Request {
    Get(String),
    Quit,
}

/// What a connection remembers. Only tasks of its color touch it, so that the lock is always free.
#[derive(Default)]
struct Session {
    answered: u64,
    sum: u64,
}

async fn parse(line: &str) -> Result<Request, Failure> {
    match line.split_once(' ') {
        Some(("GET", key)) => Ok(Request::Get(key.to_owned())),
        None if line == "QUIT" => Ok(Request::Quit),
        _ => Err(format!("`{line}` is no request: write `GET key` or `QUIT`").into()),
    }
}

async fn lookup(store: &mpsc::UnboundedSender<Question>, key: String) -> Result<u64, Failure> {
    let (reply, answer) = oneshot::channel();
    store.unbounded_send((key.clone(), reply))?;
    task::sleep(LOOKUP).await?; // a disk, say
    task::timeout(PATIENCE, answer).await??.ok_or_else(|| format!("no `{key}`").into())
}

async fn answer(session: &Mutex<Session>, value: Result<u64, Failure>) -> String {
    let Ok(mut session) = session.try_lock() else { return "two tasks of a color at once".into() };
    session.answered += 1;
    match value {
        Ok(value) => {
            session.sum += value;
            format!("OK {value}")
        }
        Err(failure) => format!("ERR {failure}"),
    }
}

/// The store: a map that one task owns.
async fn serve_store(mut questions: mpsc::UnboundedReceiver<Question>) -> u64 {
    let values: HashMap<_, _> = (0..REQUESTS).map(|n| (format!("key{n}"), n)).collect();
    let mut served = 0;
    while let Some((key, reply)) = questions.next().await {
        // Who asked may have lost patience: an answer that nobody takes is dropped.
        let _ = reply.send(values.get(&key).copied());
        served += 1;
    }
    served
}

/// A connection: each line is a task of the connection's color.
async fn serve_connection(
    mut lines: mpsc::UnboundedReceiver<String>,
    store: mpsc::UnboundedSender<Question>,
) -> Result<(Session, Vec<String>), Failure> {
    let color = task::color().ok_or(task::OutsideTask)?;
    let session = Arc::new(Mutex::new(Session::default()));
    let mut replies = Vec::new();
    while let Some(line) = lines.next().await {
        let (session, store) = (Arc::clone(&session), store.clone());
        let key = match parse(&line).await? {
            Request::Get(key) => key,
            Request::Quit => break,
        };
        replies.push(task::spawn(color, async move {
            let value = lookup(&store, key).await;
            answer(&session, value).await
        })?);
    }
    let mut answers = Vec::new();
    for reply in replies {
        answers.push(reply.await?);
    }
    let session = std::mem::take(&mut *session.lock().map_err(|_| "a task panicked")?);
    Ok((session, answers))
}

fn main() -> Result<(), Failure> {
    let runtime = Runtime::new(Config::new(2, vec![]))?;
    let running = runtime.start(|_core| NoSteal)?;
    let spawner = running.spawner();
    let start = Instant::now();
    let (store, questions) = mpsc::unbounded();
    let served = spawner.spawn(STORE, serve_store(questions));
    let connections: Vec<_> = (1..=CONNECTIONS)
        .map(|n| {
            let (line, lines) = mpsc::unbounded();
            let connection = spawner.spawn(Color(n), serve_connection(lines, store.clone()));
            (0..REQUESTS).try_for_each(|n| line.unbounded_send(format!("GET key{n}")))?;
            line.unbounded_send("GET nonsense".to_owned())?;
            line.unbounded_send("QUIT".to_owned())?;
            Ok(connection)
        })
        .collect::<Result<_, Failure>>()?;
    drop(store);
    for connection in connections {
        let (session, answers) = connection.wait()??;
        assert_eq!((session.answered, session.sum), (REQUESTS + 1, (0..REQUESTS).sum()));
        assert_eq!(answers.first().map(String::as_str), Some("OK 0"));
        assert_eq!(answers.last().map(String::as_str), Some("ERR no `nonsense`"));
    }
    let (served, took) = (served.wait()?, start.elapsed());
    println!("{served} lookups of {LOOKUP:?} for {CONNECTIONS} connections in {took:?}");
    assert_eq!(served, CONNECTIONS * (REQUESTS + 1));
    assert!(took >= LOOKUP, "a lookup was too quick");
    let events: u64 = running.stop()?.iter().map(|stats| stats.events).sum();
    println!("{events} events");
    Ok(())
}
