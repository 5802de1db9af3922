//! A look at the books that is cut short leaves nothing behind on its connection.

use std::fmt::{Debug, Write};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use payments::Update;
use tracing::field::Field;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::shop::{chain, opened, order};

/// What would be in a log as a warning, or worse.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Subscriber for Heard {
    fn enabled(&self, what: &Metadata<'_>) -> bool {
        *what.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
        event.record(&mut |field: &Field, value: &dyn Debug| {
            write!(text, "{field}={value:?} ").unwrap();
        });
        self.0.lock().unwrap().push(text);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Asks as often as `asked` has to wait and once more, and lets go of it one wait later each time.
/// How often it was let go of.
async fn cut_everywhere<T>(mut asked: impl AsyncFnMut() -> T) -> usize {
    for waits in 1.. {
        let mut asked = pin!(asked());
        let mut left = waits;
        let answered = std::future::poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(false);
            }
            left -= 1;
            asked.as_mut().poll(context).map(|_| true)
        });
        if answered.await {
            return waits - 1;
        }
    }
    unreachable!("it is answered some time")
}

/// A daemon that is told to stop lets go of what it was reading, and its log is read by people.
#[tokio::test]
async fn nothing_is_warned_of_where_reading_is_cut_short() {
    let place = super::postgresql().await;
    opened(&place.store).await;
    let heard = Heard::default();
    let _listening = tracing::subscriber::set_default(heard.clone());
    let update = Update::Create(order("C"));
    let cuts = cut_everywhere(async || place.store.cursor(&chain()).await.unwrap()).await
        + cut_everywhere(async || place.store.snapshot_beside(&update).await.unwrap()).await
        + cut_everywhere(async || place.store.snapshot(&update).await.unwrap()).await
        + cut_everywhere(async || place.store.balances("", "", 9).await.unwrap()).await
        + cut_everywhere(async || place.store.verify().await.unwrap()).await;
    assert!(cuts > 12, "it was cut short {cuts} times");
    // Closing hears out what every connection still has to say.
    place.store.close().await;
    assert_eq!(*heard.0.lock().unwrap(), Vec::<String>::new());
}
