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
    let order = r#"-b $jar -d '{"item": "tea", "quantity": 1}' $at/orders"#;
    format!(
        r#"the service listens at http://{address}; its workers are the processes {pids}

at=http://{address} jar={jar}
# log in
curl -i -w '\n' -c $jar -d '{{"user": "ann"}}' $at/login
# order; the same line again is answered from the record
curl -i -w '\n' -H 'Idempotency-Key: mine-1' {order}
# the same key for another order is refused
curl -i -w '\n' -H 'Idempotency-Key: mine-1' -b $jar -d '{{"item": "sofa", "quantity": 1}}' $at/orders
# look where the order is
curl -i -w '\n' -b $jar $at/orders/$(curl -s -H 'Idempotency-Key: mine-1' {order} | cut -d'"' -f4)
# more than {LIMIT} orders in {seconds} s are denied
for i in $(seq 30); do curl -s -o /dev/null -w '%{{http_code}} ' -H "Idempotency-Key: many-$i" {order}; done; echo
# log out, and find the door closed
curl -i -b $jar -X POST $at/logout; curl -i -w '\n' -b $jar $at/orders/any

Ctrl-C stops it all; nothing is left behind"#,
        address = stage.service.address(),
        jar = stage.run.cookies().display(),
        pids = stage.pids(),
        seconds = PERIOD.as_secs(),
    )
}
