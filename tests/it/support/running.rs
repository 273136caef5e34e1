//! A worker as a process of its own, which does not outlive the test that started it.

use std::ops::{Deref, DerefMut};
use std::process::{Child, Command, Stdio};

pub struct Running(pub Child);

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended is gone already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_worker_ends_with_the_test_that_started_it() {
    let started = Command::new("sleep").arg("600").spawn().unwrap();
    let id = started.id().to_string();
    let lives = || Command::new("kill").args(["-0", &id]).stderr(Stdio::null()).status().unwrap().success();
    let worker = Running(started);
    assert!(lives());
    drop(worker);
    assert!(!lives());
}
