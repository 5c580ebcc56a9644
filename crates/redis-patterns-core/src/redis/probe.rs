//! What server this is and what it can do, asked once.

use super::Redis;
use super::route::Servers;
use crate::args::Args;
use crate::error::{Error, ErrorKind, Executed};
use crate::reply::Value;
use crate::server_info::ServerInfo;
use std::sync::PoisonError;

impl Redis {
    /// What server this is, asked once.
    ///
    /// # Errors
    ///
    /// As [`Redis::keyless`], if this is the first time it is asked.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the next call asks again.
    pub async fn server_info(&self) -> Result<&ServerInfo, Error> {
        self.shared.info.get_or_try_init(|| self.ask_info()).await
    }

    async fn ask_info(&self) -> Result<ServerInfo, Error> {
        let text: String = self.keyless("INFO", &Args::new()).await?;
        ServerInfo::parse(&text).ok_or_else(|| Error::reply("INFO", "the answer names no version"))
    }

    pub(super) async fn check_server(&self, place: &str) -> Result<(), Error> {
        let refuse = |kind, what: String| Err(Error::new(kind, Executed::No, "connect", what));
        let info = self.server_info().await?;
        if !info.is_new_enough() {
            return refuse(ErrorKind::ServerTooOld, format!("{place} runs {info}"))
                .map_err(|error| error.with_next("at least Redis 7.0 or Valkey 7.2 is needed"));
        }
        if info.cluster && matches!(self.shared.servers, Servers::One(_)) {
            return refuse(ErrorKind::Config, format!("{place} is a node of a cluster"))
                .map_err(|error| error.with_next("use redis-cluster:// instead of redis://"));
        }
        Ok(())
    }

    /// Whether the server has a command, asked once per command.
    ///
    /// # Errors
    ///
    /// As [`Redis::keyless`], if this is the first time it is asked.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the next call asks again.
    pub async fn supports(&self, command: &'static str) -> Result<bool, Error> {
        let known = self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner).get(command).copied();
        if let Some(answer) = known {
            return Ok(answer);
        }
        let reply: Vec<Value> = self.keyless("COMMAND", &Args::new().word("INFO").word(command)).await?;
        let answer = matches!(reply.first(), Some(Value::Array(facts)) if !facts.is_empty());
        self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner).insert(command, answer);
        Ok(answer)
    }
}
