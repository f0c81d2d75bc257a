//! The agent of one display: shows it to a gateway and gives it the gateway's input.
//!
//! Threads, each with what it owns:
//!
//! - **capture** ([`pipeline`]): the display, the shadow of what viewers have, the frame clock
//! - **input** ([`input`]): what is pressed, on a connection of its own
//! - **link** ([`link`]): the socket; one thread that accepts, two for each connection
//!
//! They meet in [`slots`] only, where everything is bounded. Only capture and input ever wait for
//! the X server, so the link tells when it hangs.

#![deny(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod display;
pub mod encode;
pub mod inject;
pub mod input;
pub mod link;
pub mod pipeline;
pub mod slots;

use anyhow::Context;
use cli::{Cli, MIN_SIZE};
use display::headless::{HeadlessDisplay, KeyCount};
use display::{Display, DisplayError, Options, x11::X11Display};
use inject::Injector;
use lattice_wire::Micros;
use lattice_wire::link::MAX_TOKEN;
use slots::{InputItem, Shared};
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an agent that ends waits for the display to let go of keys.
const LET_GO_PATIENCE: Duration = Duration::from_millis(300);

/// Shows the display until the process is told to end.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    let token = std::env::var("LATTICE_AGENT_TOKEN").ok().filter(|token| !token.is_empty());
    let token = token.context("LATTICE_AGENT_TOKEN is not set; the gateway sets it")?;
    run_as(cli, token)
}

/// The same for gateways that know this token.
pub fn run_as(cli: Cli, token: String) -> anyhow::Result<()> {
    anyhow::ensure!(
        token.len() <= MAX_TOKEN,
        "LATTICE_AGENT_TOKEN is longer than {MAX_TOKEN} bytes"
    );
    end_with_a_panic();
    let listener = link::listen(&cli.listen)?;
    let shared = Arc::new(Shared::new().context("make the wakers")?);
    if cli.exit_on_eof {
        let shared = shared.clone();
        spawn("stdin", move || exit_on_eof(&shared))?;
    }
    start_display(&cli, &shared)?;
    let name = cli.name.unwrap_or_else(|| cli.display.clone());
    let config = link::LinkConfig { token, name, display: cli.display };
    link::serve(&listener, &shared, config)
}

/// Starts the threads that work with the display.
fn start_display(cli: &Cli, shared: &Arc<Shared>) -> anyhow::Result<()> {
    let options = Options {
        name: cli.display.clone(),
        shm: !cli.no_shm,
        resize: cli.allow_resize.then_some((MIN_SIZE, cli.max_size)),
    };
    let interval = Micros(1_000_000 / u64::from(cli.fps));
    let (capture, input) = (shared.clone(), shared.clone());
    if let Some(path) = cli.display.strip_prefix("headless:") {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {path}"))?;
        let script =
            display::headless::parse(&text).with_context(|| format!("understand {path}"))?;
        let keys = KeyCount::default();
        let (port, port_shared) = (keys.clone(), shared.clone());
        spawn("capture", move || {
            pipeline::run(&capture, interval, || {
                Ok(Display::Headless(HeadlessDisplay::new(script.clone(), &options, keys.clone())))
            });
        })?;
        return spawn("input", move || {
            input::run(&input, || Ok(Injector::Headless(port.clone(), port_shared.clone())));
        });
    }
    let (name, is_ours) = (cli.display.clone(), cli.allow_resize);
    spawn("capture", move || {
        pipeline::run(&capture, interval, || -> Result<Display, DisplayError> {
            Ok(Display::X11(Box::new(X11Display::connect(&options)?)))
        });
    })?;
    spawn("input", move || input::run(&input, || Injector::x11(&name, is_ours)))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    let thread = std::thread::Builder::new().name(name.into());
    thread.spawn(work).map(drop).with_context(|| format!("start the {name} thread"))
}

/// A thread that died would leave half an agent: whoever started it starts a whole one.
fn end_with_a_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        std::process::exit(101);
    }));
}

/// Whoever started the agent holds the other end of its standard input, and is gone when it ends.
fn exit_on_eof(shared: &Shared) {
    let mut stdin = std::io::stdin();
    let mut ignored = [0; 256];
    loop {
        match stdin.read(&mut ignored) {
            Ok(0) | Err(_) => {
                let_go(shared);
                std::process::exit(0)
            }
            Ok(_) => {}
        }
    }
}

/// Keys that are down stay down in the X server when their client goes, and repeat for ever.
fn let_go(shared: &Shared) {
    shared.inputs.push(InputItem::ReleaseAll);
    let start = Instant::now();
    while start.elapsed() < LET_GO_PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
        if shared.inputs.is_empty() && !shared.echo.is_applying() {
            break;
        }
    }
}
