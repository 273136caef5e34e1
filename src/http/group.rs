//! Shares an app's tokens with the other workers of the group, through a log that all of them read.
//!
//! One task owns all of it. Who fetches is decided by [`crate::sync::sharing`]; here its steps are carried out: records
//! sealed, opened and told to it, tokens fetched and handed to the engine. A record that does not open (another secret,
//! another hand) is as good as none, and is said once. The age of a token that was read is counted on the broker's clock.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

use super::edge::Shared;
use super::fetch::{self, LOG_RULE, cut_short, refused, unread, unserved};
use super::mail::{GroupTokens, Mail};
use super::note::{HELLO, Note, Origin, TokenNote, Topic};
use super::seal::{self, Place};
use crate::config::Secret;
use crate::douyin::token::{Fetched, Refused};
use crate::douyin::verdict::Verdict;
use crate::order::AppId;
use crate::record::RecordOffset;
use crate::sync::ports::{Input, TokenFrom, TokenGeneration};
use crate::sync::sharing::{LogClock, Round, Standing, Step};
use crate::sync::token_log::{LogEntry, TokenLog};
use crate::telemetry::event;

/// How often the log is greeted until the greeting is read.
const HELLO_EVERY: Duration = Duration::from_secs(10);

/// A token as the log has it last.
struct Newest {
    origin: Origin,
    token: SecretString,
    lifetime: Duration,
    fetched_ms: i64,
}

/// One app.
struct Share {
    round: Round,
    newest: Option<Newest>,
    handed: Option<Origin>,
    unopened: Option<LogEntry>,
    /// Since the last new token.
    has_told_of_old: bool,
}

pub(super) struct Group {
    shared: Arc<Shared>,
    name: String,
    log: Box<dyn TokenLog>,
    receiver: Receiver<Mail>,
    random: SystemRandom,
    member: String,
    began: Instant,
    clock: LogClock,
    next_hello: Duration,
    is_caught_up: bool,
    shares: HashMap<AppId, Share>,
    fetches: JoinSet<(AppId, Origin, Result<Fetched, Refused>)>,
}

impl Group {
    pub(super) fn new(shared: Arc<Shared>, tokens: GroupTokens, request_timeout: Duration) -> Self {
        let empty = || Share {
            round: Round::new(request_timeout),
            newest: None,
            handed: None,
            unopened: None,
            has_told_of_old: false,
        };
        let apps = shared.apps.keys().map(|app_id| (app_id.clone(), empty())).collect();
        Self {
            shared,
            name: tokens.group,
            log: tokens.log,
            receiver: tokens.mail.receiver,
            random: SystemRandom::new(),
            member: String::new(),
            began: Instant::now(),
            clock: LogClock::default(),
            next_hello: Duration::ZERO,
            is_caught_up: false,
            shares: apps,
            fetches: JoinSet::new(),
        }
    }

    /// Runs until its edge is gone.
    #[expect(
        clippy::disallowed_methods,
        reason = "the edge's JoinSet ends this task; the sleep is one of several waits"
    )]
    pub(super) async fn run(mut self) {
        let mut bytes = [0; 16];
        if self.random.fill(&mut bytes).is_err() {
            return; // What wants a token is told by the sender's closed channel.
        }
        self.member = bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap_or(());
            text
        });
        loop {
            let wait = self.act().await.map(|at| at.saturating_sub(self.now()));
            tokio::select! {
                mail = self.receiver.recv() => match mail {
                    Some(Mail::Want(app_id, held)) => self.wanted(&app_id, held).await,
                    Some(Mail::Entry(entry)) => self.entry(entry).await,
                    None => return,
                },
                Some(done) = self.fetches.join_next() => {
                    if let Ok((app_id, origin, result)) = done {
                        self.fetched(&app_id, origin, result).await;
                    }
                }
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
            }
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Carries out every step that is due, and says when to look again.
    async fn act(&mut self) -> Option<Duration> {
        let now = self.now();
        let mut look = None;
        if !self.is_caught_up {
            if now >= self.next_hello {
                self.next_hello = now + HELLO_EVERY;
                self.log.append(HELLO, self.member.as_bytes());
            }
            look = Some(self.next_hello);
        }
        let apps: Vec<AppId> = self.shares.keys().cloned().collect();
        for app_id in apps {
            while let Some(share) = self.shares.get_mut(&app_id) {
                match share.round.step(now) {
                    Step::Claim { number, on } => {
                        let note = Note::claim(self.origin(number), on);
                        if let Err(refusal) = self.append(&app_id, Topic::Claim, &note).await {
                            self.refuse(&app_id, refusal);
                        }
                    }
                    Step::Fetch => self.start_fetch(&app_id),
                    Step::Refuse => {
                        let why = self.log.trouble().unwrap_or_else(|| unread(self.log.name()));
                        let words = format!("no token: the tokens of the group cannot be shared: {why}");
                        self.refuse(&app_id, refused(Verdict::Retry, LOG_RULE, words));
                    }
                    Step::Unserved => self.tell_refused(&app_id, unserved()),
                    Step::Wait(at) => {
                        look = [look, at].into_iter().flatten().min();
                        break;
                    }
                }
            }
        }
        look
    }

    fn origin(&self, number: u64) -> Origin {
        Origin { member: self.member.clone(), number }
    }

    async fn wanted(&mut self, app_id: &AppId, held: TokenGeneration) {
        let now = self.now();
        let unopened = self.shares.get_mut(app_id).and_then(|share| share.unopened.take());
        if let Some(entry) = unopened {
            // The secret may have been changed here meanwhile, as it was where this was sealed.
            self.entry(entry).await;
        }
        let Some(share) = self.shares.get_mut(app_id) else {
            let words = format!("app {app_id} is not in the settings; add it to [[apps]]");
            return self.tell_refused(app_id, refused(Verdict::Suspend, "unknown_app", words));
        };
        let current = self.shared.apps.get(app_id).and_then(|slot| slot.token.current());
        // A newer one is on its way to the engine already.
        if current.is_none_or(|token| token.generation <= held) {
            share.round.want(now);
        }
    }

    async fn entry(&mut self, entry: LogEntry) {
        let now = self.now();
        if entry.key == HELLO {
            if entry.value == self.member.as_bytes() && !self.is_caught_up {
                self.is_caught_up = true;
                self.clock.set(entry.timestamp_ms, now);
                self.hand_over_all(now);
            }
            return;
        }
        let Some((app_id, topic)) = Topic::of(&entry.key).map(|(id, topic)| (AppId::new(id), topic)) else { return };
        let Some(secret) = self.secret_of(&app_id) else { return };
        let opened = match fetch::read_secret(&secret).await {
            Ok(secret) => seal::open(self.place(&app_id, &entry.key), &secret, &entry.value),
            Err(_) => None,
        };
        let Some(share) = self.shares.get_mut(&app_id) else { return };
        match (topic, opened.as_ref().and_then(Note::read)) {
            (Topic::Claim, Some(Note::Claim { origin, on })) => {
                let ours = (origin.member == self.member).then_some(origin.number);
                if ours.is_some() {
                    self.clock.set(entry.timestamp_ms, now);
                }
                share.round.claim_read(entry.offset, on.map(RecordOffset::new), ours, now);
            }
            (Topic::Token, Some(Note::Token(note))) => {
                if !share.round.token_read(entry.offset, note.claim.map(RecordOffset::new)) {
                    if !std::mem::replace(&mut share.has_told_of_old, true) {
                        event::TokenRecordOld { app_id: &app_id, offset: entry.offset }.emit();
                    }
                    return;
                }
                (share.unopened, share.has_told_of_old) = (None, false);
                share.newest = Some(Newest {
                    origin: note.origin,
                    token: SecretString::from(note.access_token),
                    lifetime: Duration::from_secs(note.lifetime_seconds),
                    fetched_ms: note.fetched_ms.map_or(entry.timestamp_ms, |ms| ms.min(entry.timestamp_ms)),
                });
                if self.is_caught_up {
                    self.hand_over(&app_id, now);
                }
            }
            (Topic::Claim, _) => {}
            (Topic::Token, _) => {
                if share.unopened.is_none() {
                    event::TokenRecordIgnored { app_id: &app_id, offset: entry.offset }.emit();
                }
                share.unopened = Some(entry);
            }
        }
    }

    fn hand_over_all(&mut self, now: Duration) {
        let apps: Vec<AppId> = self.shares.keys().cloned().collect();
        for app_id in apps {
            if let Some(share) = self.shares.get_mut(&app_id) {
                share.round.caught_up();
            }
            self.hand_over(&app_id, now);
        }
    }

    /// Gives the newest token to the engine, unless it has it, or its life is over.
    fn hand_over(&mut self, app_id: &AppId, now: Duration) {
        let (Some(share), Some(slot)) = (self.shares.get_mut(app_id), self.shared.apps.get(app_id)) else { return };
        let Some(newest) = share.newest.as_ref().filter(|newest| share.handed.as_ref() != Some(&newest.origin)) else {
            return;
        };
        let age = self.clock.age(newest.fetched_ms, now).unwrap_or_default();
        let Some(lifetime) = newest.lifetime.checked_sub(age).filter(|left| !left.is_zero()) else { return };
        share.handed = Some(newest.origin.clone());
        share.round.satisfied();
        let token = slot.token.replace(newest.token.clone());
        self.tell(Input::TokenFetched { app_id: app_id.clone(), token, lifetime, from: TokenFrom::Group });
    }

    fn start_fetch(&mut self, app_id: &AppId) {
        let Some(number) = self.shares.get(app_id).map(|share| share.round.claims()) else { return };
        let (shared, app_id, origin) = (Arc::clone(&self.shared), app_id.clone(), self.origin(number));
        self.fetches.spawn(async move {
            let fetched = match shared.apps.get(&app_id) {
                Some(slot) => shared.tokens.fetch(&slot.app).await,
                None => Err(cut_short()),
            };
            (app_id, origin, fetched)
        });
    }

    async fn fetched(&mut self, app_id: &AppId, origin: Origin, result: Result<Fetched, Refused>) {
        let now = self.now();
        let Some(standing) = self.shares.get_mut(app_id).map(|share| share.round.fetch_ended(now)) else { return };
        let Fetched { token, lifetime } = match result {
            Ok(fetched) => fetched,
            Err(refusal) => return self.refuse(app_id, refusal),
        };
        let Standing::Current { claim } = standing else { return };
        let note = Note::Token(TokenNote {
            origin: origin.clone(),
            access_token: token.expose_secret().to_owned(),
            lifetime_seconds: lifetime.as_secs(),
            claim: Some(claim.get()),
            fetched_ms: self.clock.shows_ms(now),
        });
        // The log first: a worker that dies now has told the others.
        if let Err(refusal) = self.append(app_id, Topic::Token, &note).await {
            return self.refuse(app_id, refusal);
        }
        let (Some(share), Some(slot)) = (self.shares.get_mut(app_id), self.shared.apps.get(app_id)) else { return };
        share.handed = Some(origin);
        share.round.satisfied();
        let token = slot.token.replace(token);
        self.tell(Input::TokenFetched { app_id: app_id.clone(), token, lifetime, from: TokenFrom::Platform });
    }

    async fn append(&self, app_id: &AppId, topic: Topic, note: &Note) -> Result<(), Refused> {
        let Some(secret) = self.secret_of(app_id) else { return Err(cut_short()) };
        let secret = fetch::read_secret(&secret).await?;
        let key = topic.key(app_id.as_str());
        let sealed = seal::seal(self.place(app_id, &key), &secret, &note.text(), &self.random);
        let sealed = sealed.map_err(|error| refused(Verdict::Retry, LOG_RULE, format!("no token: {error}")))?;
        self.log.append(&key, &sealed);
        Ok(())
    }

    fn place<'a>(&'a self, app_id: &'a AppId, key: &'a str) -> Place<'a> {
        Place { group: &self.name, app_id: app_id.as_str(), key }
    }

    fn secret_of(&self, app_id: &AppId) -> Option<Secret> {
        self.shared.apps.get(app_id).map(|slot| slot.app.secret.clone())
    }

    /// The engine may ask again: it knows for how long to wait.
    fn refuse(&mut self, app_id: &AppId, refusal: Refused) {
        if let Some(share) = self.shares.get_mut(app_id) {
            share.round.give_up();
        }
        self.tell_refused(app_id, refusal);
    }

    fn tell_refused(&self, app_id: &AppId, refused: Refused) {
        self.tell(Input::TokenRefused { app_id: app_id.clone(), refused });
    }

    fn tell(&self, input: Input) {
        // Without an engine there is nobody left to tell.
        self.shared.inbox.send(input).unwrap_or(());
    }
}
