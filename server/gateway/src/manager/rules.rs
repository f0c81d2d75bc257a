//! What the manager goes by beside what people want: when desktops rest, and what the machine has.

use crate::recipe::{Recipe, Recipes};
use crate::session_api::Asking;
use crate::template;
use lattice_engine::admission::Machine;
use lattice_engine::idle::Policy;
use lattice_wire::Micros;
use std::fs;
use std::time::Duration;
use tokio::sync::watch;

/// What holds where a template says nothing, or is not known any more.
const USUAL: Policy = Policy { warn: minutes(25), pause: minutes(30), stop: minutes(480) };

/// The rules.
#[derive(Debug)]
pub struct Rules {
    /// When all desktops rest; nothing where the recipe of each says it.
    pub rests: Option<Policy>,
    /// How the machine is measured.
    pub gauge: Gauge,
    /// What desktops are made of.
    pub recipes: Recipes,
    /// Who answers what desktops' programs ask about them.
    pub asking: Asking,
}

/// Where the figures of the machine come from.
#[derive(Debug)]
pub enum Gauge {
    /// This machine's kernel.
    Kernel,
    /// Whatever a test says.
    Said(watch::Receiver<Machine>),
}

impl Rules {
    /// Those of these recipes, on this machine.
    pub fn new(recipes: Recipes) -> Self {
        Self { rests: None, gauge: Gauge::Kernel, recipes, asking: Asking::default() }
    }

    /// When a desktop made so rests.
    pub(super) fn policy(&self, recipe: &Recipe) -> Policy {
        let said = recipe.template().map(|template| policy(template.idle));
        self.rests.or(said).unwrap_or(USUAL)
    }
}

impl Gauge {
    pub(crate) fn read(&self) -> Machine {
        match self {
            Self::Kernel => {
                let text = |path| fs::read_to_string(path).unwrap_or_default();
                measured(&text("/proc/meminfo"), &text("/proc/pressure/cpu"))
            }
            Self::Said(machine) => *machine.borrow(),
        }
    }
}

/// Reads what proc(5) and the kernel's accounting/psi.rst describe. What is not there is not known.
fn measured(memory: &str, pressure: &str) -> Machine {
    let bytes = |field: &str| {
        let mut lines = memory.lines();
        let rest = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
        Some(rest.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
    };
    let some = pressure.lines().find_map(|line| line.strip_prefix("some "));
    let average = some.and_then(|line| {
        line.split(' ').find_map(|word| word.strip_prefix("avg10=")?.parse().ok())
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Machine {
        total: bytes("MemTotal").unwrap_or(0),
        available: bytes("MemAvailable"),
        pressure: average,
        cores: u32::try_from(cores).unwrap_or(u32::MAX),
    }
}

fn policy(idle: template::Idle) -> Policy {
    let span = |span: Duration| Micros(u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
    Policy { warn: span(idle.warn), pause: span(idle.pause), stop: span(idle.stop) }
}

const fn minutes(minutes: u64) -> Micros {
    Micros::from_millis(minutes * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_figures_are_read() {
        let memory = "MemTotal:       24684376 kB\nMemFree:  1 kB\nMemAvailable:   22156288 kB\n";
        let pressure =
            "some avg10=12.34 avg60=1.00 avg300=0.00 total=5\nfull avg10=99.00 avg60=0.00\n";
        let machine = measured(memory, pressure);
        assert_eq!((machine.total, machine.available), (24_684_376 << 10, Some(22_156_288 << 10)));
        assert_eq!(machine.pressure, Some(12.34));
    }

    #[test]
    fn what_the_kernel_does_not_say_is_unknown() {
        let machine = measured("MemTotal: 5 kB\nMemAvailable: lots\n", "");
        assert_eq!((machine.total, machine.available, machine.pressure), (5 << 10, None, None));
        assert!(Gauge::Kernel.read().total > 0, "this machine has memory");
    }

    #[test]
    fn a_template_says_when_its_desktops_rest() {
        let text = "name: kiosk\nx-lattice: {title: K, idle: {warn: 1m, pause: 2m, stop: 3m}}\n";
        let rules = Rules::new(Recipes::new([("kiosk".into(), text.into())]));
        let policy = |name| rules.policy(&rules.recipes.base(name));
        assert_eq!(policy("kiosk").pause, minutes(2));
        assert_eq!(policy("gone"), USUAL);
    }
}
