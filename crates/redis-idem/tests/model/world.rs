//! One request, its workers, and the rules that its engine must agree with.

use crate::common::{BODY, LEASE, begin, end_lease, key_of};
use redis_idem::{
    Begin, Claim, Completion, Fingerprint, Heartbeat, Idempotency, Options, Release, Resolution, Resolved,
    Scope, Takeover,
};
use redis_patterns_core::{Args, Redis};
use std::time::Duration;

pub(crate) const BODIES: [&str; 2] = [BODY, "another"];

/// How a caller asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ask {
    Plainly,
    /// It would wait, but has little patience.
    Waiting,
    /// By an engine that does not run abandoned requests again.
    Doubting,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A request comes with one of the bodies.
    Begin(Ask, usize),
    /// One of those that hold a claim, perhaps a stale one, ends its work in one way or another.
    Complete(usize),
    Release(usize),
    Abandon(usize),
    Indeterminate(usize),
    /// One of them dies.
    Die(usize),
    Heartbeat(usize),
    /// Somebody finds out what became of the request.
    FoundDone,
    FoundUndone,
    EndLease,
    EndRetention,
}

/// What the rules say is known of the one request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Known {
    Nothing,
    Claimed { by: u32, body: usize, attempt: u32, alive: bool },
    Doubted { by: u32, body: usize, attempt: u32 },
    Done { body: usize, outcome: String },
}

/// The rules, the workers, and what each of them holds: its number and its claim.
pub(crate) struct World {
    redis: Redis,
    requests: Idempotency,
    doubting: Idempotency,
    key: String,
    pub(crate) known: Known,
    held: Vec<(u32, Claim)>,
    workers: u32,
    /// The name of the request, once a first claim told it.
    request: Option<String>,
}

impl World {
    pub(crate) fn of(redis: &Redis, key: String) -> Self {
        let doubting = Options::new().takeover(Takeover::InDoubt);
        Self {
            redis: redis.clone(),
            requests: Idempotency::new(redis.clone()),
            doubting: Idempotency::with_options(redis.clone(), doubting).unwrap(),
            key,
            known: Known::Nothing,
            held: Vec::new(),
            workers: 0,
            request: None,
        }
    }

    pub(crate) async fn follow(mut self, schedule: &[Step]) -> Self {
        for step in schedule {
            self.step(*step).await;
        }
        self
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Begin(ask, body) => self.begin(ask, body).await,
            Step::Complete(which) => self.complete(which).await,
            Step::Release(which) => self.release(which).await,
            Step::Abandon(which) => self.abandon(which).await,
            Step::Indeterminate(which) => self.indeterminate(which).await,
            Step::Die(which) => drop(self.pick(which)),
            Step::Heartbeat(which) => self.heartbeat(which).await,
            Step::FoundDone => self.resolve(Resolution::Done("found".into())).await,
            Step::FoundUndone => self.resolve(Resolution::Rerun).await,
            Step::EndLease => self.end_lease().await,
            Step::EndRetention => self.end_retention().await,
        }
    }

    pub(crate) async fn ask(&self, ask: Ask, body: usize) -> Begin {
        match ask {
            Ask::Plainly => begin(&self.requests, &self.key, BODIES[body]).await,
            Ask::Doubting => begin(&self.doubting, &self.key, BODIES[body]).await,
            Ask::Waiting => {
                let (scope, print) = (Scope::tenant("acme"), Fingerprint::of(BODIES[body]));
                let patience = Duration::from_millis(1);
                self.requests.begin_or_wait(&scope, "POST /pay", &self.key, print, patience).await.unwrap()
            }
        }
    }

    async fn begin(&mut self, ask: Ask, asked: usize) {
        let answer = self.ask(ask, asked).await;
        let attempt = match (&self.known, &answer) {
            (Known::Nothing, Begin::Started(_)) => 1,
            (
                Known::Claimed { body, .. } | Known::Doubted { body, .. } | Known::Done { body, .. },
                Begin::Mismatch,
            ) if *body != asked => return,
            (Known::Claimed { body, alive: true, .. }, Begin::InProgress { retry_after })
                if *body == asked =>
            {
                return assert!(*retry_after <= LEASE);
            }
            (Known::Done { body, outcome }, Begin::Replay(bytes)) if *body == asked => {
                return assert_eq!(bytes, outcome.as_bytes());
            }
            (Known::Doubted { body, .. }, Begin::InDoubt) if *body == asked => return,
            (&Known::Claimed { by, body, alive: false, attempt }, Begin::InDoubt)
                if body == asked && ask == Ask::Doubting =>
            {
                self.known = Known::Doubted { by, body, attempt };
                return;
            }
            (Known::Claimed { body, alive: false, attempt, .. }, Begin::Started(_))
                if *body == asked && ask != Ask::Doubting =>
            {
                attempt + 1
            }
            (known, answer) => panic!("the rules know {known:?}, body {asked} was answered {answer:?}"),
        };
        let Begin::Started(claim) = answer else { unreachable!() };
        assert_eq!(claim.attempt(), attempt);
        self.workers += 1;
        self.known = Known::Claimed { by: self.workers, body: asked, attempt, alive: true };
        self.request = Some(claim.request().to_owned());
        self.held.push((self.workers, claim));
    }

    /// The body and attempt of this worker, if the request is still its own to complete.
    fn own(&self, worker: u32) -> Option<(usize, u32)> {
        match self.known {
            // A claim that nobody took over still counts, however late.
            Known::Claimed { by, body, attempt, .. } | Known::Doubted { by, body, attempt }
                if by == worker =>
            {
                Some((body, attempt))
            }
            _ => None,
        }
    }

    async fn complete(&mut self, which: usize) {
        let Some((worker, claim)) = self.pick(which) else { return };
        let outcome = format!("by {worker}");
        let answer = claim.complete(outcome.clone()).await.unwrap();
        let Some((body, _)) = self.own(worker) else { return assert_eq!(answer, Completion::Lost) };
        assert_eq!(answer, Completion::Stored);
        self.known = Known::Done { body, outcome };
    }

    async fn indeterminate(&mut self, which: usize) {
        let Some((worker, claim)) = self.pick(which) else { return };
        let answer = claim.indeterminate().await.unwrap();
        let Some((body, attempt)) = self.own(worker) else { return assert_eq!(answer, Completion::Lost) };
        assert_eq!(answer, Completion::Stored);
        self.known = Known::Doubted { by: worker, body, attempt };
    }

    async fn release(&mut self, which: usize) {
        let Some((worker, claim)) = self.pick(which) else { return };
        let answer = claim.release().await.unwrap();
        self.given_back(worker, answer);
        if let Known::Claimed { by, attempt: 1, .. } = self.known
            && by == worker
        {
            self.known = Known::Nothing;
        }
    }

    async fn abandon(&mut self, which: usize) {
        let Some((worker, claim)) = self.pick(which) else { return };
        let answer = claim.abandon().await.unwrap();
        self.given_back(worker, answer);
    }

    fn given_back(&mut self, worker: u32, answer: Release) {
        match &mut self.known {
            Known::Nothing => assert_eq!(answer, Release::Released),
            Known::Claimed { by, alive, .. } if *by == worker => {
                assert_eq!(answer, Release::Released);
                *alive = false;
            }
            _ => assert_eq!(answer, Release::Lost),
        }
    }

    async fn heartbeat(&mut self, which: usize) {
        let count = self.held.len();
        let Some((worker, claim)) = self.held.get(which % count.max(1)) else { return };
        let answer = claim.heartbeat().await.unwrap();
        match &mut self.known {
            Known::Claimed { by, alive, .. } if by == worker => {
                assert_eq!(answer, Heartbeat::Renewed);
                *alive = true;
            }
            _ => assert_eq!(answer, Heartbeat::Lost),
        }
    }

    async fn resolve(&mut self, resolution: Resolution) {
        let done = matches!(resolution, Resolution::Done(_));
        let scope = Scope::tenant("acme");
        let answer = self.requests.resolve(&scope, "POST /pay", &self.key, resolution).await.unwrap();
        let Known::Doubted { by, body, attempt } = self.known else {
            return assert_eq!(answer, Resolved::NotInDoubt);
        };
        assert_eq!(answer, Resolved::Settled);
        self.known = match done {
            true => Known::Done { body, outcome: "found".to_owned() },
            false => Known::Claimed { by, body, attempt, alive: false },
        };
    }

    async fn end_lease(&mut self) {
        let Some(request) = self.request.clone() else { return };
        end_lease(&self.redis, &request).await;
        if let Known::Claimed { alive, .. } = &mut self.known {
            *alive = false;
        }
    }

    async fn end_retention(&mut self) {
        let Some(request) = self.request.clone() else { return };
        let key = key_of(&self.redis, &request);
        self.redis.command::<()>("PEXPIREAT", &[&key], &Args::new().int(1)).await.unwrap();
        self.known = Known::Nothing;
    }

    fn pick(&mut self, which: usize) -> Option<(u32, Claim)> {
        let count = self.held.len();
        (count > 0).then(|| self.held.remove(which % count))
    }
}
