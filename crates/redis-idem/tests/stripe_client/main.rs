//! The `stripe` package from PyPI against the layer: its first response is lost, it sends the request
//! again, and the effect happens once.
//!
//! The package is installed below `target/` at the first run. Without python3, or without a package index, the
//! test is skipped and says so; with `CI` set it fails instead.

#![allow(clippy::unwrap_used)]

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use redis_idem::http::IdempotencyLayer;
use redis_idem::{Idempotency, Scope};
use redis_patterns_testkit::harness::{TestRedis, skip};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

/// The version that this test was written for.
const PACKAGE: &str = "stripe==16.1.0";

/// A python that has the package, or why there is none.
fn python() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(PACKAGE);
    let python = folder.join("bin/python");
    let installed = folder.join("installed");
    if installed.exists() {
        return Ok(python);
    }
    let done = |what: &str, ran: std::io::Result<Output>| match ran {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{what}: {error}")),
    };
    done("python3 -m venv", Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).output())?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE];
    done("pip install", Command::new(&python).args(install).output())?;
    std::fs::write(installed, "").map_err(|error| error.to_string())?;
    Ok(python)
}

/// Each run is an effect: one customer more.
async fn create(State(effects): State<Arc<AtomicU32>>, body: String) -> axum::response::Response {
    let number = effects.fetch_add(1, Ordering::SeqCst) + 1;
    let name = body.trim_start_matches("name=");
    let customer = format!(r#"{{"id":"cus_{number}","object":"customer","name":"{name}"}}"#);
    axum::response::Response::builder()
        .header("content-type", "application/json")
        .body(customer.into())
        .unwrap()
}

/// Stands before the service and loses the response to the first request, once it was given.
async fn lossy(listener: TcpListener, service: SocketAddr, lost: Arc<AtomicU32>) {
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut behind = TcpStream::connect(service).await.unwrap();
        let lost = lost.clone();
        tokio::spawn(async move {
            let (mut from_client, mut to_client) = client.split();
            let (mut answer, mut request) = behind.split();
            let asking = tokio::io::copy(&mut from_client, &mut request);
            let answering = async {
                let mut first = [0; 1];
                if lost.load(Ordering::SeqCst) == 0 && answer.read_exact(&mut first).await.is_ok() {
                    lost.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                let _ = tokio::io::copy(&mut answer, &mut to_client).await;
            };
            // Both ends are closed when the first of the two is done.
            tokio::select! { _ = asking => {}, () = answering => {} }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stripe_package_sees_one_effect_although_its_first_response_is_lost() {
    let python = match tokio::task::spawn_blocking(python).await.unwrap() {
        Ok(python) => python,
        Err(why) if std::env::var_os("CI").is_some() => panic!("CI has to run this: {why}"),
        Err(why) => return skip("stripe_client", &why),
    };
    let Some(t) = TestRedis::standalone().await else { return };
    let (effects, lost) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let layer = IdempotencyLayer::new(Idempotency::new(t.redis.clone()), |_| Scope::tenant("acme"));
    let app = Router::new().route("/v1/customers", post(create)).layer(layer).with_state(effects.clone());
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = service.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(service, app).await });
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", front.local_addr().unwrap());
    tokio::spawn(lossy(front, address, lost.clone()));

    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stripe_client/pay.py");
    let mut command = Command::new(python);
    command.args([program, &url]).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    let expected = ["cus_1 Ann true", "cus_2 Bob new", "cus_2 Bob true", "422 True"];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    assert_eq!(lost.load(Ordering::SeqCst), 1, "the fault did not happen");
    assert_eq!(effects.load(Ordering::SeqCst), 2, "one effect for each customer");
    t.delete_keys().await;
}
