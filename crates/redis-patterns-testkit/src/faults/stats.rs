//! What a call cost: the commands that clients sent, and those the servers executed.
//!
//! INFO commandstats alone cannot tell a round trip: it counts what a script calls as well. So
//! [`round_trips`] also listens with MONITOR, which names the sender of each command.

use super::resp::Conn;
use std::collections::BTreeMap;
use std::fmt;
use std::io;

/// Calls by command, in small letters; a subcommand as `config|get`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandStats {
    calls: BTreeMap<String, u64>,
}

impl CommandStats {
    /// The sum over these servers since each began to count.
    ///
    /// # Errors
    ///
    /// A server does not answer INFO.
    pub async fn take(servers: &mut [Conn]) -> io::Result<Self> {
        let mut stats = Self::default();
        for server in servers {
            for line in server.call(["INFO", "commandstats"]).await?.text().lines() {
                if let Some((name, calls)) = parse(line) {
                    stats.add(name, calls);
                }
            }
        }
        Ok(stats)
    }

    /// What was executed since `before`; the INFO that took `before` is among it.
    #[must_use]
    pub fn delta(&self, before: &Self) -> Self {
        let mut delta = Self::default();
        for (name, calls) in &self.calls {
            delta.add(name, calls.saturating_sub(before.of(name)));
        }
        delta
    }

    /// The calls of one command.
    #[must_use]
    pub fn of(&self, command: &str) -> u64 {
        self.calls.get(&command.to_lowercase()).copied().unwrap_or_default()
    }

    /// The calls of all commands together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.calls.values().sum()
    }

    /// Every command that was called, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.calls.iter().map(|(name, calls)| (name.as_str(), *calls))
    }

    fn add(&mut self, name: &str, calls: u64) {
        if calls > 0 {
            *self.calls.entry(name.to_lowercase()).or_default() += calls;
        }
    }

    /// Takes away what this module itself sent.
    fn without(mut self, name: &str, calls: u64) -> Self {
        let left = self.of(name).saturating_sub(calls);
        self.calls.remove(name);
        self.add(name, left);
        self
    }
}

impl fmt::Display for CommandStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.iter().map(|(name, calls)| format!("{name} {calls}")).collect();
        f.write_str(&parts.join(", "))
    }
}

/// `cmdstat_get:calls=3,usec=..`
fn parse(line: &str) -> Option<(&str, u64)> {
    let (name, fields) = line.strip_prefix("cmdstat_")?.split_once(':')?;
    let calls = fields.split(',').find_map(|f| f.strip_prefix("calls="))?;
    Some((name, calls.parse().ok()?))
}

/// What one piece of work cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundTrips {
    /// What clients sent, by command without subcommand: one entry with 1 is one round trip.
    pub sent: CommandStats,
    /// What the servers executed, the commands inside scripts included.
    pub executed: CommandStats,
}

/// Runs `work` and counts what it cost on these servers, over all their clients: run it with nobody
/// else there, and once before, so that connections are set up and scripts are loaded.
///
/// # Errors
///
/// A server cannot be reached or refuses MONITOR.
pub async fn round_trips<T>(
    servers: &[impl AsRef<str>],
    work: impl AsyncFnOnce() -> T,
) -> io::Result<(T, RoundTrips)> {
    let (mut control, mut monitors) = (Vec::new(), Vec::new());
    for server in servers {
        control.push(Conn::connect(server.as_ref()).await?);
        monitors.push(Conn::connect(server.as_ref()).await?);
    }
    let before = CommandStats::take(&mut control).await?;
    for monitor in &mut monitors {
        monitor.call(["MONITOR"]).await?;
    }
    let value = work().await;
    let mut sent = CommandStats::default();
    for (control, monitor) in control.iter_mut().zip(&mut monitors) {
        collect(control, monitor, &mut sent).await?;
    }
    let executed = CommandStats::take(&mut control).await?.delta(&before);
    let own = control.len() as u64;
    let executed = executed.without("info", own).without("monitor", own).without("echo", own);
    Ok((value, RoundTrips { sent, executed }))
}

/// Reads what MONITOR saw up to a mark that the other connection sends now.
async fn collect(control: &mut Conn, monitor: &mut Conn, sent: &mut CommandStats) -> io::Result<()> {
    const MARK: &str = "end of these round trips";
    control.call(["ECHO", MARK]).await?;
    loop {
        let line = monitor.next().await?.text();
        let Some((sender, command)) = sent_by(&line) else {
            continue;
        };
        if command == "echo" && line.contains(MARK) {
            return Ok(());
        }
        // Commands of a script are sent by `lua`, those of clients by an address.
        if sender.contains(':') {
            sent.add(&command, 1);
        }
    }
}

/// `1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`
fn sent_by(line: &str) -> Option<(&str, String)> {
    let (_, rest) = line.split_once(" [")?;
    let (sender, words) = rest.split_once("] \"")?;
    let (_, sender) = sender.split_once(' ')?;
    Some((sender, words.split('"').next()?.to_lowercase()))
}
