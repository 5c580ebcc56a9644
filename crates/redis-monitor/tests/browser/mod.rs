//! A headless Chromium, driven through chromedriver.

#![allow(unreachable_pub, reason = "a module of a test")]

use redis_patterns_testkit::harness::{eventually, skip};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use thirtyfour::prelude::*;

pub struct Browser {
    driver: WebDriver,
    program: Child,
}

impl Browser {
    /// `None`, and the test says that it is skipped, where there is no chromedriver.
    pub async fn start(test: &str) -> Option<Self> {
        let started =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut program) = started else {
            skip(test, "no chromedriver here: apt-get install chromium chromium-driver");
            return None;
        };
        let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let line = line.ok()?;
            line.trim_end_matches('.').rsplit_once("successfully on port ")?.1.parse::<u16>().ok()
        });
        // It must never wait for somebody to read what it says.
        std::thread::spawn(move || lines.for_each(drop));
        let mut wanted = DesiredCapabilities::chrome();
        for arg in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1600"] {
            wanted.add_arg(arg).unwrap();
        }
        let place = format!("http://127.0.0.1:{}", port.expect("chromedriver says its port"));
        let driver = WebDriver::new(&place, wanted).await.expect("a Chromium for chromedriver");
        Some(Self { driver, program })
    }

    pub async fn open(&self, url: &str) {
        self.driver.goto(url).await.unwrap();
    }

    /// What a script returns, as a number.
    pub async fn eval(&self, script: &str) -> i64 {
        let answer = self.driver.execute(script, Vec::new()).await.unwrap();
        answer.json().as_i64().unwrap_or_else(|| panic!("{script}: {:?}", answer.json()))
    }

    /// Waits until a script returns true.
    pub async fn until(&self, what: &str, script: &str) {
        eventually(what, || async {
            self.driver
                .execute(script, Vec::new())
                .await
                .is_ok_and(|answer| answer.json().as_bool() == Some(true))
        })
        .await;
    }

    /// Presses the first such element. The page may be taking over a new state at that moment, so an
    /// element that has just gone is looked for again.
    pub async fn press(&self, css: &str) {
        eventually(css, || async {
            match self.driver.find(By::Css(css)).await {
                Ok(element) => element.click().await.is_ok(),
                Err(_) => false,
            }
        })
        .await;
    }

    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.driver.find(By::Css(css)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Waits until the page says this of an action.
    pub async fn says(&self, text: &str) {
        let script = format!("return document.getElementById('said').textContent.startsWith({text:?})");
        self.until(text, &script).await;
    }

    pub async fn resize(&self, width: u32, height: u32) {
        self.driver.set_window_rect(0, 0, width, height).await.unwrap();
    }

    /// Keeps a picture beside the tests' other files.
    pub async fn picture(&self, name: &str) {
        let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{name}.png"));
        self.driver.screenshot(&place).await.unwrap();
    }

    pub async fn close(self) {
        self.driver.clone().quit().await.unwrap();
    }
}

/// A test that fails leaves nothing behind, neither the driver nor, through it, the browser.
impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
