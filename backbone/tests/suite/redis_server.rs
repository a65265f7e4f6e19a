//! A private redis-server, until the test kit has one.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

pub(crate) struct RedisServer {
    port: u16,
    process: Mutex<Option<Child>>,
}

impl RedisServer {
    pub(crate) async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { port, process: Mutex::default() };
        server.restart().await;
        server
    }
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.process.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
    pub(crate) async fn restart(&self) {
        self.kill();
        let mut child = Command::new("redis-server")
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--port",
                &self.port.to_string(),
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.any(|line| line.unwrap().contains("Ready to accept connections"));
        assert!(ready);
        *self.process.lock().unwrap() = Some(child);
    }
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }
    fn signal(&self, signal: &str) {
        let id = self.process.lock().unwrap().as_ref().unwrap().id();
        assert!(Command::new("kill").args([signal, &id.to_string()]).status().unwrap().success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
