//! Chromium without a window, driven over its own protocol on a pipe: no driver, no port.

use super::process::Process;
use super::{eventually, ms};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Longer than a page takes for anything, on a busy machine.
const BOUND: Duration = ms(20_000);

/// A browser with one tab.
pub struct Browser {
    requests: ChildStdin,
    messages: Receiver<Value>,
    asked: u64,
    session: Option<String>,
    events: Vec<Value>,
    _process: Process,
    _profile: TempDir,
}

impl Browser {
    #[track_caller]
    pub fn start() -> Browser {
        let profile = TempDir::new().unwrap();
        // The protocol is spoken on descriptors 3 and 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 >&2", "sh"])
            .args([
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (requests, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, messages) = channel();
        thread::spawn(move || pass_on(answers, &sender));
        let mut browser = Browser {
            requests,
            messages,
            asked: 0,
            session: None,
            events: Vec::new(),
            _process: Process::adopt("chromium", child),
            _profile: profile,
        };
        let tab = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let tab = json!({"targetId": tab["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", tab);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    #[track_caller]
    pub fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", json!({"url": url}));
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// What an expression of JavaScript is.
    #[track_caller]
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true});
        let said = self.call("Runtime.evaluate", asked);
        let thrown = &said["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        said["result"]["value"].clone()
    }

    /// Waits until an expression holds.
    #[track_caller]
    pub fn wait_for(&mut self, expression: &str) {
        eventually(expression, BOUND, || {
            let asked = json!({"expression": format!("Boolean({expression})")});
            // It may be on its way to another page.
            let said = self.ask("Runtime.evaluate", asked).ok()?;
            (said["result"]["value"] == true).then_some(())
        });
    }

    /// The text that somebody reads in the element with this id.
    #[track_caller]
    pub fn text(&mut self, id: &str) -> String {
        let text = self.evaluate(&format!("document.getElementById({id:?}).innerText"));
        text.as_str().unwrap().to_owned()
    }

    /// Waits until an element's text has this in it.
    #[track_caller]
    pub fn wait_for_text(&mut self, id: &str, text: &str) {
        self.wait_for(&format!(
            "document.getElementById({id:?}).innerText.includes({text:?})"
        ));
    }

    /// A window of this width, for somebody who likes it `light` or `dark`.
    #[track_caller]
    pub fn look(&mut self, width: u32, scheme: &str) {
        let size =
            json!({"width": width, "height": 900, "deviceScaleFactor": 2, "mobile": width < 500});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", media);
    }

    /// Leaves a picture of the whole page below `target/page`.
    #[track_caller]
    pub fn photograph(&mut self, name: &str) {
        let how = json!({"captureBeyondViewport": true});
        let picture = self.call("Page.captureScreenshot", how);
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/page");
        fs::create_dir_all(&directory).unwrap();
        let png = from_base64(picture["data"].as_str().unwrap());
        fs::write(directory.join(format!("{name}.png")), png).unwrap();
    }

    /// Every URL that was asked for so far.
    pub fn requested(&mut self) -> Vec<String> {
        let requests = self.heard("Network.requestWillBeSent");
        let url = |event: &Value| event["request"]["url"].as_str().unwrap().to_owned();
        requests.iter().map(url).collect()
    }

    /// All that the browser had to complain about so far: errors, warnings and breaches of the page's policy.
    pub fn complaints(&mut self) -> Vec<Value> {
        [
            "Log.entryAdded",
            "Runtime.exceptionThrown",
            "Runtime.consoleAPICalled",
        ]
        .into_iter()
        .flat_map(|kind| self.heard(kind))
        .collect()
    }

    fn heard(&mut self, method: &str) -> Vec<Value> {
        self.events.extend(self.messages.try_iter());
        let events = self.events.iter();
        let events = events.filter(|event| event["method"] == method);
        events.map(|event| event["params"].clone()).collect()
    }

    #[track_caller]
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.ask(method, parameters)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    #[track_caller]
    fn ask(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.asked += 1;
        let mut request = json!({"id": self.asked, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            request["sessionId"] = json!(session);
        }
        let remedy =
            "chromium can't be driven; install it (Debian: chromium), or run .ci/install test";
        let sent = self.requests.write_all(format!("{request}\0").as_bytes());
        sent.unwrap_or_else(|error| panic!("{method}: {error}: {remedy}"));
        loop {
            let message = self.messages.recv_timeout(BOUND);
            let message = message.unwrap_or_else(|error| panic!("{method}: {error}: {remedy}"));
            if message["id"] == self.asked {
                return match &message["error"] {
                    Value::Null => Ok(message["result"].clone()),
                    error => Err(error.clone()),
                };
            }
            self.events.push(message);
        }
    }
}

/// Each message ends with a zero.
fn pass_on(answers: ChildStdout, messages: &Sender<Value>) {
    for message in BufReader::new(answers).split(0) {
        let Ok(message) = message else { return };
        let message = serde_json::from_slice(&message).unwrap();
        if messages.send(message).is_err() {
            return;
        }
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| *byte != b'=')
        .map(value)
        .collect();
    let group = |digits: &[u8]| {
        let bits = digits
            .iter()
            .fold(0, |bits, digit| bits << 6 | u32::from(*digit));
        let bits = bits << (6 * (4 - digits.len()));
        bits.to_be_bytes()[1..digits.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}
