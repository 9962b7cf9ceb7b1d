//! Webhooks: tells receivers over HTTP what the record tells, each in its own time and in order, at least once.

mod pauses;
mod receiver;

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::authority::{Authority, CloudEvent, Feed, Hook};
use crate::config::Webhook;
use crate::telemetry::{HookMeter, Metrics};
use pauses::Pauses;
use receiver::{Message, Receiver};

/// While there is much to tell, the position is kept this often: what came since is told again after a crash.
const SAVED_EVERY: Duration = Duration::from_secs(1);

/// So far the file may stay behind when nothing was told in between: to look at that many events again is quick.
const PASSED: u64 = 10_000;

/// Serves every webhook of the policy until the server stops.
pub async fn run(authority: Arc<Authority>, metrics: Arc<Metrics>, stopping: watch::Receiver<bool>) {
    let mut served = JoinSet::new();
    for settings in authority.config().webhooks() {
        let meter = metrics.hook(settings.name().as_str());
        let pauses = Pauses::new(settings.retry_first(), settings.retry_longest());
        let errand = Errand {
            authority: Arc::clone(&authority),
            settings: settings.clone(),
            meter,
            pauses,
            stopping: stopping.clone(),
        };
        served.spawn(errand.run());
    }
    while served.join_next().await.is_some() {}
}

/// The server stops.
struct Stopped;

/// One webhook, and what serving it takes.
struct Errand {
    authority: Arc<Authority>,
    settings: Webhook,
    meter: Arc<HookMeter>,
    pauses: Pauses,
    stopping: watch::Receiver<bool>,
}

impl Errand {
    async fn run(mut self) {
        let Ok((mut hook, mut feed, mut receiver)) = self.open().await else { return };
        // It only ends with the server.
        while self.tell_page(&mut hook, &mut feed, &mut receiver).await.is_ok() {}
        if let Err(error) = hook.save().await {
            tracing::warn!(webhook = %self.settings.name(), %error, "some events will be told again");
        }
    }

    /// Tried until it works: a secret that others can read is one that somebody may put right.
    async fn open(&mut self) -> Result<(Hook, Feed, Receiver), Stopped> {
        loop {
            let (authority, settings) = (Arc::clone(&self.authority), self.settings.clone());
            let opened = tokio::task::spawn_blocking(move || authority.open_hook(&settings)).await;
            let why = match (opened, Receiver::new(&self.settings, || self.authority.anchors())) {
                (Ok(Ok((hook, feed))), Ok(receiver)) => return Ok((hook, feed, receiver)),
                (Ok(Err(error)), _) => error.to_string(),
                (Err(error), _) => error.to_string(),
                (_, Err(error)) => error.to_string(),
            };
            self.failed(why, None).await?;
        }
    }

    async fn tell_page(
        &mut self,
        hook: &mut Hook,
        feed: &mut Feed,
        receiver: &mut Receiver,
    ) -> Result<(), Stopped> {
        let page = loop {
            match feed.page().await {
                Ok(page) => break page,
                Err(error) => self.failed(error.to_string(), None).await?,
            }
        };
        let told = !page.is_empty();
        let mut saved = Instant::now();
        for event in page {
            self.tell(hook, receiver, &event).await?;
            if saved.elapsed() >= SAVED_EVERY {
                self.save(hook).await;
                saved = Instant::now();
            }
        }
        hook.passed(feed.next());
        self.meter.next_is(feed.next());
        if told || hook.unsaved() >= PASSED {
            self.save(hook).await;
        }
        if feed.is_at_head() {
            let mut stopping = self.stopping.clone();
            tokio::select! {
                () = feed.wait() => {}
                _ = stopping.wait_for(|stopping| *stopping) => return Err(Stopped),
            }
        }
        if *self.stopping.borrow() { Err(Stopped) } else { Ok(()) }
    }

    /// Nothing after this event is told before it was taken.
    async fn tell(
        &mut self,
        hook: &mut Hook,
        receiver: &mut Receiver,
        event: &CloudEvent,
    ) -> Result<(), Stopped> {
        // Ours have a number and a JSON form.
        let (Some(number), Ok(body)) = (event.number(), serde_json::to_vec(event)) else { return Ok(()) };
        let id = hook.message_id(number);
        let body = Bytes::from(body);
        loop {
            let timestamp = self.authority.clock().now().secs();
            let signature = hook.sign(&id, timestamp, &body);
            let message = Message { id: &id, timestamp, signature: &signature, body: body.clone() };
            let mut stopping = self.stopping.clone();
            let posted = tokio::select! {
                posted = receiver.post(message) => posted,
                // It may have taken it all the same, and is told again.
                _ = stopping.wait_for(|stopping| *stopping) => return Err(Stopped),
            };
            match posted {
                Ok(()) => {
                    hook.told(number);
                    self.meter.delivered(number);
                    if self.pauses.reset() {
                        tracing::info!(webhook = %hook.name(), event = number.0, "the webhook works again");
                    }
                    return Ok(());
                }
                Err(error) => self.failed(error.to_string(), error.retry_after()).await?,
            }
        }
    }

    async fn save(&self, hook: &mut Hook) {
        // What was told is told: at worst it is told again.
        if let Err(error) = hook.save().await {
            tracing::warn!(webhook = %hook.name(), %error, "the position of a webhook is not kept");
        }
    }

    /// Says so and waits: for as long as the receiver asks, within what the policy allows.
    async fn failed(&mut self, why: String, asked: Option<Duration>) -> Result<(), Stopped> {
        let pause = self.pauses.next(&**self.authority.random(), asked);
        let retry_at = self.authority.clock().now() + pause;
        let name = self.settings.name();
        // One that is down for days would fill the log.
        if self.pauses.in_a_row().is_power_of_two() {
            let in_a_row = self.pauses.in_a_row();
            tracing::warn!(webhook = %name, reason = why, in_a_row, ?pause, "a webhook was not told");
        }
        self.meter.failed();
        self.authority.hook_failed(name, why, retry_at);
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            _ = self.stopping.wait_for(|stopping| *stopping) => Err(Stopped),
        }
    }
}
