//! Faults of one server: F6 to F9, F14, F15, F19.

use crate::servers::{Servers, ask};
use crate::stage::Stage;
use redis_patterns_testkit::faults::redis as faults;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) async fn forget_scripts(stage: &mut Stage) -> io::Result<u64> {
    let nodes = stage.servers.primaries().await?;
    let call = stage.history.invoke(0, "fault", "F6 SCRIPT FLUSH");
    faults::script_flush(&nodes).await?;
    tokio::time::sleep(Duration::from_millis(50)).await;
    call.ok("");
    // What shows it is the servers' count of NOSCRIPT.
    Ok(0)
}

pub(super) async fn kill_clients(stage: &mut Stage, number: u64) -> io::Result<u64> {
    let nodes = stage.servers.primaries().await?;
    let call = stage.history.invoke(0, "fault", "F7 CLIENT");
    let killed = if number % 3 == 2 {
        let pause = Duration::from_millis(200);
        faults::client_pause(&nodes, pause).await?;
        tokio::time::sleep(pause).await;
        1
    } else {
        faults::client_kill_normal(&nodes).await?
    };
    call.ok("");
    tokio::time::sleep(Duration::from_millis(150)).await;
    Ok(killed)
}

pub(super) async fn restart(stage: &mut Stage) -> io::Result<u64> {
    tokio::time::sleep(Duration::from_millis(300)).await;
    let call = stage.history.invoke(0, "fault", "F8 kill -9 of the server");
    stage.servers.with(|servers| servers.nodes()[0].restart()).await?;
    call.ok("");
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(1)
}

/// Kills the server and takes away what it wrote in its last second.
pub(super) async fn power_loss(stage: &mut Stage) -> io::Result<u64> {
    let address = stage.servers.nodes()[0].address();
    let dir = ask(&address, &["CONFIG", "GET", "dir"]).await?;
    let dir = PathBuf::from(dir.items().get(1).map(|dir| dir.text()).unwrap_or_default());
    let file = log_file(&dir.join("appendonlydir"))?;
    let length = std::fs::metadata(&file)?.len();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let call = stage.history.invoke(0, "fault", "F9 power loss");
    let lost = stage.servers.with(move |servers| {
        servers.nodes()[0].kill()?;
        let lost = cut(&file, length);
        servers.nodes()[0].restart()?;
        Ok(lost)
    });
    let lost = lost.await??;
    call.ok("");
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(lost)
}

fn log_file(dir: &Path) -> io::Result<PathBuf> {
    let files = std::fs::read_dir(dir)?.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut logs: Vec<PathBuf> = files.filter(|path| path.to_string_lossy().ends_with(".incr.aof")).collect();
    logs.sort_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    logs.pop().ok_or_else(|| io::Error::other("the server writes no append-only file"))
}

/// Cuts a file; answers how many bytes went.
fn cut(file: &Path, length: u64) -> io::Result<u64> {
    let file = OpenOptions::new().write(true).open(file)?;
    let lost = file.metadata()?.len().saturating_sub(length);
    file.set_len(length)?;
    Ok(lost)
}

pub(super) async fn fill(stage: &mut Stage) -> io::Result<u64> {
    let nodes = stage.servers.primaries().await?;
    let call = stage.history.invoke(0, "fault", "F14 memory is full");
    faults::config_set(&nodes, "maxmemory", "1").await?;
    tokio::time::sleep(Duration::from_millis(400)).await;
    faults::config_set(&nodes, "maxmemory", "0").await?;
    call.ok("");
    tokio::time::sleep(Duration::from_millis(400)).await;
    Ok(0)
}

/// A snapshot that cannot be written makes the server refuse writes: its folder is gone.
pub(super) async fn fail_disk(stage: &mut Stage) -> io::Result<u64> {
    let address = stage.servers.nodes()[0].address();
    let old = ask(&address, &["CONFIG", "GET", "dir"]).await?;
    let old = old.items().get(1).map(|dir| dir.text()).unwrap_or_default();
    let gone = Path::new(&old).join(format!("gone-{}", stage.dice.u32(..)));
    std::fs::create_dir(&gone)?;
    let call = stage.history.invoke(0, "fault", "F15 the disk fails");
    ask(&address, &["CONFIG", "SET", "dir", &gone.to_string_lossy()]).await?;
    std::fs::remove_dir(&gone)?;
    let _ = ask(&address, &["BGSAVE"]).await;
    wait_saved(&stage.servers, "err").await?;
    tokio::time::sleep(Duration::from_millis(400)).await;
    ask(&address, &["CONFIG", "SET", "dir", &old]).await?;
    let _ = ask(&address, &["BGSAVE"]).await;
    wait_saved(&stage.servers, "ok").await?;
    call.ok("");
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(0)
}

async fn wait_saved(servers: &Servers, status: &str) -> io::Result<()> {
    let (address, wanted) = (servers.nodes()[0].address(), format!("rdb_last_bgsave_status:{status}"));
    for _ in 0..500 {
        let info = ask(&address, &["INFO", "persistence"]).await?.text();
        if info.contains(&wanted) && info.contains("rdb_bgsave_in_progress:0") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(io::Error::other(format!("no snapshot ended with {status}")))
}

/// The server stands still, its connections open.
pub(super) async fn stand_still(stage: &mut Stage) -> io::Result<u64> {
    let time = 3 * stage.orders.deadline();
    let call = stage.history.invoke(0, "fault", "F19 the server stands still");
    stage.servers.with(|servers| servers.nodes()[0].stop()).await?;
    tokio::time::sleep(time).await;
    stage.servers.with(|servers| servers.nodes()[0].cont()).await?;
    call.ok("");
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(1)
}
