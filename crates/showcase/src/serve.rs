//! `--serve`: the service and its workers, left to whoever wants to try them.

use crate::Fallible;
use crate::settings::{LIMIT, PERIOD};
use crate::stage::Stage;
use crate::worker::Habit;
use std::process::ExitCode;

/// Runs until Ctrl-C.
pub(crate) async fn run(url: &str) -> Fallible<ExitCode> {
    let stage = Stage::set(url, Habit::Diligent).await?;
    println!("{}", lines(&stage));
    tokio::signal::ctrl_c().await?;
    // The workers are killed with their handles, and the sweeper outlives this process: nothing
    // here waits for a server that Ctrl-C may have ended, too.
    drop(stage);
    println!("stopped");
    Ok(ExitCode::SUCCESS)
}

fn lines(stage: &Stage) -> String {
    let at = format!("http://{}", stage.service.address());
    let jar = stage.run.cookies();
    let jar = jar.display();
    let order = format!("-b {jar} -d '{{\"item\": \"tea\", \"quantity\": 1}}' {at}/orders");
    format!(
        "\
the service listens at {at}; its workers are the processes {pids}

# log in
curl -i -c {jar} -d '{{\"user\": \"ann\"}}' {at}/login
# order; the same line again is answered from the record, with another item it is refused
curl -i -H 'Idempotency-Key: mine-1' {order}
# look where the order is
curl -i -b {jar} {at}/orders/$(curl -s -H 'Idempotency-Key: mine-1' {order} | cut -d'\"' -f4)
# more than {LIMIT} orders in {seconds} s are denied
for i in $(seq 30); do curl -s -o /dev/null -w '%{{http_code}} ' -H \"Idempotency-Key: burst-$i\" {order}; done; echo
# log out, and find the door closed
curl -i -b {jar} -X POST {at}/logout; curl -i -b {jar} {at}/orders/any

Ctrl-C stops it all; nothing is left behind",
        pids = stage.pids(),
        seconds = PERIOD.as_secs(),
    )
}
