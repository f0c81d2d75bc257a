//! `lattice serve` that crashes: its desktops live, what was wanted comes true, nothing is doubled,
//! lost or left behind.

use lattice_engine::session::SessionId;
use lattice_tests::process::{family, is_running, signal};
use lattice_tests::scene::Random;
use lattice_tests::serve::Serve;
use lattice_tests::wait::{GENEROUS, until_some};
use lattice_tests::xserver::random;
use lattice_tests::{eventually, patience};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

const CRASHES: u32 = 20;
/// So many sessions at most: this is about moments, not about load.
const SESSIONS: usize = 3;
/// What is wanted is true, and shown, so soon after a restart, a desktop's start included.
const AGREES_WITHIN: Duration = Duration::from_secs(5);
/// A crash comes so long after the first request at the latest: within it a desktop goes down, or
/// comes up half way.
const LATEST_MS: u32 = 900;

/// What a session is wanted to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Running,
    Stopped,
    Deleted,
    /// The request for something else than before died with the server, which may have noted it.
    Unsure,
}

/// What somebody asks for.
#[derive(Debug, Clone)]
enum Wish {
    Start(SessionId),
    Stop(SessionId),
    Delete(SessionId),
    Create,
}

struct Story {
    serve: Serve,
    wanted: BTreeMap<SessionId, Wanted>,
    random: Random,
}

#[test]
fn twenty_crashes_at_any_moment_double_lose_and_leave_nothing() {
    if !rustix::process::geteuid().is_root() {
        return println!("the crashes were left out: only root sees the processes of all desktops");
    }
    let seed = std::env::var("LATTICE_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| u32::from_le_bytes(random()) | 1);
    println!("LATTICE_TEST_SEED={seed} tells this story again");
    let mut story = Story { serve: Serve::start(), wanted: BTreeMap::new(), random: Random(seed) };
    for _ in 0..SESSIONS {
        let made = story.serve.try_create().expect("a session");
        story.wanted.insert(made, Wanted::Running);
    }
    story.agree();
    let mut took: Vec<_> = (1..=CRASHES).map(|number| story.crash(number)).collect();
    took.sort();
    println!("all was as wanted {:?} (median) to {:?} after a restart", took[10], took[19]);
    story.end();
}

/// A server that dies between noting an order and starting a supervisor leaves what looks like a start.
#[test]
fn an_order_that_nobody_took_up_is_given_again_soon() {
    let mut serve = Serve::start();
    let session = serve.desktop_of(&serve.admin());
    assert!(serve.terminate().success());
    let desktops = serve.desktops();
    let supervisor = desktops.supervisor(&session).expect("it runs");
    let processes = desktops.processes(&session);
    signal(supervisor, Signal::KILL);
    eventually("the desktop to be gone", || {
        !processes.iter().chain([&supervisor]).any(|pid| is_running(*pid))
    });
    let run = desktops.run_dir(&session);
    let order = std::fs::read(run.join("spec.json")).expect("an order");
    std::fs::remove_dir_all(&run).expect("removed");
    std::fs::create_dir(&run).expect("made");
    std::fs::write(run.join("spec.json"), order).expect("written");
    serve.restart();
    let restarted = Instant::now();
    until_some("the desktop to run", GENEROUS, || {
        (serve.sessions()[&session].0 == "running").then_some(())
    });
    let took = restarted.elapsed();
    println!("an order that nobody took up was given again: running {took:.1?} after the restart");
    assert!(took < patience(Duration::from_secs(6)), "it took {took:?}");
}

impl Story {
    /// The server dies while it is asked for things, and starts again; how long it then takes until
    /// all is as wanted.
    fn crash(&mut self, number: u32) -> Duration {
        let wishes = self.wishes();
        let moment = Duration::from_millis(self.random.below(LATEST_MS).into());
        println!("crash {number}, {moment:?} into {wishes:?}");
        let before = self.supervisors();
        let (serve, pid) = (&self.serve, self.serve.pid());
        let answers = thread::scope(|scope| {
            let asked = scope.spawn(|| wishes.iter().map(|wish| ask(serve, wish)).collect());
            // The moment is what is under test: there is nothing to wait for.
            thread::sleep(moment);
            signal(pid, Signal::KILL);
            asked.join().expect("it does not panic")
        });
        let answers: Vec<_> = answers;
        self.serve.restart();
        let restarted = Instant::now();
        self.wanted.extend(answers.iter().flatten().cloned());
        self.agree();
        // Whoever looks at any of them sees it again.
        let running = self.wanted.iter().filter(|(_, wanted)| **wanted == Wanted::Running);
        for (session, _) in running {
            self.serve.viewer(&self.serve.admin(), session).wait_picture();
        }
        let took = restarted.elapsed();
        assert!(took < patience(AGREES_WITHIN), "it took {took:?}");
        let after = self.supervisors();
        for (session, pid) in before {
            let is_touched = answers.iter().flatten().any(|(touched, _)| *touched == session);
            assert!(is_touched || after.get(&session) == Some(&pid), "{session} did not live on");
        }
        took
    }

    /// One to three things to ask for, each of another session.
    fn wishes(&mut self) -> Vec<Wish> {
        let mut sessions: Vec<_> = self.wanted.clone().into_iter().collect();
        sessions.retain(|(_, wanted)| *wanted != Wanted::Deleted);
        let mut wishes = Vec::new();
        if sessions.len() < SESSIONS {
            wishes.push(Wish::Create);
        }
        let count = 1 + self.random.below(SESSIONS as u32);
        for _ in 0..count.min(sessions.len() as u32) {
            let any = self.random.below(sessions.len() as u32) as usize;
            let (session, wanted) = sessions.swap_remove(any);
            wishes.push(match (self.random.below(6), wanted) {
                (0, _) => Wish::Delete(session),
                (_, Wanted::Running) => Wish::Stop(session),
                (_, _) => Wish::Start(session),
            });
        }
        wishes
    }

    /// Waits until all sessions are as wanted, and learns what is of those that nobody was sure of.
    fn agree(&mut self) {
        let wanted = &mut self.wanted;
        // One whose making was not answered is known from here on.
        for session in self.serve.sessions().into_keys() {
            wanted.entry(session).or_insert(Wanted::Unsure);
        }
        let (serve, mut last) = (&self.serve, BTreeMap::new());
        let deadline = Instant::now() + GENEROUS;
        loop {
            let sessions = serve.sessions();
            let agrees = sessions.iter().all(|(session, (state, _))| match wanted[session] {
                Wanted::Running => state == "running",
                Wanted::Stopped => state == "stopped",
                Wanted::Deleted => false,
                Wanted::Unsure => state == "running" || state == "stopped",
            });
            if agrees {
                last = sessions;
                break;
            }
            if last != sessions {
                println!("  {sessions:?}");
                last = sessions;
            }
            assert!(Instant::now() < deadline, "{last:?} never became {wanted:?}");
            thread::sleep(Duration::from_millis(20));
        }
        for (session, wanted) in &*wanted {
            let may_be_gone = matches!(wanted, Wanted::Deleted | Wanted::Unsure);
            assert!(may_be_gone || last.contains_key(session), "{session} is lost");
        }
        for (session, is) in wanted.iter_mut() {
            *is = match last.get(session).map(|(state, _)| &**state) {
                None => Wanted::Deleted,
                Some("running") => Wanted::Running,
                Some(_) => Wanted::Stopped,
            };
        }
        self.check_processes();
    }

    /// Each running desktop is there once, and of the others nothing is.
    fn check_processes(&self) {
        let desktops = self.serve.desktops();
        let is_right = || {
            let supervisors = desktops.supervisors();
            let count = |session| supervisors.iter().filter(|(of, _)| of == session).count();
            let all_known = supervisors.iter().all(|(of, _)| self.wanted.contains_key(of));
            all_known
                && self.wanted.iter().all(|(session, wanted)| match wanted {
                    Wanted::Running => count(session) == 1,
                    Wanted::Stopped | Wanted::Deleted | Wanted::Unsure => {
                        count(session) == 0 && desktops.processes(session).is_empty()
                    }
                })
        };
        eventually("each desktop to be there once or not at all", is_right);
        // All that has the mark of a session is below its one supervisor.
        for (session, pid) in self.supervisors() {
            eventually("all of a desktop to be below its supervisor", || {
                let family = family(pid);
                desktops.processes(&session).iter().all(|pid| family.contains(pid))
            });
        }
    }

    fn supervisors(&self) -> BTreeMap<SessionId, u32> {
        self.serve.desktops().supervisors().into_iter().collect()
    }

    /// Everything ends, and nothing is left.
    fn end(mut self) {
        self.wanted.retain(|_, wanted| *wanted != Wanted::Deleted);
        let sessions: Vec<_> = self.wanted.keys().cloned().collect();
        for session in &sessions {
            let (_, wanted) = ask(&self.serve, &Wish::Stop(session.clone())).expect("asked");
            self.wanted.insert(session.clone(), wanted);
        }
        self.agree();
        assert_eq!(self.serve.desktops().supervisors(), []);
        for session in &sessions {
            ask(&self.serve, &Wish::Delete(session.clone()));
        }
        let run = self.serve.desktops().data().join("run");
        until_some("the run directories to go", GENEROUS, || {
            let left = std::fs::read_dir(&run).expect("a directory").count();
            (left == 0).then_some(())
        });
        assert!(self.serve.sessions().is_empty());
        assert_eq!(self.serve.broken(), "ok", "the database is whole");
        assert!(!self.serve.log().contains("panicked at"), "{}", self.serve.log());
        assert!(self.serve.terminate().success());
    }
}

/// Asks, and says what is wanted from here on; nothing where there is no name for it.
fn ask(serve: &Serve, wish: &Wish) -> Option<(SessionId, Wanted)> {
    let (method, path, session, wanted) = match wish {
        // Should the answer be lost, the session is found in the list.
        Wish::Create => return serve.try_create().ok().map(|made| (made, Wanted::Running)),
        Wish::Start(session) => ("POST", format!("{session}/start"), session, Wanted::Running),
        Wish::Stop(session) => ("POST", format!("{session}/stop"), session, Wanted::Stopped),
        Wish::Delete(session) => ("DELETE", session.to_string(), session, Wanted::Deleted),
    };
    let answer = serve.try_ask(method, &format!("/api/v1/sessions/{path}"), &Value::Null);
    // One that was begun and not finished is no answer.
    let is_noted = answer.is_ok_and(|answer| (200..300).contains(&answer.status));
    Some((session.clone(), if is_noted { wanted } else { Wanted::Unsure }))
}
